"""What the clock does with runs: carries out what was decided about them, and looks for those that fell silent."""


def follow(limit: int = 100) -> int:
    """Carry the decisions about alarms to their runs; return how many."""
    raise NotImplementedError


def find_silent(limit: int = 100) -> int:
    """Bring runs to people that have not been heard of, or that do not confirm a stop; return how many."""
    raise NotImplementedError


def end_overdue(limit: int = 100) -> int:
    """Pause or stop runs whose minutes are nearly, or all, used up; return how many."""
    raise NotImplementedError
