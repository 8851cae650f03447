"""A company to look around in: three people, two sources, and a few dozen incidents of every kind.

It goes in by the door everybody uses: the same validation, the same ingest. What becomes of the incidents is decided by the
worker, the rules and the people, once they run.
"""

from .company import DemoCompany, install

__all__ = ["DemoCompany", "install"]
