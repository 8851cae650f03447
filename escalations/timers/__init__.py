"""The clockwork: what has to happen because time passed, done by `manage.py timers`, two copies or more.

A plain loop, one turn a second, no fork and no pool. Every duty is safe to do twice, anywhere, and to be killed in at any line;
what is due is judged by the database's clock, and waiting is done on the monotonic one, so a wrong host clock moves nothing.
"""

from .loop import Timers

__all__ = ["Timers"]
