"""Long answers, a piece at a time: no more in memory than one piece, and no database connection between two."""

from collections.abc import AsyncIterator, Iterator

from asgiref.sync import sync_to_async
from django.core.handlers.asgi import ASGIRequest
from django.db import connections
from django.http import HttpRequest, StreamingHttpResponse


async def later(parts: Iterator[str]) -> AsyncIterator[str]:
    """Yield what another thread makes, piece by piece; its connection goes back to the pool after each."""

    def one() -> str | None:
        try:
            return next(parts, None)
        finally:
            connections.close_all()

    step = sync_to_async(one, thread_sensitive=False)
    while (part := await step()) is not None:
        yield part


def answer(request: HttpRequest, parts: Iterator[str], *, content_type: str, name: str) -> StreamingHttpResponse:
    """Return a download that is made while it is sent. `name` is the file's; nothing keeps it on its way."""
    # Django would read a plain iterator to its end before it sends the first byte of an asynchronous answer.
    body = later(parts) if isinstance(request, ASGIRequest) or hasattr(request, "scope") else parts
    response = StreamingHttpResponse(body, content_type=content_type)
    response["Content-Disposition"] = f'attachment; filename="{name}"'
    response["Cache-Control"] = "no-store"
    return response
