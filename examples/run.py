"""Run an example against `make run`: `python3 examples/run.py refund_agent`.

Reads what the example needs from its own head (PEP 723), installs that and the SDK beside it into an environment under
var/examples, and hands over the demo company's address and key. `COUNTERSIGN_URL` and `COUNTERSIGN_KEY` name another server.
"""

import json
import os
import re
import subprocess
import sys
import tomllib
import venv
from pathlib import Path

HERE = Path(__file__).resolve().parent
ROOT = HERE.parent
DATA = Path(os.environ.get("COUNTERSIGN_DATA", ROOT / "var"))
HEAD = re.compile(r"^# /// script\n((?:#.*\n)+?)# ///$", re.MULTILINE)


def needs(example: Path) -> list[str]:
    """Return the dependencies an example names in its head, the SDK first."""
    head = HEAD.search(example.read_text(encoding="utf-8"))
    named = tomllib.loads("".join(line[2:] or "\n" for line in head[1].splitlines(keepends=True)))["dependencies"] if head else []
    return [str(ROOT / "sdk" / "python"), *(one for one in named if one != "countersign")]


def prepared(example: Path) -> Path:
    """Return a Python that has what the example needs; installs it the first time, and again when the list has changed."""
    folder = DATA / "examples" / example.stem
    wanted = "\n".join(needs(example))
    python = folder / "bin" / "python"
    note = folder / "installed.txt"
    if not note.exists() or note.read_text() != wanted:
        print(f"Installing what {example.name} needs into {folder} ...", flush=True)
        venv.create(folder, with_pip=True, clear=True)
        subprocess.run([python, "-m", "pip", "install", "-q", "--disable-pip-version-check", *needs(example)], check=True)
        note.write_text(wanted)
    return python


def server() -> dict[str, str]:
    """Return the address and the key: those of the environment, or the demo company's. Ends with a sentence when there are none."""
    if os.environ.get("COUNTERSIGN_KEY"):
        return {}
    try:
        demo = json.loads((DATA / "demo.json").read_text(encoding="utf-8"))
    except OSError:
        sys.exit(f"No demo company in {DATA}. Start one with `make run`, or set COUNTERSIGN_URL and COUNTERSIGN_KEY.")
    started = DATA / "development"  # the port `make run` was last started on
    port = os.environ.get("PORT") or (started.read_text(encoding="ascii").strip() if started.exists() else "8000")
    return {"COUNTERSIGN_URL": f"http://127.0.0.1:{port}", "COUNTERSIGN_KEY": demo["sources"][0]["key"]}


def main() -> int:
    """Run one; returns its status."""
    known = sorted(path.stem for path in HERE.glob("*.py") if path.name != Path(__file__).name)
    if len(sys.argv) < 2 or sys.argv[1].removesuffix(".py") not in known:
        print("Which one? python3 examples/run.py " + " | ".join(known))
        return 2
    example = HERE / f"{sys.argv[1].removesuffix('.py')}.py"
    return subprocess.run([prepared(example), example, *sys.argv[2:]], env={**os.environ, **server()}, check=False).returncode


if __name__ == "__main__":
    sys.exit(main())
