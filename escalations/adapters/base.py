"""What all adapters share: a route that holds no thread while it waits, and one way in."""

from collections.abc import Awaitable, Callable
from dataclasses import dataclass
from typing import Any

from django.http import HttpRequest, HttpResponse
from django.views.decorators.csrf import csrf_exempt

from escalations import canonical, errors, ingest
from escalations.api import doors, fields, inputs, parsers, problems, waiting
from escalations.api.auth import Caller
from escalations.models import ApiKey, Incident


@dataclass(frozen=True)
class Later:
    """An answer that waits: when the incident has one (or the run an order), or after `seconds`, `then()` makes it in a thread."""

    thing: waiting.Thing
    seconds: float
    then: Callable[[], HttpResponse]


def route(
    view: Callable[..., HttpResponse | Later], *, methods: tuple[str, ...] = ("POST",), limit: int, says: Callable[..., HttpResponse],
) -> Callable[..., Awaitable[HttpResponse]]:
    """Return the asynchronous route to `view(request, body, **names in the path)`, which runs in a thread and may use the database.

    `body` are the bytes that were sent, at most `limit` of them, whether a length was declared or not; more raises TooLarge.
    Whatever is raised is said by `says(error)`, one of `escalations.errors`, in the shape its client reads.
    """

    def run(request: HttpRequest, names: dict[str, Any]) -> HttpResponse | Later:
        if request.method not in methods:
            raise problems.MethodNotAllowed(allow=list(methods))
        body = sent(request, limit + 1)
        if len(body) > limit:
            raise errors.TooLarge(f"The body is larger than {limit} bytes.")
        return view(request, body, **names)

    async def answer(request: HttpRequest, **names: Any) -> HttpResponse:
        try:
            given = await doors.in_thread(request, run, request, names)
            if isinstance(given, Later):
                await doors.wait(request, given.thing, given.seconds)
                said = await doors.in_thread(request, given.then)
            else:
                said = given
        except Exception as error:  # noqa: BLE001 - whatever it is, the client is told in its own words
            said = says(problems.as_error(error))
        said["Content-Length"] = str(len(said.content))
        return said

    return csrf_exempt(answer)  # no cookies here: the key is the credential


def sent(request: HttpRequest, most: int) -> bytes:
    """Return the first `most` bytes of the body. Under WSGI Django takes a chunked one for empty; its server knows where it ends."""
    if request.META.get("wsgi.input_terminated") and not request.META.get("CONTENT_LENGTH"):
        return bytes(request.META["wsgi.input"].read(most))
    return request.read(most)


def post(caller: Caller, data: dict[str, Any], *, key: str | None, strict: bool = False) -> tuple[Incident, bool]:
    """Store what a client reported as the incident `data` (the contract's input, without `key`); return it, and whether it was there.

    What came with the same key before is the same thing whatever it says now, unless `strict`: then other words with the same key
    raise IdempotencyMismatch. Raises Invalid where the contract is not kept. Broken text is mended, as everywhere.
    """
    whole = parsers.mended(data)
    checked = fields.read(inputs.IncidentIn, whole, source=caller.as_source)
    try:
        return ingest.receive(
            source=caller.as_source, key_env=caller.env, data=checked, key=key, body_digest=canonical.body_digest(whole),
            sanitised=whole != data,
        )
    except errors.IdempotencyMismatch:
        known = Incident.objects.select_related("source").get(source=caller.as_source, key=key)
        if strict or known.test != (caller.env == ApiKey.TEST):  # a rehearsal is never the real thing
            raise
        return known, True


def own(caller: Caller, **which: Any) -> Incident | None:
    """Return the newest incident of the calling source that fits, with a test key only of its tests; None. One query."""
    found = Incident.objects.filter(source=caller.as_source, **which).select_related("source").order_by("-pk")
    return found.filter(test=True).first() if caller.env == ApiKey.TEST else found.first()
