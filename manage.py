#!/usr/bin/env python
"""Django's command line, for operators and for the processes themselves."""

import os
import sys

import django
from django.core.management import execute_from_command_line
from django.db.utils import OperationalError
from django.utils.module_loading import import_string

SERVING = {"qcluster": "worker", "timers": "timers"}  # told apart by what they may do to the database's connections


def main() -> None:
    """Run one command. A process that serves production first looks at what its database login may do."""
    os.environ.setdefault("DJANGO_SETTINGS_MODULE", "hitl_site.settings")
    command = sys.argv[1] if len(sys.argv) > 1 else ""
    os.environ.setdefault("COUNTERSIGN_PROCESS", SERVING.get(command, "command"))
    try:
        if command in SERVING:
            django.setup()
            import_string("escalations.checks.refuse_unsafe_database")()
        execute_from_command_line(sys.argv)
    except OperationalError as error:
        told = str(error).strip().splitlines()[0]
        raise SystemExit(f"countersign: The database cannot be reached: {told} (is Countersign running here?)") from error


if __name__ == "__main__":
    main()
