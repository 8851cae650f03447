"""The machine's addresses. No trailing slashes, and everything below /api/ is answered here: nothing redirects a POST."""

from django.urls import path, re_path

from . import docs, problems
from .doors import door
from .views import afterwards, feedback, incidents, sessions

urlpatterns = [
    path("v1/incidents", door(incidents.Incidents, waits=frozenset({"POST"})), name="incidents"),
    path("v1/incidents/batch", door(incidents.Batch), name="batch"),
    path("v1/incidents/<uuid:pk>", door(incidents.OneIncident, waits=frozenset({"GET"})), name="incident"),
    path("v1/incidents/<uuid:pk>/proposals", door(afterwards.Revisions), name="revisions"),
    path("v1/incidents/<uuid:pk>/context", door(afterwards.MoreContext), name="context"),
    path("v1/incidents/<uuid:pk>/withdraw", door(afterwards.Withdrawal), name="withdraw"),
    path("v1/incidents/<uuid:pk>/ack", door(afterwards.Acknowledgement), name="ack"),
    path("v1/incidents/<uuid:pk>/feedback", door(feedback.Outcome), name="outcome"),
    path("v1/feedback", door(feedback.Feedback), name="feedback"),
    path("v1/proposals/<uuid:pk>/decision", door(afterwards.Deciding), name="decision"),
    path("v1/sessions", door(sessions.Sessions), name="sessions"),
    path("v1/sessions/<uuid:pk>", door(sessions.OneSession), name="session"),
    path("v1/sessions/<uuid:pk>/steps", door(sessions.Steps), name="session-steps"),
    path("v1/sessions/<uuid:pk>/directive", door(sessions.Directive, waits=frozenset({"GET"})), name="session-directive"),
    path("v1/sessions/<uuid:pk>/end", door(sessions.End), name="session-end"),
    path("v1/schema", docs.schema, name="schema"),
    path("docs/", docs.page, name="api-docs"),
    re_path(r"^.*$", problems.nothing_here),
]
