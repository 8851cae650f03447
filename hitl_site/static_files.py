"""Static files, served before Django: a file costs no thread and no middleware."""

import gzip
from functools import lru_cache
from typing import Any

from django.conf import settings
from django.contrib.staticfiles.finders import get_finders
from servestatic import ServeStaticASGI

SMALL = 500  # bytes; not worth it below
WORTH_IT = (b"text/", b"application/javascript", b"image/svg")


def static_files(application: Any) -> Any:
    """Return the application with every installed static file in front of it; in development files may change meanwhile."""
    served = ServeStaticASGI(application, autorefresh=settings.DEBUG, max_age=0 if settings.DEBUG else 3600)
    for finder in get_finders():
        for storage in getattr(finder, "storages", {}).values():
            served.add_files(storage.location, prefix=settings.STATIC_URL)
    return Squeezed(served)


class Squeezed:
    """Sends static text compressed to whoever takes it so. Pages are left as they are: with a secret and a stranger's words in one
    page, its compressed length would give the secret away bit by bit."""

    def __init__(self, application: Any) -> None:
        self.application = application

    async def __call__(self, scope: Any, receive: Any, send: Any) -> None:
        if scope["type"] == "http" and scope["method"] == "GET" and scope["path"].startswith(settings.STATIC_URL):
            headers = dict(scope["headers"])
            if b"gzip" in headers.get(b"accept-encoding", b"") and b"range" not in headers:
                send = Holding(send).send
        await self.application(scope, receive, send)


class Holding:
    """Holds an answer back until all of it is there, and sends it compressed."""

    def __init__(self, send: Any) -> None:
        self.onward = send
        self.begun: Any = None
        self.body = b""

    async def send(self, message: Any) -> None:
        if message["type"] == "http.response.start" and message["status"] == 200 and _worth_it(dict(message["headers"])):
            self.begun = message
        elif self.begun is None or message["type"] != "http.response.body":
            await self.onward(message)
        else:
            self.body += message.get("body", b"")
            if not message.get("more_body"):
                body = squeezed(self.body)
                kept = [pair for pair in self.begun["headers"] if pair[0].lower() not in (b"content-length", b"vary")]
                headers = [(b"content-encoding", b"gzip"), (b"vary", b"Accept-Encoding"), (b"content-length", b"%d" % len(body))]
                await self.onward({**self.begun, "headers": [*kept, *headers]})
                await self.onward({"type": "http.response.body", "body": body})


def _worth_it(headers: dict[bytes, bytes]) -> bool:
    names = {name.lower(): value for name, value in headers.items()}
    long_enough = int(names.get(b"content-length", b"0")) >= SMALL
    return long_enough and b"content-encoding" not in names and names.get(b"content-type", b"").startswith(WORTH_IT)


@lru_cache(maxsize=200)
def squeezed(body: bytes) -> bytes:
    """Return the body compressed; once for each that there is. Some milliseconds for the largest."""
    return gzip.compress(body, 9, mtime=0)
