"""Secrets of a development machine: made once, kept in the data folder, readable to nobody else."""

import base64
import json
import os
import secrets
from pathlib import Path


def development_secrets(folder: Path) -> dict[str, str]:
    """Return {"SECRET_KEY", "ENCRYPTION_KEY"}, made on first use in a folder that exists; several processes may start at once."""
    path = folder / "secrets.json"
    if not path.exists():
        made = {
            "SECRET_KEY": secrets.token_urlsafe(50),
            "ENCRYPTION_KEY": base64.urlsafe_b64encode(secrets.token_bytes(32)).decode(),
        }
        draft = folder / f".secrets-{os.getpid()}-{secrets.token_hex(4)}"
        with open(os.open(draft, os.O_CREAT | os.O_EXCL | os.O_WRONLY, 0o600), "w", encoding="utf-8") as file:
            json.dump(made, file)
            file.flush()
            os.fsync(file.fileno())
        try:
            os.link(draft, path)  # fails when another process was first; then theirs counts
        except FileExistsError:
            pass
        finally:
            draft.unlink()
    kept: dict[str, str] = json.loads(path.read_text(encoding="utf-8"))
    return kept
