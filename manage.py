#!/usr/bin/env python
"""Django's command line, for operators and for the processes themselves."""

import os
import sys

from django.core.management import execute_from_command_line

if __name__ == "__main__":
    os.environ.setdefault("DJANGO_SETTINGS_MODULE", "hitl_site.settings")
    # A server's processes are told apart by what they may do to the database's connections.
    roles = {"qcluster": "worker", "timers": "timers"}
    os.environ.setdefault("COUNTERSIGN_PROCESS", roles.get(sys.argv[1] if len(sys.argv) > 1 else "", "command"))
    execute_from_command_line(sys.argv)
