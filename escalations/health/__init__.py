"""How the machinery is doing, for machines: `/healthz`, `/readyz`, `/metrics`."""

import hmac
import json
import time
from threading import Lock

from django.conf import settings
from django.contrib.auth.decorators import login_not_required
from django.db import DatabaseError
from django.http import HttpRequest, HttpResponse, JsonResponse
from django.urls import path
from django.views.decorators.http import require_safe
from prometheus_client import CONTENT_TYPE_LATEST

from .checks import Checked, check
from .metrics import exposition

READY_FOR = 1.0  # seconds an answer is given again without asking: a flood of questions costs the database nothing
METRICS_FOR = 5.0
LOOPBACK = frozenset({"127.0.0.1", "::1"})


class Remembered:
    """The last answer, for a while; while one thread asks, the others wait for what it brings."""

    def __init__(self, seconds: float) -> None:
        self.seconds = seconds
        self._lock = Lock()
        self._answer: tuple[float, object] | None = None

    def get(self, ask):  # type: ignore[no-untyped-def]
        """Return the remembered answer or ask for a new one. What `ask` raises is not remembered."""
        with self._lock:
            if self._answer is None or time.monotonic() - self._answer[0] > self.seconds:
                self._answer = (time.monotonic(), ask())
            return self._answer[1]

    def forget(self) -> None:
        self._answer = None


ready_answer, metrics_answer = Remembered(READY_FOR), Remembered(METRICS_FOR)


@login_not_required
@require_safe
async def healthz(request: HttpRequest) -> HttpResponse:
    """200 while the process runs. Asks the database nothing: restarting this process would not bring a database back."""
    return HttpResponse("ok\n", content_type="text/plain")


@login_not_required
@require_safe
def readyz(request: HttpRequest) -> HttpResponse:
    """200 when everything a decision depends on is alive, else 503, with each check. At most five small queries a second."""
    checked: dict[str, Checked] = ready_answer.get(check)
    red = [name for name, one in checked.items() if not one.ok and one.vital]
    body = {"ready": not red, "checks": {name: one.json() for name, one in checked.items()}}
    answer = HttpResponse(json.dumps(body) + "\n", content_type="application/json", status=503 if red else 200)
    if red:
        answer.headers["Retry-After"] = "5"
    return answer


@login_not_required
@require_safe
def metrics(request: HttpRequest) -> HttpResponse:
    """Prometheus' text format; 403 for who may not read it (see docs/metrics.md), 503 while the database is away."""
    if not may_read_metrics(request):
        return JsonResponse({"code": "not_allowed", "detail": "Send METRICS_TOKEN as a bearer token."}, status=403)
    try:
        text: bytes = metrics_answer.get(exposition)
    except DatabaseError:
        return HttpResponse("the database is away\n", content_type="text/plain", status=503)
    return HttpResponse(text, content_type=CONTENT_TYPE_LATEST)


def may_read_metrics(request: HttpRequest) -> bool:
    """Return whether the caller has METRICS_TOKEN; without such a setting, whether it asks from this machine itself.

    What came through a proxy is not from this machine, whatever the connection says.
    """
    token = settings.METRICS_TOKEN
    if token:
        return hmac.compare_digest(request.headers.get("Authorization", "").encode(), f"Bearer {token}".encode())
    forwarded = "X-Forwarded-For" in request.headers or "Forwarded" in request.headers
    return request.META.get("REMOTE_ADDR") in LOOPBACK and not forwarded


urlpatterns = [path("healthz", healthz), path("readyz", readyz), path("metrics", metrics)]
