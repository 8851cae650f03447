"""What stands before every view: an id for the logs, headers for machines, and the way back to the sign-in page."""

import logging
import re
import time
import uuid
from collections.abc import Awaitable, Callable
from typing import Any

from asgiref.sync import iscoroutinefunction, markcoroutinefunction
from django.conf import settings
from django.contrib import messages
from django.contrib.auth.middleware import LoginRequiredMiddleware
from django.http import HttpRequest, HttpResponse
from django.shortcuts import render
from django.urls import reverse
from django_htmx.http import HttpResponseClientRedirect
from rest_framework.permissions import BasePermission

from hitl_site import logs
from reviews import kept
from reviews.partials import fresh, leave

logger = logging.getLogger("countersign.request")

USABLE_ID = re.compile(r"[A-Za-z0-9._-]{8,64}")


class BothWays:
    """A middleware for both kinds of view: it awaits the view and nothing else, so that waiting holds no thread."""

    async_capable = True
    sync_capable = True

    def __init__(self, get_response: Callable[[HttpRequest], Any]) -> None:
        self.get_response = get_response
        self.waits = iscoroutinefunction(get_response)
        if self.waits:
            markcoroutinefunction(self)

    def __call__(self, request: HttpRequest) -> HttpResponse | Awaitable[HttpResponse]:
        if self.waits:
            return self._later(request)
        begun = self.begin(request)
        return self.end(request, self.get_response(request), begun)

    async def _later(self, request: HttpRequest) -> HttpResponse:
        begun = self.begin(request)
        return self.end(request, await self.get_response(request), begun)

    def begin(self, request: HttpRequest) -> Any:
        """Do what is to be done before; what is returned is handed to `end`."""

    def end(self, request: HttpRequest, response: HttpResponse, begun: Any) -> HttpResponse:
        """Do what is to be done afterwards; return the answer."""
        return response


class RequestIds(BothWays):
    """Give each request an id (the caller's X-Request-ID when it is usable), log its outcome, hand the id back."""

    def begin(self, request: HttpRequest) -> tuple[str, float]:
        sent = request.headers.get("X-Request-ID", "")
        identifier = sent if USABLE_ID.fullmatch(sent) else uuid.uuid4().hex
        # Not reset on the way out: each request runs in a context of its own.
        logs.request_id.set(identifier)
        return identifier, time.perf_counter()

    def end(self, request: HttpRequest, response: HttpResponse, begun: tuple[str, float]) -> HttpResponse:
        identifier, began = begun
        response.headers["X-Request-ID"] = identifier
        took = round((time.perf_counter() - began) * 1000, 1)
        # The path without its query: what stands behind the question mark may be a search for somebody's name.
        facts = {"method": request.method, "path": request.path, "status": response.status_code, "ms": took}
        level = logging.DEBUG if request.path in settings.MACHINE_PATHS else logging.INFO
        logger.log(level, "%s %s %s", request.method, request.path, response.status_code, extra=facts)
        return response


class MachineHeaders(BothWays):
    """The headers an answer to a machine needs."""

    def end(self, request: HttpRequest, response: HttpResponse, begun: Any) -> HttpResponse:
        response.headers.setdefault("X-Content-Type-Options", "nosniff")
        response.headers.setdefault("Cache-Control", "no-store")
        response.headers.setdefault("Content-Security-Policy", "default-src 'none'; frame-ancestors 'none'")
        if settings.PRODUCTION:
            response.headers.setdefault("Strict-Transport-Security", f"max-age={settings.SECURE_HSTS_SECONDS}")
        return response


class SignInAgain(LoginRequiredMiddleware):
    """Every page asks for a person. A fragment does not get a sign-in form inside it: the browser is sent to the page.

    What was typed when the session had ended is kept for whom the page was drawn (reviews/kept.py). The API answers with its own
    401, health and static files are for everyone.
    """

    def process_view(self, request: HttpRequest, view_func: Any, view_args: Any, view_kwargs: Any) -> HttpResponse | None:
        """Return the way to the sign-in page for a stranger, the way back for a page drawn for somebody else, else nothing."""
        if request.path.startswith(settings.NO_SIGN_IN_PATHS):
            return None
        answer: HttpResponse | None = super().process_view(request, view_func, view_args, view_kwargs)
        if answer is None and request.user.is_authenticated:  # type: ignore[attr-defined]
            drawn = kept.drawn_of(request)
            if drawn is not None and drawn.person_id != request.user.pk:  # type: ignore[attr-defined]
                messages.error(request, "This page was opened by somebody else who was signed in here. Nothing was done.")
                return leave(request, drawn.page)
            if drawn is not None:
                kept.forget(request)  # what is posted now is what they want to say
        return answer

    def handle_no_permission(self, request: HttpRequest, view_func: Any) -> HttpResponse:
        """Return a redirect; for htmx one of the whole page, back to the page the fragment was asked from."""
        htmx = getattr(request, "htmx", None)
        match = request.resolver_match
        if htmx and request.method == "GET" and match is not None and match.view_name in BACKGROUND:
            return signed_out(request)
        page = kept.keep(request)
        if page is not None:
            return leave(request, reverse("login", query={"next": page}))
        if not htmx:
            if request.method not in {"GET", "HEAD"}:  # never come back to an address that only takes forms
                return HttpResponse(status=303, headers={"Location": reverse("login")})
            answer: HttpResponse = super().handle_no_permission(request, view_func)
            return answer
        query = {"next": htmx.current_url_abs_path or "/"}
        return HttpResponseClientRedirect(reverse("login", query=query))


# What a page looks for by itself: a session that ended must not take the page away from who is typing on it.
BACKGROUND = frozenset(
    {"reviews:arrivals", "reviews:row", "reviews:strip", "reviews:acts"}
    | {"reviews:run_arrivals", "reviews:run_row", "reviews:run_now", "reviews:run_steps"}
)
STOP_POLLING = 286  # htmx's own: shown, and not asked again


def signed_out(request: HttpRequest) -> HttpResponse:
    """Say quietly, once, that the session is over; the page stays as it is."""
    response = fresh(render(request, "reviews/signed_out.html", status=STOP_POLLING))
    response["HX-Retarget"], response["HX-Reswap"] = "#flash", "innerHTML"
    return response


class NobodyMay(BasePermission):
    """The closed default of the API: a view that names no permission of its own lets nobody in."""

    def has_permission(self, request: Any, view: Any) -> bool:
        """Return False, always."""
        return False
