"""What people's decisions and what came of them are good for elsewhere: outcomes learned later, the export, history from before.

`outcomes` writes what somebody learned, `rows` reads what was proposed and decided, `export` and `chat` say it in a form, `history`
takes labelled cases in. Nothing here decides anything.
"""

from .export import FORMS, Scope, begin, check_may, stream
from .history import Case, Counts, TeachesNothing, Unfit, case_of, take
from .outcomes import NothingDecided, report, report_json

__all__ = [
    "FORMS", "Case", "Counts", "NothingDecided", "Scope", "TeachesNothing", "Unfit", "begin", "case_of", "check_may", "report",
    "report_json", "stream", "take",
]
