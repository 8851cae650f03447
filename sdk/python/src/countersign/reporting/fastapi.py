"""FastAPI and Starlette: `install(app)`. What nothing else handled is reported, and the caller told what became of it.

The exception goes on to the server's own log as before. An app that has a handler for `Exception` keeps it: its answer gets headers.
With `debug=True` the framework shows its own page and calls no handler, so nothing is reported.
"""

from __future__ import annotations

import inspect
import logging
from collections.abc import Callable
from typing import Any

from starlette.concurrency import run_in_threadpool
from starlette.requests import Request
from starlette.responses import JSONResponse, Response

from .answering import request_of
from .receipt import Receipt
from .reporter import Reporter, current

log = logging.getLogger("countersign.reporting")


def install(app: Any, reporter: Reporter | None = None, *, wait: float | None = None) -> None:
    """Report what fails in `app`, a FastAPI or Starlette application. `wait` is for this app; else the reporter's holds.

    Inside a handler `request.state.countersign` is the receipt.
    """
    handlers: dict[Any, Callable[..., Any]] = app.exception_handlers
    own = handlers.get(Exception) or handlers.get(500)

    async def handle(request: Request, error: Exception) -> Response:
        receipt = await (reporter or current()).areport(error, wait=wait, request=_told(request))
        request.state.countersign = receipt
        response = await _answered(own, request, error) if own is not None else _answer(receipt)
        for name, value in receipt.headers().items():
            response.headers.setdefault(name, value)
        return response

    if own is not None:
        # Starlette takes 500 and Exception alike, whichever was named last.
        handlers.pop(500, None)
    app.add_exception_handler(Exception, handle)


def _answer(receipt: Receipt) -> Response:
    return JSONResponse(receipt.as_json(), status_code=500)


async def _answered(own: Callable[..., Any], request: Request, error: Exception) -> Response:
    if inspect.iscoroutinefunction(own):
        answered: Response = await own(request, error)
    else:
        answered = await run_in_threadpool(own, request, error)
    return answered


def _told(request: Request) -> dict[str, Any]:
    route = getattr(request.scope.get("route"), "path", "")
    return request_of(request.scope.get("method") or request.scope["type"], request.scope.get("path", ""), route)
