"""A web service whose exceptions are triaged: who called is told what becomes of the failure, at once, and never waits for it.

Without arguments it serves on port 8100; `--once` calls itself once and prints what its caller was told.
"""

# /// script
# requires-python = ">=3.10"
# dependencies = ["countersign", "fastapi", "uvicorn"]
# ///

import asyncio
import json
import sys

import httpx
import uvicorn
from countersign.reporting import Reporter
from countersign.reporting.fastapi import install
from fastapi import FastAPI

app = FastAPI(title="Orders")
reporter = Reporter()
install(app, reporter, wait=5.0 if "--once" in sys.argv else None)


class CardDeclined(Exception):
    """The bank says no."""


@app.get("/orders/{number}/pay")
def pay(number: int) -> dict[str, str]:
    """Pay an order; the bank of order 13 always says no."""
    if number == 13:
        raise CardDeclined(f"card declined for order {number}: insufficient funds")
    return {"order": str(number), "state": "paid"}


async def call_once() -> None:
    """Call the failing address as a client would, and print what it is told."""
    transport = httpx.ASGITransport(app=app, raise_app_exceptions=False)
    async with httpx.AsyncClient(transport=transport, base_url="http://orders.example", timeout=30) as http:
        answer = await http.get("/orders/13/pay")
    print(answer.status_code, json.dumps(answer.json()))


def main() -> int:
    """Serve, or call once."""
    if "--once" in sys.argv:
        asyncio.run(call_once())
    else:
        uvicorn.run(app, host="127.0.0.1", port=8100)
    return 0


if __name__ == "__main__":
    try:
        sys.exit(main())
    finally:
        reporter.close()
