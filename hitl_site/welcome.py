"""What `make run` prints once the pages answer."""

import contextlib
import json
from typing import Any

from hitl_site import env

EXAMPLE = {
    "kind": "action",
    "title": "Refund $250 for order 1182",
    "proposal": {
        "action": "refund",
        "args": {"order": 1182, "amount": 250},
        "description": "The parcel arrived broken; the customer asks for the money back.",
        "confidence": 0.62,
    },
}


def read_demo() -> dict[str, Any]:
    """Return what was made with the demo company; empty where there is none."""
    with contextlib.suppress(FileNotFoundError, ValueError, PermissionError):
        made: dict[str, Any] = json.loads((env.DATA_DIR / "demo.json").read_text(encoding="utf-8"))
        return made
    return {}


def curl(key: str) -> str:
    """Return one command that works as pasted."""
    body = json.dumps(EXAMPLE, ensure_ascii=False)
    return (
        f"curl -s {address()}/api/v1/incidents -H 'Authorization: Bearer {key}' "
        f"-H 'Content-Type: application/json' -d '{body}'"
    )


def address() -> str:
    """Return where a browser on this machine finds the pages."""
    return f"http://127.0.0.1:{env.PORT}"


def welcome() -> str:
    """Return the address, how to sign in, and one curl."""
    demo = read_demo()
    lines = ["", f"Countersign runs at {address()}/  (Ctrl-C ends it{'' if env.DATABASE_URL else ' and its database'})", ""]
    people = demo.get("people", [])
    if people:
        kept = env.DATA_DIR / "demo.json"
        lines.append(f"Sign in with one of these (kept in {kept}, readable to you alone):")
        for person in people:
            roles = ", ".join(person.get("roles", []))
            lines.append(f"  {person['username']:<12} {person['password']:<22} {roles}")
    else:
        lines.append("Sign in as a person made with: .venv/bin/python manage.py add_person NAME --role ROLE")
    lines.append("")
    sources = demo.get("sources", [])
    if sources:
        lines += ["Ask a person something, as your service would:", "  " + curl(sources[0]["key"])]
    else:
        lines.append("Make a key for a service with: .venv/bin/python manage.py add_source NAME")
    return "\n".join([*lines, ""])
