"""Agents whose runs are watched, as load: HTTP/1.1 over kept connections, nothing but asyncio.

    python bench/agents.py steps PORT KEY SECONDS BATCH < ids            each run takes steps as fast as it is answered; prints JSON
    python bench/agents.py live PORT KEY STEPS_A_SECOND < ids            each run steps at its pace, listens, and ends when told to stop

Moments are on CLOCK_MONOTONIC, which all processes of one machine share.
"""

import asyncio
import json
import random
import sys
import time
from typing import Any

from client import answer

ARRIVING = 8  # seconds within which live runs begin to listen
HEAD = "HTTP/1.1\r\nHost: 127.0.0.1\r\nX-Forwarded-Proto: https\r\nAuthorization: Bearer {key}\r\n"


class Run:
    """One run and its connections."""

    def __init__(self, port: int, key: str, pk: str) -> None:
        self.port, self.pk, self.head = port, pk, HEAD.format(key=key)
        self.number = 0

    def step(self, batch: int) -> bytes:
        """Return a request with so many new steps of some 500 bytes."""
        steps = []
        for _ in range(batch):
            self.number += 1
            steps.append({
                "number": self.number, "tool": "search", "args": {"query": f"flights to Oslo, page {self.number}", "limit": 20},
                "result": {"found": [f"offer {self.number}-{one} at 129.00 EUR" for one in range(8)]}, "tokens": 420, "cost": "0.0013",
            })
        return self.post("steps", steps[0] if batch == 1 else {"steps": steps})

    def post(self, what: str, data: object) -> bytes:
        body = json.dumps(data).encode()
        length = f"Content-Type: application/json\r\nContent-Length: {len(body)}\r\n\r\n"
        return f"POST /api/v1/sessions/{self.pk}/{what} {self.head}{length}".encode() + body

    def ask(self, wait: int, seen: int) -> bytes:
        return f"GET /api/v1/sessions/{self.pk}/directive?wait={wait}&seen={seen} {self.head}\r\n".encode()


class Line:
    """A kept connection. A call it breaks on, or that was refused because too much came at once, is sent again, as a client would."""

    def __init__(self, port: int) -> None:
        self.port = port
        self.ends: tuple[asyncio.StreamReader, asyncio.StreamWriter] | None = None

    async def say(self, request: bytes) -> tuple[int, dict[str, Any]]:
        while True:
            try:
                if self.ends is None:
                    self.ends = await asyncio.open_connection("127.0.0.1", self.port)
                self.ends[1].write(request)
                status, body = await answer(self.ends[0])
            except (asyncio.IncompleteReadError, ConnectionError):
                self.close()
                continue
            if status != 503:
                return status, json.loads(body)
            await asyncio.sleep(1 + random.random())

    def close(self) -> None:
        if self.ends is not None:
            self.ends[1].close()
        self.ends = None


async def steps(runs: list[Run], seconds: float, batch: int) -> dict[str, object]:
    """Step for `seconds` on a connection for each run."""
    end = time.monotonic() + seconds
    times: list[float] = []
    wrong: dict[int, int] = {}

    async def one(run: Run) -> None:
        line = Line(run.port)
        while time.monotonic() < end:
            began = time.monotonic()
            status, _ = await line.say(run.step(batch))
            times.append(time.monotonic() - began)
            if status != 200:
                wrong[status] = wrong.get(status, 0) + 1
        line.close()

    began = time.monotonic()
    await asyncio.gather(*(one(run) for run in runs))
    took = time.monotonic() - began
    times.sort()
    return {
        "per_second": len(times) * batch / took, "wrong": wrong, "p50_ms": 1000 * times[len(times) // 2],
        "p99_ms": 1000 * times[int(len(times) * 0.99)],
    }


async def live(runs: list[Run], pace: float) -> None:
    """Let every run step and listen; print "ready" once all do, and a line {"id", "at"} for each that hears that it is to stop."""
    listening = 0
    taken = 0
    began = time.monotonic()

    async def step(run: Run, stopped: asyncio.Event) -> None:
        nonlocal taken
        await asyncio.sleep(random.random() * len(runs) / pace)
        line = Line(run.port)
        while not stopped.is_set():
            _, told = await line.say(run.step(1))
            taken += 1
            if told["directive"]["directive"] == "stop":
                hear(run, stopped)
            await asyncio.sleep(len(runs) / pace)
        await line.say(run.post("end", {"outcome": "stopped"}))
        line.close()

    async def listen(run: Run, stopped: asyncio.Event) -> None:
        nonlocal listening
        await asyncio.sleep(random.random() * ARRIVING)
        line = Line(run.port)
        seen = 0
        listening += 1
        if listening == len(runs):
            print("ready", flush=True)
        while not stopped.is_set():
            _, told = await line.say(run.ask(50, seen))
            seen = told["number"]
            if told["directive"] == "stop":
                hear(run, stopped)
        line.close()

    def hear(run: Run, stopped: asyncio.Event) -> None:
        if not stopped.is_set():
            stopped.set()
            print(json.dumps({"id": run.pk, "at": time.monotonic()}), flush=True)

    together = []
    for run in runs:
        stopped = asyncio.Event()
        together += [step(run, stopped), listen(run, stopped)]
    await asyncio.gather(*together)
    print(json.dumps({"taken": taken, "per_second": taken / (time.monotonic() - began)}), flush=True)


if __name__ == "__main__":
    verb, port, key, *rest = sys.argv[1:]
    runs = [Run(int(port), key, pk) for pk in sys.stdin.read().split()]
    if verb == "steps":
        print(json.dumps(asyncio.run(steps(runs, float(rest[0]), int(rest[1])))))
    else:
        asyncio.run(live(runs, float(rest[0])))
