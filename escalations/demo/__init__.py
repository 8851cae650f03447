"""A company to look around in: five people, two sources, a week that was, and a few dozen incidents of every kind that wait.

All of it goes through the doors and verbs that everybody uses: the same validation, the same ingest, the same signatures. What
becomes of today's incidents is decided by the worker, the rules and the people, once they run.
"""

from .company import DemoCompany, begins, install

__all__ = ["DemoCompany", "begins", "install"]
