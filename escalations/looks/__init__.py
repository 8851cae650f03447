"""Second looks: people are measured kindly. A random share of what people settled is judged again by somebody who does not know what was
decided; none of it holds up an outcome, changes one, or leaves the house.

`drawing` draws, `seeing` says who may look, `answering` takes the answer, `known` keeps items whose answer is beyond doubt, `agreement`
counts who saw things alike, `vigilance` looks for signs that somebody signs without looking, and tells them first.
"""

from .answering import answer, leave, open_look
from .drawing import draw, lapse
from .known import mark, retire
from .seeing import looking_at, open_for, opened_by
from .vigilance import SHARED_AFTER, alarms_of, answer_alarm, look, note_seen, shared_alarms

__all__ = [
    "SHARED_AFTER", "alarms_of", "answer", "answer_alarm", "draw", "lapse", "leave", "look", "looking_at", "mark", "note_seen",
    "open_for", "open_look", "opened_by", "retire", "shared_alarms",
]
