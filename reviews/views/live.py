"""The door of the live stream. It stands beside the pages' middleware, which would hold a thread for each reader."""

from django.conf import settings
from django.core.handlers.asgi import ASGIRequest
from django.http import HttpRequest, HttpResponse, HttpResponseBase, StreamingHttpResponse

from .. import live, live_rows, run_watch
from ..partials import fresh
from .inbox import number


async def stream(request: HttpRequest) -> HttpResponseBase:
    """Answer with the stream of who is signed in; 204, after which a browser does not ask again, when there is none to have.

    That is so for strangers, when too many read already, and where no event loop of ours would serve it (WSGI).
    """
    nothing = fresh(HttpResponse(status=204))
    key = request.COOKIES.get(settings.SESSION_COOKIE_NAME, "")
    if request.method != "GET" or not key or not isinstance(request, ASGIRequest):
        return nothing
    reading = await live.aside(live_rows.reading, key)
    if reading is None or not live.feed().has_room(reading.person_id):
        return nothing
    since = request.headers.get("Last-Event-ID") or request.GET.get("since")
    runs = run_watch.asked_for(request.GET.get("runs", ""))
    lines = live.feed().lines(reading, number(since) if since else None, runs)
    answer = StreamingHttpResponse(lines, content_type="text/event-stream; charset=utf-8")
    answer["Cache-Control"] = "no-store"
    answer["X-Accel-Buffering"] = "no"  # nginx would collect it
    return answer
