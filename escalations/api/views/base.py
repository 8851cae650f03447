"""What every call shares: who may, how a body is read, one retry after a deadlock, problems for errors."""

import re
from collections.abc import Callable
from dataclasses import dataclass
from typing import Any

from django.conf import settings
from django.http import HttpRequest
from rest_framework.negotiation import BaseContentNegotiation
from rest_framework.parsers import BaseParser
from rest_framework.renderers import BaseRenderer, JSONRenderer
from rest_framework.request import Request
from rest_framework.response import Response
from rest_framework.views import APIView

from escalations.api import parsers, problems, waiting
from escalations.api.auth import Bearer, Caller
from escalations.errors import Invalid, NotFound, TooLarge
from escalations.models import ApiKey, Incident

MAX_WAIT = 60  # seconds
MAX_KEY = 255
_SECONDS = re.compile(r"[0-9]{1,6}(\.[0-9]{1,6})?")
JSON_TYPES = frozenset({"application/json"})


@dataclass(frozen=True)
class Later:
    """What a call with `?wait=` waits for, and what makes its answer then, in a thread. A response carries it as `later`."""

    thing: waiting.Thing
    then: Callable[[], Any]


class JsonBody(BaseParser):
    """Names the one media type; the body itself is read by `Door.body`, before REST framework would."""

    media_type = "application/json"

    def parse(self, stream: Any, media_type: str | None = None, parser_context: Any = None) -> Any:
        """Return nothing: no view here reads `request.data`."""
        return {}


class AlwaysJson(BaseContentNegotiation):
    """JSON whatever the Accept header says: there is nothing else, and an error must be readable too."""

    def select_parser(self, request: Request, parsers: list[BaseParser]) -> BaseParser:
        return parsers[0]

    def select_renderer(
        self, request: Request, renderers: list[BaseRenderer], format_suffix: str | None = None
    ) -> tuple[BaseRenderer, str]:
        return renderers[0], renderers[0].media_type


class Door(APIView):
    """A call. Subclasses name who may (`permission_classes`) and the methods."""

    authentication_classes = [Bearer]
    parser_classes = [JsonBody]
    renderer_classes = [JSONRenderer]
    content_negotiation_class = AlwaysJson
    metadata_class = None
    signed: tuple[str, ...] = ()  # members of a body in which broken text is refused

    @property
    def allowed_methods(self) -> list[str]:
        """Return the methods this call has; OPTIONS says nothing here."""
        return [method for method in super().allowed_methods if method != "OPTIONS"]

    @property
    def default_response_headers(self) -> dict[str, str]:
        """Return none: `Allow` belongs to a 405."""
        return {}

    @property
    def caller(self) -> Caller:
        return self.request.auth  # type: ignore[no-any-return]

    def dispatch(self, request: HttpRequest, *args: Any, **kwargs: Any) -> Response:
        """Run the call; after a deadlock or a serialization failure once more, since nothing of it was kept."""
        self._tries = 0
        return super().dispatch(request, *args, **kwargs)

    def handle_exception(self, exc: Exception) -> Response:
        """Return the answer to the second try, or the problem."""
        if problems.may_try_again(exc) and self._tries == 0:
            self._tries = 1
            try:
                method = getattr(self, self.request.method.lower())
                answer: Response = method(self.request, *self.args, **self.kwargs)
                return answer
            except Exception as again:  # noqa: BLE001 - whatever it is becomes a problem
                exc = again
        return super().handle_exception(exc)

    def body(self, *, optional: bool = False) -> parsers.Parsed:
        """Return the parsed body; it is read once. Raises what `parsers.parse` does, and UnsupportedMediaType."""
        raw = self.raw_body(settings.MAX_BODY_BYTES, optional=optional)
        if optional and not raw:
            return parsers.Parsed({}, {}, b"")
        return parsers.parse(raw, limit=settings.MAX_BODY_BYTES, signed=self.signed)

    def raw_body(self, limit: int, *, optional: bool = False, check: Callable[[HttpRequest], None] | None = None) -> bytes:
        """Return the bytes that were sent, at most one more than `limit`. `check` says which media types are taken; else JSON."""
        request = self.request._request
        if not hasattr(request, "_countersign_body"):
            length = request.META.get("CONTENT_LENGTH") or ""
            if length.isdigit() and int(length) > limit:
                raise TooLarge(f"The body is larger than {limit} bytes.")
            # Not `request.body`, which has limits and errors of its own, nor through REST framework, which takes a chunked
            # body without a length for an empty one.
            request._countersign_body = request.read(limit + 1)
        raw: bytes = request._countersign_body
        if not (optional and not raw):
            (check or _check_type)(request)
        return raw

    def idempotency_key(self, in_body: str | None = None) -> str | None:
        """Return the caller's key from the header or the body. Raises Invalid when both are given and differ, or it is unfit."""
        key = self.request.headers.get("Idempotency-Key")
        if key is None:
            return in_body
        if not 1 <= len(key) <= MAX_KEY or not key.isprintable() or not key.strip():
            raise Invalid([{"pointer": "", "code": "bad_key", "detail": f"Idempotency-Key: 1 to {MAX_KEY} printable characters"}])
        if in_body is not None and in_body != key:
            raise Invalid([{"pointer": "/key", "code": "two_keys", "detail": "differs from the header Idempotency-Key"}])
        return key

    def own_incident(self, pk: Any) -> Incident:
        """Return the calling source's incident. One query. Raises NotFound for everybody else's, and for a test key what lives."""
        own = Incident.objects.select_related("source").filter(pk=pk, source=self.caller.source)
        incident = (own.filter(test=True) if self.caller.env == ApiKey.TEST else own).first()
        if incident is None:
            raise NotFound
        return incident


def _check_type(request: HttpRequest) -> None:
    check_encoding(request)
    if request.content_type not in JSON_TYPES:
        raise problems.UnsupportedMediaType


def check_encoding(request: HttpRequest) -> None:
    """Raise UnsupportedMediaType for a body that is compressed, or in another encoding than UTF-8."""
    if request.META.get("HTTP_CONTENT_ENCODING", "identity").strip().lower() not in ("", "identity"):
        raise problems.UnsupportedMediaType("Content-Encoding is not taken here: send the body as it is.")
    charset = request.content_params.get("charset", "utf-8").strip("\"' ").lower()
    if charset not in ("utf-8", "utf8"):
        raise problems.UnsupportedMediaType("Only UTF-8 is taken.")


def wait_of(text: str | None) -> float:
    """Return the seconds of `?wait=`, 0 where it is not given. Raises Invalid."""
    if text is None:
        return 0.0
    seconds = float(text) if _SECONDS.fullmatch(text) else -1.0
    if not 0 <= seconds <= MAX_WAIT:
        raise Invalid([{"pointer": "", "code": "bad_wait", "detail": f"wait: 0 to {MAX_WAIT} seconds"}])
    return seconds
