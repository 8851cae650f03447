"""Prometheus Alertmanager's webhook, version 4: each alert of a group is an incident, and ends when the alert does.

Alertmanager sends a whole group again at every change and every repeat interval, so everything here is done once for each alert and
start. It tries again after a 5xx and after nothing else; what it should send again is never answered with a 4xx.
"""

import base64
import binascii
import hashlib
from typing import Any

from django.conf import settings
from django.http import HttpRequest, HttpResponse, JsonResponse

from escalations import canonical, errors, ingest
from escalations.api import auth, fields, inputs, parsers, problems
from escalations.api.foreign import cut, key_of, line, link, severity_of, text_of, without_nothing
from escalations.models import ApiKey, Incident
from escalations.states import Status

from .alerting import over

LIMIT = int(settings.MAX_BATCH_BYTES)
MOST_VALUES = 200_000  # a group is as large as the outage; beyond 16 MiB it needs `max_alerts`
TOGETHER = 500  # alerts written with one statement
OPEN_END = "0001-01-01T00:00:00Z"  # how Go writes a time that is none
LINKS = (
    ("Runbook", "annotations", ("runbook_url", "runbook")), ("Dashboard", "annotations", ("dashboard_url", "dashboard")),
    ("Dashboard", "", ("dashboardURL",)), ("Panel", "", ("panelURL",)), ("Query", "", ("generatorURL",)), ("Silence", "", ("silenceURL",)),
)


def says(error: errors.CountersignError) -> HttpResponse:
    """Return an error as Alertmanager logs it; too many calls are a 503, since it never comes back after a 429."""
    status = 503 if error.status == 429 else error.status
    headers = problems.headers_of(error)
    return JsonResponse({"status": "error", "code": error.code, "error": error.detail}, status=status, headers=headers)


def webhook(request: HttpRequest, body: bytes) -> HttpResponse:
    """Open what fires, withdraw what resolved. Four queries and two statements a few hundred new alerts; a repeat costs two."""
    caller = _caller(request)
    group = parsers.parse(body, limit=LIMIT, signed=(), values=MOST_VALUES).original
    if not isinstance(group.get("alerts"), list):
        raise errors.Invalid([{"pointer": "/alerts", "code": "required", "detail": "an Alertmanager webhook has a list of alerts"}])
    alerts = [one for one in group["alerts"] if isinstance(one, dict)]
    auth.spend(caller.as_source, len(alerts) - 1)  # one was counted when the key was read
    test = caller.env == ApiKey.TEST
    by_key = {key_of("alertmanager", _identity(one), text_of(one.get("startsAt")), test=test): one for one in alerts}
    resolved = {key for key, one in by_key.items() if one.get("status") == "resolved"}
    there = dict(Incident.objects.filter(source=caller.as_source, key__in=list(by_key)).values_list("key", "status"))
    new = _opened(caller, group, {key: one for key, one in by_key.items() if key not in there and key not in resolved})
    still_open = [key for key in resolved if there.get(key, Status.SETTLED) != Status.SETTLED]
    ended = _ended(caller, {key: by_key[key] for key in still_open})
    return JsonResponse({"status": "ok", "alerts": len(alerts), "opened": new, "resolved": ended})


def _caller(request: HttpRequest) -> auth.Caller:
    """Return whose key came as a bearer token, as the password of basic auth, or as ?key=. Raises NotAuthenticated, NotAllowed."""
    scheme, _, rest = request.headers.get("Authorization", "").partition(" ")
    key = rest.strip() if scheme.lower() == "bearer" else request.GET.get("key", "")
    if scheme.lower() == "basic":
        try:
            key = base64.b64decode(rest.strip(), validate=True).decode().partition(":")[2]
        except (binascii.Error, UnicodeDecodeError):
            key = ""
    if not key:
        raise errors.NotAuthenticated("Send the source's key: as a bearer token, as the password of basic auth, or as ?key=.")
    caller = auth.calling(request, key)
    auth.check_scope(caller, "incidents:write")
    return caller


def _opened(caller: auth.Caller, group: dict[str, Any], firing: dict[str, dict[str, Any]]) -> int:
    """Store alerts that nobody knows yet; return how many. One statement for each few hundred."""
    source, items = caller.as_source, []
    for key, alert in firing.items():
        data = _incident(alert, group)
        whole = parsers.mended(data)
        checked = fields.read(inputs.IncidentIn, whole, source=source)
        items.append(ingest.Item(checked, key, canonical.body_digest(whole), sanitised=whole != data))
    opened = 0
    for begin in range(0, len(items), TOGETHER):
        received = ingest.receive_many(source=source, key_env=caller.env, items=items[begin : begin + TOGETHER])
        opened += sum(one.incident is not None and not one.replayed for one in received)
    return opened


def _ended(caller: auth.Caller, resolved: dict[str, dict[str, Any]]) -> int:
    """Withdraw those that are open; return how many were. One query, and about eight for each."""
    if not resolved:
        return 0
    ids = Incident.objects.filter(source=caller.as_source, key__in=list(resolved)).values_list("key", "pk")
    return sum(over(caller, pk, f"It resolved by itself{_at(resolved[key])}, says Alertmanager.") for key, pk in ids)


def _at(alert: dict[str, Any]) -> str:
    ends = text_of(alert.get("endsAt"))
    return f" at {line(ends, 40)}" if ends and ends != OPEN_END else ""


def _identity(alert: dict[str, Any]) -> str:
    """Return the alert's fingerprint; where an older sender has none, one over its labels, which is what it is."""
    if said := text_of(alert.get("fingerprint")):
        return said
    labels = sorted((str(name), str(value)) for name, value in _members(alert, "labels").items())
    return hashlib.sha256(repr(labels).encode(errors="replace")).hexdigest()[:16]


def _incident(alert: dict[str, Any], group: dict[str, Any]) -> dict[str, Any]:
    """Return the alert as the contract takes it, every word cut to fit: what an alert says never costs the alert."""
    labels, annotations = _members(alert, "labels"), _members(alert, "annotations")
    name = text_of(labels.get("alertname")) or "Alert"
    begins = next((said for one in ("summary", "title", "message", "description") if (said := text_of(annotations.get(one)))), "")
    where = next((said for one in ("instance", "pod", "host", "job") if (said := text_of(labels.get(one)))), "")
    title = f"{name}: {begins}" if begins and begins != name else name
    since = text_of(alert.get("startsAt"))
    return without_nothing({
        "kind": "alert",
        "title": line(title if not where or where in title else f"{line(title, 400)} ({where})", 500),
        "body": cut(text_of(annotations.get("description")) or text_of(annotations.get("message")), 100_000),
        "severity": severity_of(labels.get("severity"), labels.get("priority"), labels.get("level")),
        "fingerprint": _likeness(name, group),
        "external_id": cut(_identity(alert), 255),
        "environment": cut(text_of(labels.get("environment")) or text_of(labels.get("env")), 80),
        "payload": {
            "labels": labels, "annotations": annotations,
            **{one: alert[one] for one in ("startsAt", "generatorURL", "fingerprint", "values", "valueString") if alert.get(one)},
            "endsAt": None if alert.get("endsAt") == OPEN_END else alert.get("endsAt"),
            "group": {one: group[one] for one in (
                "receiver", "groupKey", "groupLabels", "commonLabels", "externalURL", "version", "truncatedAlerts") if group.get(one)},
        },
        "context": without_nothing({
            "summary": _summary(name, labels, since, group),
            "why": "An alert is firing. When it ends by itself, Alertmanager says so and this is withdrawn.",
            "links": _links(alert, annotations, group),
        }),
    })


def _likeness(name: str, group: dict[str, Any]) -> str:
    """Return what makes alerts one and the same trouble: their name, in the group their operator put them into."""
    said = repr(["alertmanager", name, text_of(group.get("groupKey"))])
    return hashlib.sha256(said.encode(errors="replace")).hexdigest()[:32]


def _summary(name: str, labels: dict[str, Any], since: str, group: dict[str, Any]) -> str:
    told = ", ".join(f"{one} {text_of(value)}" for one, value in labels.items() if one != "alertname" and text_of(value))
    receiver, cut_off = text_of(group.get("receiver")), group.get("truncatedAlerts")
    parts = [f"{name} is firing{f' since {since}' if since else ''}{f': {told}' if told else ''}."]
    if receiver:
        parts.append(f"It came through the receiver “{receiver}”.")
    if isinstance(cut_off, int) and cut_off > 0:
        parts.append(f"{cut_off} more alerts of its group were left out by max_alerts.")
    return cut(" ".join(parts), 10_000)


def _links(alert: dict[str, Any], annotations: dict[str, Any], group: dict[str, Any]) -> list[dict[str, str]]:
    found = []
    for label, place, names in LINKS:
        for name in names:
            found += link(label, (annotations if place else alert).get(name))
    return [*found, *link("Alertmanager", group.get("externalURL"))]


def _members(of: dict[str, Any], name: str) -> dict[str, Any]:
    value = of.get(name)
    return value if isinstance(value, dict) else {}
