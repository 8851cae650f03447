"""The one place that reads the environment. Every name here has a heading in docs/settings.md; a house test checks.

Values are read when this module is imported, once a process. Reading never fails but for a value that is no value of its
kind, and then with a sentence that names the setting.
"""

import contextlib
import hashlib
import os
from pathlib import Path

BASE_DIR = Path(__file__).resolve().parent.parent


class BadSetting(SystemExit):
    """A setting that cannot be used; ends the process with one sentence."""

    def __init__(self, sentence: str) -> None:
        super().__init__(f"countersign: {sentence}")


def text(name: str, default: str = "") -> str:
    """Return the setting, without spaces around it; an empty one counts as not set."""
    return os.environ.get(name, "").strip() or default


def number(name: str, default: int) -> int:
    """Return a whole number >= 0."""
    value = text(name)
    if not value:
        return default
    if not value.isascii() or not value.isdigit():
        raise BadSetting(f"{name} must be a whole number, not {value!r}.")
    return int(value)


def flag(name: str, default: bool) -> bool:
    """Return yes or no: 1, true, yes, on; 0, false, no, off."""
    value = text(name).lower()
    if not value:
        return default
    if value in {"1", "true", "yes", "on"}:
        return True
    if value in {"0", "false", "no", "off"}:
        return False
    raise BadSetting(f"{name} must be yes or no, not {value!r}.")


def words(name: str) -> list[str]:
    """Return a comma-separated list without empty words."""
    return [word for word in (part.strip() for part in text(name).split(",")) if word]


def _data_dir() -> Path:
    """Return where everything that is no code lies: COUNTERSIGN_DATA, or var/, or as root a folder of this checkout's own.

    PostgreSQL refuses to run as root, so as root its user must be able to reach the data: not below a home folder, then.
    """
    chosen = text("COUNTERSIGN_DATA")
    if chosen:
        return Path(chosen).expanduser().resolve()
    if not hasattr(os, "geteuid") or os.geteuid() != 0:
        return BASE_DIR / "var"
    name = "countersign-" + hashlib.sha256(str(BASE_DIR).encode()).hexdigest()[:10]
    for parent in (Path("/var/lib"), Path("/var/tmp")):
        if (parent / name).is_dir() or os.access(parent, os.W_OK):
            return parent / name
    return BASE_DIR / "var"


DATA_DIR = _data_dir()


def make_data_dir() -> None:
    """Make the data folder when it is not there: ours alone; as root others may pass through, for the database's user."""
    if not DATA_DIR.is_dir():
        DATA_DIR.mkdir(mode=0o711 if hasattr(os, "geteuid") and os.geteuid() == 0 else 0o700, parents=True, exist_ok=True)


# Who this process is: web, worker, timers, or a command. Set by the supervisor and by asgi.py.
PROCESS = text("COUNTERSIGN_PROCESS", "command")

DATABASE_URL = text("DATABASE_URL")
DATABASE_OWNER_URL = text("DATABASE_OWNER_URL")

SECRET_KEY = text("SECRET_KEY")
SECRET_KEY_FALLBACKS = words("SECRET_KEY_FALLBACKS")
ENCRYPTION_KEYS = words("ENCRYPTION_KEYS")
ALLOWED_HOSTS = words("ALLOWED_HOSTS")

# `make run` leaves this marker, so that a command in another shell finds the same development settings. Settings meant for a
# server (a database or a secret of one's own) switch it off: production is never turned into development by a file.
DEBUG = flag("DEBUG", not DATABASE_URL and not SECRET_KEY and (DATA_DIR / "development").exists())



def _port() -> int:
    """Return the port that the `make run` of this data folder took, which the marker tells, else 8000."""
    with contextlib.suppress(OSError, ValueError):
        return int((DATA_DIR / "development").read_text(encoding="ascii")) if DEBUG else 8000
    return 8000


HOST = text("HOST", "127.0.0.1")
PORT = number("PORT", _port())
PUBLIC_URL = text("PUBLIC_URL", f"http://127.0.0.1:{PORT}").rstrip("/")
CSRF_TRUSTED_ORIGINS = words("CSRF_TRUSTED_ORIGINS")
BEHIND_TLS_PROXY = flag("BEHIND_TLS_PROXY", False)
HSTS_SECONDS = number("HSTS_SECONDS", 31_536_000)

QUEUE_WORKERS = number("QUEUE_WORKERS", 2 if DEBUG else 4)
HEARTBEAT_DEAD_AFTER = number("HEARTBEAT_DEAD_AFTER", 90)
LOG_LEVEL = text("LOG_LEVEL", "INFO").upper()
LOG_FORMAT = text("LOG_FORMAT", "json")

OPENAI_API_KEY = text("OPENAI_API_KEY")
OPENAI_BASE_URL = text("OPENAI_BASE_URL")
COUNTERSIGN_MODEL = text("COUNTERSIGN_MODEL", "gpt-4o-mini" if OPENAI_API_KEY or OPENAI_BASE_URL else "")
LLM_TIMEOUT_SECONDS = number("LLM_TIMEOUT_SECONDS", 20)
LLM_DAILY_TOKENS = number("LLM_DAILY_TOKENS", 2_000_000)
LLM_CONCURRENCY = number("LLM_CONCURRENCY", 64)

EMAIL_URL = text("EMAIL_URL")
DEFAULT_FROM_EMAIL = text("DEFAULT_FROM_EMAIL", "countersign@localhost")

SLACK_API_URL = text("SLACK_API_URL", "https://slack.com/api")

ANCHOR_FILE = text("ANCHOR_FILE", str(DATA_DIR / "anchors.jsonl"))
ANCHOR_URL = text("ANCHOR_URL")
DEADMAN_URL = text("DEADMAN_URL")
METRICS_TOKEN = text("METRICS_TOKEN")

CLAIM_SECONDS = number("CLAIM_SECONDS", 900)
SILENT_RUN_SECONDS = number("SILENT_RUN_SECONDS", 600)
SECOND_LOOK_PERCENT = number("SECOND_LOOK_PERCENT", 5)
KNOWN_ANSWER_EVERY = number("KNOWN_ANSWER_EVERY", 20)
