"""A network between agents and Countersign that breaks wherever it likes: in a request, while it is waited, in an answer."""

import asyncio
import contextlib
import random
import threading
from collections import Counter
from dataclasses import dataclass

PIECE = 64 * 1024
LONGEST_REQUEST, LONGEST_ANSWER = 900, 2_500  # bytes within which a cut is drawn: about as long as they are here
LONGEST_WAIT = 3.0  # seconds


@dataclass
class Fate:
    """Where one connection breaks: after so many bytes asked or answered, after so long a silence, at once, or never."""

    asked: float = float("inf")
    answered: float = float("inf")
    silent: float | None = None
    at_once: bool = False
    name: str = ""


class Cutter:
    """Passes bytes on to `port` and cuts a share of the connections at a random point. A context manager; `url` is its address."""

    def __init__(self, port: int, chance: random.Random, share: float = 0.7) -> None:
        self.upstream, self.chance, self.share = port, chance, share
        self.cuts: Counter[str] = Counter()
        self.vain = 0  # tries while there was no server
        self.open = 0  # requests that were passed on and have no answer yet
        self._ready, self._over = threading.Event(), threading.Event()
        self._thread = threading.Thread(target=lambda: asyncio.run(self._serve()), daemon=True)
        self.port = 0

    @property
    def url(self) -> str:
        return f"http://127.0.0.1:{self.port}"

    def __enter__(self) -> "Cutter":
        self._thread.start()
        assert self._ready.wait(30), "the network did not come up"
        return self

    def __exit__(self, *error: object) -> None:
        self._over.set()
        self._thread.join(30)

    def calm(self) -> None:
        """Cut nothing any more that is not connected yet."""
        self.share = 0.0

    async def _serve(self) -> None:
        server = await asyncio.start_server(self._connected, "127.0.0.1", 0)
        self.port = server.sockets[0].getsockname()[1]
        self._ready.set()
        async with server:
            await asyncio.to_thread(self._over.wait)

    def _drawn(self) -> Fate:
        if self.chance.random() >= self.share:
            return Fate()
        name = self.chance.choice(["in the request", "while waiting", "while waiting", "in the answer", "in the answer", "at once"])
        return {
            "in the request": Fate(asked=self.chance.randint(1, LONGEST_REQUEST), name=name),
            "while waiting": Fate(silent=self.chance.uniform(0, LONGEST_WAIT), name=name),
            "in the answer": Fate(answered=self.chance.randint(1, LONGEST_ANSWER), name=name),
            "at once": Fate(at_once=True, name=name),
        }[name]

    async def _connected(self, near: asyncio.StreamReader, to_near: asyncio.StreamWriter) -> None:
        try:
            far, to_far = await asyncio.open_connection("127.0.0.1", self.upstream)
        except OSError:
            self.vain += 1
            to_near.transport.abort()
            return
        fate = self._drawn()
        if fate.at_once:
            self._cut(fate, to_near, to_far)
            return
        line = _Line(self, fate, to_near, to_far)
        pumps = [asyncio.create_task(line.ask(near)), asyncio.create_task(line.answer(far))]
        try:
            with contextlib.suppress(OSError):
                await asyncio.wait(pumps, return_when=asyncio.FIRST_COMPLETED)
        finally:
            for pump in pumps:
                pump.cancel()
            await asyncio.gather(*pumps, return_exceptions=True)
            line.answered_all()
            for writer in (to_near, to_far):
                writer.transport.abort() if line.broken else writer.close()

    def _cut(self, fate: Fate, *writers: asyncio.StreamWriter) -> None:
        self.cuts[f"cut {fate.name}"] += 1
        for writer in writers:
            writer.transport.abort()


class _Line:
    """One connection: how much went each way, and whether somebody waits on it."""

    def __init__(self, cutter: Cutter, fate: Fate, to_near: asyncio.StreamWriter, to_far: asyncio.StreamWriter) -> None:
        self.cutter, self.fate, self.to_near, self.to_far = cutter, fate, to_near, to_far
        self.asked = self.got = 0
        self.waiting = self.broken = False

    async def ask(self, near: asyncio.StreamReader) -> None:
        while data := await near.read(PIECE):
            left = self.fate.asked - self.asked
            self.asked += len(data)
            if len(data) >= left:
                self.to_far.write(data[: int(left)])
                with contextlib.suppress(OSError):
                    await self.to_far.drain()
                self._break()
                return
            if not self.waiting:
                self.waiting = True
                self.cutter.open += 1
            self.to_far.write(data)
            await self.to_far.drain()
            if self.fate.silent is not None:
                asyncio.get_running_loop().call_later(self.fate.silent, self._break_if_waiting)

    async def answer(self, far: asyncio.StreamReader) -> None:
        while data := await self._heard(far):
            self.answered_all()
            left = self.fate.answered - self.got
            self.got += len(data)
            self.to_near.write(data[: int(left)] if len(data) >= left else data)
            with contextlib.suppress(OSError):
                await self.to_near.drain()
            if len(data) >= left:
                self._break()
                return

    async def _heard(self, far: asyncio.StreamReader) -> bytes:
        try:
            return await far.read(PIECE)
        except OSError:
            return b""

    def answered_all(self) -> None:
        if self.waiting:
            self.waiting = False
            self.cutter.open -= 1

    def _break_if_waiting(self) -> None:
        if self.waiting and not self.broken:
            self._break()

    def _break(self) -> None:
        self.broken = True
        self.cutter._cut(self.fate, self.to_near, self.to_far)
