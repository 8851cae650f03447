"""Messages to people, from the outbox by mail and by channels: at least once, one row and one id each, never in the way.

What was settled meanwhile is not told any more. Each way fails by itself: a channel that is down, slow or wrong is named on
its page, tried again and holds up no other, and a mail server that is away holds up no channel.
"""

from .fresh import EVERY, tell
from .gathering import Message, is_urgent
from .sending import MESSAGES, WAITS, run_batch
from .words import message, one_line, plain, visible

__all__ = ["EVERY", "MESSAGES", "WAITS", "Message", "is_urgent", "message", "one_line", "plain", "run_batch", "tell", "visible"]
