"""The addresses existing clients post to, spelled exactly as they spell them: nothing redirects a POST."""

from django.urls import URLPattern, path

from escalations.adapters import alertmanager, base, humanlayer, pagerduty
from escalations.adapters.mcp.views import mcp
from escalations.adapters.sentry import views as sentry

urlpatterns: list[URLPattern] = [
    path("api/<int:project>/envelope/", base.route(
        sentry.take_envelope, methods=("POST", "OPTIONS"), limit=sentry.LIMIT, says=sentry.says)),
    path("api/<int:project>/store/", base.route(
        sentry.take_event, methods=("POST", "OPTIONS"), limit=sentry.LIMIT, says=sentry.says)),
    path("alertmanager/webhook", base.route(alertmanager.webhook, limit=alertmanager.LIMIT, says=alertmanager.says), name="alertmanager"),
    path("v2/enqueue", base.route(pagerduty.enqueue, limit=pagerduty.LIMIT, says=pagerduty.says), name="pagerduty"),
    path("mcp", mcp, name="mcp"),
    *(path(f"humanlayer/v1/{address}", view) for address, view in humanlayer.addresses().items()),
]
