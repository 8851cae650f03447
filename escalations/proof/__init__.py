"""The arithmetic of trust: how sure decisions make us of an error rate, when that stops, and how well people agree.

Pure: numbers in, numbers out; no Django, no clock, no rows. What is promised, and on what conditions, is docs/guarantee.md.
"""

from .betting import log_wealth, upper
from .drift import Drift
from .ladder import Ladder, Rung
from .watch import Alarm, LetGo, Watch

__all__ = ["Alarm", "Drift", "Ladder", "LetGo", "Rung", "Watch", "log_wealth", "upper"]
