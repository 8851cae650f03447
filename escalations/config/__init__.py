"""The configuration as a file that a team keeps in git: written in one order, taken all or nothing."""

from .export import as_it_stands, export
from .imports import Done, take
from .reading import Problem, Refused, read

__all__ = ["Done", "Problem", "Refused", "as_it_stands", "export", "read", "take"]
