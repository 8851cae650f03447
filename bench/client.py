"""A small load generator: HTTP/1.1 over kept connections, nothing but asyncio, so that it costs the server's cores little.

    python bench/client.py post HOST PORT KEY CONNECTIONS SECONDS        posts incidents of 2 KB, prints JSON
    python bench/client.py wait HOST PORT KEY SECONDS < ids              waits for each id on a connection of its own

Both speak of moments on CLOCK_MONOTONIC, which all processes of one machine share.
"""

import asyncio
import json
import sys
import time
import uuid


def incident(number: int) -> bytes:
    """Return an incident of about 2 KB."""
    return json.dumps({
        "kind": "action", "title": f"Refund $250 for order {number}",
        "context": {"request": "I was charged twice and want the second charge back. " * 12, "why": "Charged twice. " * 20,
                    "attempts": [{"tool": "get_order", "arguments": {"order": number}, "result": "charged 250.00 twice; " * 25}]},
        "proposal": {"action": "refund", "args": {"order": number, "amount": 250}, "confidence": 0.62},
    }).encode()


async def answer(reader: asyncio.StreamReader) -> tuple[int, bytes]:
    """Read one answer with a Content-Length or chunks."""
    head = await reader.readuntil(b"\r\n\r\n")
    status = int(head[9:12])
    lower = head.lower()
    if b"content-length:" in lower:
        length = int(lower.split(b"content-length:")[1].split(b"\r\n")[0])
        return status, await reader.readexactly(length)
    body = b""
    while size := int(await reader.readline(), 16):
        body += (await reader.readexactly(size + 2))[:-2]
    await reader.readline()
    return status, body


async def post(host: str, port: int, key: str, connections: int, seconds: float) -> dict[str, object]:
    """Post for `seconds` on so many connections; each post has a key of its own."""
    end = time.monotonic() + seconds
    times: list[float] = []
    statuses: dict[int, int] = {}

    async def one(worker: int) -> None:
        reader, writer = await asyncio.open_connection(host, port)
        number = worker * 10_000_000
        while time.monotonic() < end:
            number += 1
            body = incident(number)
            began = time.monotonic()
            writer.write(
                f"POST /api/v1/incidents HTTP/1.1\r\nHost: {host}\r\nX-Forwarded-Proto: https\r\nAuthorization: Bearer {key}\r\n"
                f"Content-Type: application/json\r\nIdempotency-Key: {uuid.uuid4()}\r\nContent-Length: {len(body)}\r\n\r\n".encode()
                + body
            )
            status, _ = await answer(reader)
            times.append(time.monotonic() - began)
            statuses[status] = statuses.get(status, 0) + 1
        writer.close()

    began = time.monotonic()
    await asyncio.gather(*(one(worker) for worker in range(connections)))
    took = time.monotonic() - began
    times.sort()
    return {
        "accepted": statuses.get(201, 0), "per_second": statuses.get(201, 0) / took, "statuses": statuses,
        "p50_ms": 1000 * times[len(times) // 2], "p99_ms": 1000 * times[int(len(times) * 0.99)],
    }


async def wait(host: str, port: int, key: str, seconds: int, ids: list[str]) -> None:
    """Wait for every id at once; print "ready", then a line {"id", "at", "status"} as each answer comes."""
    open_now = 0
    arriving = asyncio.Semaphore(64)

    async def one(identifier: str) -> None:
        nonlocal open_now
        await arriving.acquire()
        asyncio.get_running_loop().call_later(0.5, arriving.release)  # some 128 a second arrive, as agents would
        reader, writer = await asyncio.open_connection(host, port)
        writer.write(
            f"GET /api/v1/incidents/{identifier}?wait={seconds} HTTP/1.1\r\nHost: {host}\r\nX-Forwarded-Proto: https\r\n"
            f"Authorization: Bearer {key}\r\n\r\n".encode()
        )
        await writer.drain()
        open_now += 1
        if open_now == len(ids):
            print("ready", flush=True)
        status, body = await answer(reader)
        at = time.monotonic()
        said = json.loads(body).get("status") if status == 200 else None
        print(json.dumps({"id": identifier, "at": at, "status": status, "said": said}), flush=True)
        writer.close()

    await asyncio.gather(*(one(identifier) for identifier in ids))


if __name__ == "__main__":
    verb, host, port, key, *rest = sys.argv[1:]
    if verb == "post":
        print(json.dumps(asyncio.run(post(host, int(port), key, int(rest[0]), float(rest[1])))))
    else:
        asyncio.run(wait(host, int(port), key, int(rest[0]), sys.stdin.read().split()))
