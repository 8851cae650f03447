"""A PostgreSQL for the tests: DATABASE_URL, or one of our own that lives as long as the run."""

import atexit
import os
import shutil
import tempfile
from pathlib import Path

from hitl_site.embedded import Embedded


def ensure() -> str:
    """Return DATABASE_URL, starting a database in a temporary folder when it is unset. Workers of the run inherit it."""
    if not os.environ.get("DATABASE_URL"):
        folder = Path(tempfile.mkdtemp(prefix="countersign-tests-"))
        folder.chmod(0o711)
        server = Embedded(folder, quick=True)
        server.start()
        atexit.register(shutil.rmtree, folder, ignore_errors=True)
        atexit.register(server.stop)
        os.environ["DATABASE_URL"] = server.url("postgres")
    return os.environ["DATABASE_URL"]
