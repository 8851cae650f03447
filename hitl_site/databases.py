"""Two identities on one database: `default`, which may not rewrite the record, and `owner`, which only `setup` uses."""

import hashlib
import os
import tempfile
from pathlib import Path
from typing import Any
from urllib.parse import parse_qsl, unquote, urlsplit

from hitl_site import env

APP_ROLE = "countersign_app"
NAME = "countersign"
SOCKET_NAME_MAX = 90  # bytes; the system's limit is 103 to 107 with the socket's own name


def socket_dir(data_dir: Path) -> Path:
    """Return the folder of the embedded database's socket, found from the data folder alone: commands find it so too."""
    inside = data_dir / "postgres"
    if len(os.fsencode(inside)) <= SOCKET_NAME_MAX - len("/.s.PGSQL.5432"):
        return inside
    return Path(tempfile.gettempdir()) / ("countersign-" + hashlib.sha256(os.fsencode(data_dir)).hexdigest()[:16])


def embedded_url(user: str, data_dir: Path) -> str:
    """Return the URL of the embedded database for one of its two users."""
    return f"postgresql://{user}@/{NAME}?host={socket_dir(data_dir)}"


def parse(url: str) -> dict[str, Any]:
    """Return Django's settings for a postgresql:// URL; what follows the question mark goes to libpq."""
    parts = urlsplit(url)
    if parts.scheme not in {"postgres", "postgresql"}:
        raise env.BadSetting("DATABASE_URL must start with postgresql://; no other database can keep the promises.")
    options: dict[str, Any] = dict(parse_qsl(parts.query))
    host = options.pop("host", "") or unquote(parts.hostname or "")
    return {
        "ENGINE": "django.db.backends.postgresql",
        "NAME": unquote(parts.path.lstrip("/")) or NAME,
        "USER": unquote(parts.username or ""),
        "PASSWORD": unquote(parts.password or ""),
        "HOST": host,
        "PORT": str(parts.port or options.pop("port", "")),
        "CONN_HEALTH_CHECKS": True,
        "OPTIONS": options,
    }


def _guarded(database: dict[str, Any], process: str) -> dict[str, Any]:
    """Return the database with the time limits and the connection keeping that suit this kind of process."""
    limits = ["-c idle_in_transaction_session_timeout=15s"]
    if process == "web":
        limits += ["-c statement_timeout=15s", "-c lock_timeout=5s"]
        # Under ASGI a kept connection belongs to a thread that is gone; a pool belongs to the process.
        database["CONN_MAX_AGE"] = 0
        database["CONN_HEALTH_CHECKS"] = False
        database["OPTIONS"]["pool"] = {"min_size": 2, "max_size": 10, "timeout": 5, "max_lifetime": 1800}
    else:
        # No pool: the worker forks, and a pool does not survive that.
        database["CONN_MAX_AGE"] = 60
    database["OPTIONS"]["options"] = " ".join(filter(None, [database["OPTIONS"].get("options", ""), *limits]))
    return database


def databases() -> dict[str, dict[str, Any]]:
    """Return DATABASES: `default` for this kind of process, and `owner`."""
    if env.DATABASE_URL:
        default = parse(env.DATABASE_URL)
        owner = parse(env.DATABASE_OWNER_URL or env.DATABASE_URL)
        if not env.DATABASE_OWNER_URL:
            # One login for both: the application gives up the owner's rights on every connection. As a parameter of the
            # connection, not by Django's `assume_role`: that leaves a pooled connection in a transaction, and the pool drops it.
            default["OPTIONS"]["options"] = " ".join(filter(None, [default["OPTIONS"].get("options", ""), f"-c role={APP_ROLE}"]))
    else:
        default = parse(embedded_url(APP_ROLE, env.DATA_DIR))
        owner = parse(embedded_url("postgres", env.DATA_DIR))
    owner["OPTIONS"]["options"] = " ".join(filter(None, [owner["OPTIONS"].get("options", ""), "-c lock_timeout=2s"]))
    owner["CONN_MAX_AGE"] = 0
    owner["TEST"] = {"MIRROR": "default"}
    return {"default": _guarded(default, env.PROCESS), "owner": owner}
