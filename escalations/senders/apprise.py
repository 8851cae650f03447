"""Messages through Apprise, from a process of its own: bounded in time, whatever the other side or a plugin does.

The process is started for one round of messages, sends them side by side and is killed when the round is over, so one
channel that hangs costs neither another channel nor the worker anything; should the worker be killed, it ends by itself. What it
may reach is in `child`.
"""

import json
import ssl
import subprocess
import sys
import threading
import time
from collections.abc import Iterable
from dataclasses import asdict, dataclass
from pathlib import Path
from types import TracebackType
from typing import Any
from urllib.parse import urlsplit

from django.conf import settings

from . import SendFailed

SECONDS = 20.0  # for one round, starting the process included
LONGEST_URL = 1_000
# Hosted services and chat rooms a person may name for themselves. An administrator may name anything that is not local.
OWN = frozenset(
    {
        "discord", "gchat", "mattermost", "mmost", "mmosts", "matrix", "matrixs", "msteams", "ntfy", "ntfys", "opsgenie", "pagerduty",
        "pbul", "pover", "prowl", "rocket", "rockets", "signl4", "slack", "squadcast", "tgram", "threema", "victorops", "webex",
        "workflow", "workflows", "wxteams", "zulip", "gotify", "gotifys",
    }
)

# Services in whose addresses the host is a host, and no token, key or topic in its place.
NAMED_BY_HOST = frozenset(
    {
        "apprise", "apprises", "form", "forms", "gotify", "gotifys", "hassio", "hassios", "https", "json", "jsons", "mailto", "mailtos",
        "matrix", "matrixs", "mmost", "mmosts", "ncloud", "nclouds", "nctalk", "nctalks", "ntfy", "ntfys", "rocket", "rockets", "workflow",
        "workflows", "xml", "xmls",
    }
)


@dataclass(frozen=True)
class Post:
    """One message to one address. `kind` is how it looks there: info, warning or failure.

    Without a body nothing is sent: it is asked whether the address can be read, and what service it is.
    """

    id: str
    url: str
    title: str = ""
    body: str | None = None
    kind: str = "info"


class Round:
    """A round that is under way. `with` it, do something else meanwhile, then ask for its `outcomes`; leaving it ends the process."""

    def __init__(self, posts: Iterable[Post], *, seconds: float | None = None) -> None:
        self._asked: list[dict[str, Any]] = [asdict(one) for one in posts]
        self._seconds = SECONDS if seconds is None else seconds
        self._answers: dict[str, dict[str, Any]] = {}
        self._process: subprocess.Popen[bytes] | None = None

    def __enter__(self) -> "Round":
        self._end = time.monotonic() + self._seconds
        if self._asked:
            try:
                self._process = _start({"loopback": bool(settings.DEBUG), "seconds": self._seconds, "posts": self._asked})
            except OSError:  # no memory, no more processes: the mails that wait for this round must go all the same
                return self
            self._reader = threading.Thread(target=self._read, daemon=True)
            self._reader.start()
        return self

    def __exit__(self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None) -> None:
        if self._process is not None:
            self._process.kill()
            self._process.wait()
            self._reader.join()

    def outcomes(self) -> dict[str, SendFailed | None]:
        """Return what became of each post, by its id: None when it was taken. Waits until the round is over, `seconds` at most."""
        if self._process is not None:
            self._reader.join(max(0.0, self._end - time.monotonic()))
        return {str(one["id"]): self._outcome(str(one["id"])) for one in self._asked}

    def service_of(self, key: str) -> str:
        """Return the name of the service a post without a body asked about, once the round is over."""
        return str(self._answers.get(key, {}).get("service", ""))

    def _outcome(self, key: str) -> SendFailed | None:
        answer = self._answers.get(key)
        if answer is None:
            return SendFailed(f"no answer within {self._seconds:g} s" if self._process else "its process could not be started")
        return None if answer["ok"] else SendFailed(str(answer["why"])[:200], permanent=bool(answer["permanent"]))

    def _read(self) -> None:
        if self._process is None or self._process.stdout is None:
            return
        for line in self._process.stdout:
            answer = json.loads(line)
            self._answers[str(answer["id"])] = answer


def check(url: str, *, own: bool) -> str:
    """Return what a channel at this address may be shown as, "ntfys on ntfy.sh": nothing in it is secret.

    `own`: a person names it for themselves, so only well-known services are taken. Starts a process (about half a second).
    Raises SendFailed, always permanent, with words for whoever typed it.
    """
    if len(url) > LONGEST_URL or not url.isprintable() or " " in url or "://" not in url:
        raise SendFailed("Write one address as Apprise has them, as ntfys://ntfy.sh/topic.", permanent=True)
    scheme = url.split("://", 1)[0].lower()
    if own and scheme not in OWN and not url.lower().startswith("https://"):
        raise SendFailed(f"{scheme} is for administrators to set up. Yours may be: {', '.join(sorted(OWN))}.", permanent=True)
    with Round([Post("asked", url)]) as asking:
        outcome = asking.outcomes()["asked"]
        service = asking.service_of("asked")
    if outcome is not None:
        raise SendFailed(f"{outcome.reason}.", permanent=True)
    return label_of(url, service)


def label_of(url: str, service: str) -> str:
    """Return the service's name, with the host where it surely is one: many addresses keep a token in the host's place."""
    parts = urlsplit(url)
    host = parts.hostname or ""
    is_host = parts.scheme in NAMED_BY_HOST and (parts.path.strip("/") or parts.scheme in ("mailto", "mailtos"))
    shows = is_host and "." in host and not host.replace(".", "").isdigit() and len(host) <= 60
    return f"{service} ({host})" if shows else service


def _environment() -> dict[str, str]:
    """Return all that the process knows of ours: none of the secrets that stand in our own environment."""
    authorities = ssl.get_default_verify_paths().cafile
    return {"LANG": "C.UTF-8", "PYTHONDONTWRITEBYTECODE": "1", **({"SSL_CERT_FILE": authorities} if authorities else {})}


def _start(asked: dict[str, Any]) -> subprocess.Popen[bytes]:
    root = Path(__file__).resolve().parents[2]
    process = subprocess.Popen(
        [sys.executable, "-m", "escalations.senders.child"], stdin=subprocess.PIPE, stdout=subprocess.PIPE, stderr=subprocess.DEVNULL,
        cwd=root, env=_environment(),
        start_new_session=True,
    )  # fmt: skip
    if process.stdin is None:
        raise RuntimeError("the channel process has no input")
    try:
        with process.stdin as to:
            to.write(json.dumps(asked).encode())
    except BrokenPipeError:  # it could not even start; every post counts as unanswered
        pass
    return process
