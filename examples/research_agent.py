"""A research agent under oversight. It gets nowhere and goes round in circles: it is paused, a person is asked, and it does as told.

Run it and open the address it prints: the steps come in as they are made. Once it loops, an item comes into the queue of operations:
answer it and the agent goes on with your words as a note, reject it and the run is stopped.
"""

# /// script
# requires-python = ">=3.10"
# dependencies = ["countersign"]
# ///

import itertools
import sys
from typing import Any

from countersign import Client, RunStopped

PAPERS = {"selective classification": ["Chow 1970", "El-Yaniv 2010", "Geifman 2017"], "learn then test": ["Angelopoulos 2021"]}


def search(query: str) -> list[str]:
    """Search the library."""
    return PAPERS.get(query, [])


def research(run: Any) -> list[str]:
    """Look for sources until a person helps, or stops it. A real agent's model would choose the queries; this one has a bad idea."""
    tool = run.tool(search)
    found = tool("selective classification")
    for number in itertools.count():
        if run.notes:
            print(f"told: {run.notes[-1]['text']}", flush=True)
            return found + tool(run.notes[-1]["text"].strip().lower())
        tool("guarantee for abstaining" if number % 2 else "abstain guarantee")
    return found


def main() -> int:
    """Run it, watched."""
    with Client() as client:
        try:
            with client.session(
                "research-agent", goal="Sources for a bound on the error of a classifier that may abstain", limits={"steps": 60, "minutes": 30},
                on_pause=lambda directive: print(f"paused: {directive['reason']}", flush=True),
            ) as run:
                print(f"Watch it at {run.watch_url}", flush=True)
                print("found: " + ", ".join(research(run)))
        except RunStopped as stopped:
            print(f"stopped: {stopped}")
            return 5
    return 0


if __name__ == "__main__":
    sys.exit(main())
