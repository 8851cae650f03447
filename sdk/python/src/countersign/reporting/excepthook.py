"""Scripts and workers: `install()` reports what ends the program or a thread, after Python has printed it."""

from __future__ import annotations

import sys
import threading
from collections.abc import Callable
from types import TracebackType
from typing import Any

from .receipt import Receipt
from .reporter import Reporter, current

SEEING_OUT = 2.0  # seconds a program that ends anyway takes to send, before what is left is kept


def install(reporter: Reporter | None = None, *, seconds: float = SEEING_OUT, say: bool = True) -> Callable[[], None]:
    """Report uncaught exceptions of the program and its threads; return a function that undoes it.

    A program that ends waits at most `seconds` until the report is sent, then it is kept for the next run. With `say` one line on
    stderr tells what became of it. The hooks that were there before are called first.
    """
    before, before_thread = sys.excepthook, threading.excepthook

    def ended(kind: type[BaseException], error: BaseException, at: TracebackType | None) -> None:
        before(kind, error, at)
        used = reporter or current()
        receipt = used.report(error, wait=min(seconds, max(used.wait, 0.0)))
        if receipt.state == "queued":
            used.flush(seconds)
            receipt = used.report(error, wait=0)
        if say:
            _say(receipt)

    def thread_ended(args: Any) -> None:
        before_thread(args)
        if args.exc_value is not None:
            (reporter or current()).report(args.exc_value, wait=0, payload={"thread": getattr(args.thread, "name", None)})

    def undo() -> None:
        if sys.excepthook is ended:
            sys.excepthook = before
        if threading.excepthook is thread_ended:
            threading.excepthook = before_thread

    sys.excepthook, threading.excepthook = ended, thread_ended
    return undo


def _say(receipt: Receipt) -> None:
    if receipt.state == "dropped" or sys.stderr is None:
        return
    known = [f"incident {receipt.incident}" if receipt.incident else f"reference {receipt.reference}", receipt.level or ""]
    sys.stderr.write(f"countersign: {', '.join(one for one in [*known, receipt.message] if one)}\n")
