"""Browsers' streams read as they come, driven through the two doors without a server."""

import asyncio
import json
from contextlib import asynccontextmanager

from django.conf import settings
from django.contrib.auth import BACKEND_SESSION_KEY, HASH_SESSION_KEY, SESSION_KEY
from django.contrib.sessions.backends.db import SessionStore
from django.db import connection, connections

from reviews import live


def session_of(person):
    session = SessionStore()
    session[SESSION_KEY] = str(person.pk)
    session[BACKEND_SESSION_KEY] = "django.contrib.auth.backends.ModelBackend"
    session[HASH_SESSION_KEY] = person.get_session_auth_hash()
    session.save()
    return session.session_key


class Stream:
    """One browser's stream, read as it comes."""

    def __init__(self, application, key, query="", headers=()):
        self.events = []
        self.status = None
        self.headers = {}
        self.asked = False
        self.gone = asyncio.Event()
        self.task = asyncio.create_task(application(scope(key, query, headers), self.receive, self.send))

    async def receive(self):
        if not self.asked:
            self.asked = True
            return {"type": "http.request", "body": b"", "more_body": False}
        await self.gone.wait()
        return {"type": "http.disconnect"}

    async def hang_up(self):
        self.gone.set()
        await self.task

    async def send(self, message):
        if message["type"] == "http.response.start":
            self.status, self.headers = message["status"], {name.lower(): value for name, value in message["headers"]}
        for block in message.get("body", b"").decode().split("\n\n"):
            fields = dict(line.split(": ", 1) for line in block.splitlines())
            if "event" in fields:
                self.events.append((fields["event"], fields["data"]))

    @property
    def named(self):
        return {pk for event, data in self.events if event == "changed" for pk in json.loads(data)}

    @property
    def arrivals(self):
        return sum(int(data) for event, data in self.events if event == "arrived")


def scope(key, query="", headers=()):
    cookie = f"{settings.SESSION_COOKIE_NAME}={key}".encode()
    return {
        "type": "http", "http_version": "1.1", "method": "GET", "path": "/live/", "raw_path": b"/live/", "query_string": query.encode(),
        "root_path": "", "scheme": "http", "headers": [(b"host", b"testserver"), (b"cookie", cookie), *headers], "server": ("testserver", 80),
    }  # fmt: skip


async def until(condition, seconds=5):
    async with asyncio.timeout(seconds):
        while not condition():
            await asyncio.sleep(0.01)


@asynccontextmanager
async def streams(application, *keys, query=""):
    """Open a stream for each key; when the block begins, all of them are read, and ended when it is left."""
    opened = [Stream(application, key, query) for key in keys]
    refused = lambda: sum(one.status == 204 for one in opened)  # noqa: E731
    await until(lambda: all(one.status for one in opened) and len(live.feed().readers) == len(opened) - refused(), 30)
    yield opened
    await asyncio.gather(*(one.hang_up() for one in opened))
    await until(lambda: not live.feed().readers)
    if live.feed().task:
        await live.feed().task


async def do(function, *args, **options):
    """Do something in another thread, as another process would."""

    def run():
        try:
            return function(*args, **options)
        finally:
            connections.close_all()

    return await asyncio.to_thread(run)


def backends():
    """Return how many connections there are to this database, without the one that asks."""
    with connection.cursor() as cursor:
        cursor.execute("SELECT count(*) FROM pg_stat_activity WHERE datname = current_database() AND pid <> pg_backend_pid()")
        count = cursor.fetchone()[0]
    connection.close()
    return count
