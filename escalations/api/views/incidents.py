"""Posting incidents, and reading what became of them."""

from collections.abc import Iterator
from typing import Any

from django.conf import settings
from django.db.models import Exists, OuterRef, QuerySet
from django.http import HttpRequest
from drf_spectacular.types import OpenApiTypes
from drf_spectacular.utils import OpenApiParameter, OpenApiResponse, extend_schema
from rest_framework.request import Request
from rest_framework.response import Response

from escalations import authority, errors, ingest, looks, wire
from escalations.api import auth, cloudevents, fields, inputs, outputs, pages, parsers, problems
from escalations.models import ApiKey, Incident

from .base import Door, wait_of

PROBLEM = OpenApiResponse(outputs.Problem, description="A problem; `code` says which.")
WAIT = OpenApiParameter("wait", float, description="Answer when settled, or after this many seconds (0 to 60).")
KEY = OpenApiParameter(
    "Idempotency-Key", str, OpenApiParameter.HEADER,
    description="Unique per source for good: the same body with the same key makes one incident, however often it is sent.",
)
NOT_JSON = frozenset({"malformed", "empty", "not_utf8", "byte_order_mark"})


def validated(parsed: parsers.Parsed, caller: auth.Caller) -> dict[str, Any]:
    """Return a posted incident as `ingest` takes it, `key` still inside. Raises Invalid."""
    return fields.read(inputs.IncidentIn, parsed.data, source=caller.source)


class Incidents(Door):
    """POST and list."""

    permission_classes = [auth.EitherMay]
    signed = parsers.SIGNED_IN_INCIDENT

    @extend_schema(
        operation_id="post_incident", summary="Submit an incident, or a CloudEvent that tells of one", parameters=[KEY, WAIT],
        request={"application/json": inputs.IncidentIn, cloudevents.STRUCTURED: OpenApiTypes.OBJECT},
        responses={201: outputs.IncidentOut, 400: PROBLEM, 409: PROBLEM, 413: PROBLEM, 422: PROBLEM, 429: PROBLEM, 503: PROBLEM},
    )
    def post(self, request: Request) -> Response:
        source = self.caller.as_source
        wait_of(request.query_params.get("wait"))
        if cloudevents.speaks(request._request):
            incident, replayed = self._event(request._request)
        else:
            parsed = self.body()
            data = validated(parsed, self.caller)
            key = self.idempotency_key(data.pop("key", None))
            incident, replayed = ingest.receive(
                source=source, key_env=self.caller.env, data=data, key=key, raw=parsed.raw_to_keep,
                sanitised=parsed.sanitised, body_digest=parsed.body_digest,
            )
        headers = {"Location": f"/api/v1/incidents/{incident.pk}"}
        if replayed:
            headers["Idempotent-Replayed"] = "true"
        told = wire.handed_out([incident])[0] if replayed else wire.received_json(incident)
        return Response(told, status=201, headers=headers)

    def _event(self, request: HttpRequest) -> tuple[Incident, bool]:
        """Store what a CloudEvent reports. Its source and id are its key, which a header may repeat and not contradict."""
        raw = self.raw_body(settings.MAX_BODY_BYTES, check=cloudevents.check_type)
        event = cloudevents.read(request, raw, limit=settings.MAX_BODY_BYTES)
        data, key = cloudevents.incident_of(event, self.caller)
        self.idempotency_key(key)
        return cloudevents.receive(event, self.caller, data, key)

    @extend_schema(
        operation_id="list_incidents", summary="List incidents, newest first", parameters=pages.PARAMETERS,
        responses={200: outputs.IncidentPage, 400: PROBLEM},
    )
    def get(self, request: Request) -> Response:
        page = pages.page_of(
            readable(self.caller), request.query_params, request.build_absolute_uri, for_source=self.caller.source is not None
        )
        return Response({"items": told_to(self.caller, page.items), "next": page.next})


class Batch(Door):
    """POST many at once."""

    permission_classes = [auth.SourceMay]

    @extend_schema(
        operation_id="post_batch", summary="Submit up to 500 incidents", request=outputs.BatchIn,
        responses={207: outputs.BatchOut, 400: PROBLEM, 413: PROBLEM, 429: PROBLEM, 503: PROBLEM},
    )
    def post(self, request: Request) -> Response:
        raws = parsers.split_batch(self.raw_body(settings.MAX_BATCH_BYTES), limit=settings.MAX_BATCH_BYTES)
        source = self.caller.as_source
        auth.spend(source, len(raws) - 1)  # one was counted when the key was read
        read = [self._item(raw, index) for index, raw in enumerate(raws)]
        good = [item for item in read if isinstance(item, ingest.Item)]
        received = iter(ingest.receive_many(source=source, key_env=self.caller.env, items=good) if good else [])
        results = [next(received) if isinstance(item, ingest.Item) else item for item in read]
        replays = [one.incident for one in results if isinstance(one, ingest.Received) and one.replayed and one.incident]
        told = iter(wire.handed_out(replays))
        return Response({"items": [_told(result, told) for result in results]}, status=207)

    def _item(self, raw: bytes, index: int) -> ingest.Item | errors.CountersignError:
        """Return one item, or why it is none. Raises MalformedJson when the whole body is no JSON because of it."""
        try:
            parsed = parsers.parse(raw, limit=settings.MAX_BODY_BYTES, signed=parsers.SIGNED_IN_INCIDENT)
            data = validated(parsed, self.caller)
        except errors.MalformedJson as error:
            if any(one["code"] in NOT_JSON for one in error.errors):
                raise errors.MalformedJson([{**one, "pointer": f"/items/{index}"} for one in error.errors]) from None
            return error
        except (errors.Invalid, errors.TooLarge) as error:
            return error
        key = data.pop("key", None)
        if key is None:
            return errors.Invalid([{"pointer": "/key", "code": "required", "detail": "each item of a batch has its own key"}])
        return ingest.Item(data, key, parsed.body_digest, parsed.raw_to_keep, parsed.sanitised)


def _told(result: ingest.Received | errors.CountersignError, told: Iterator[dict[str, Any]]) -> dict[str, Any]:
    if isinstance(result, ingest.Received):
        if result.replayed:
            return {"status": 201, "incident": next(told), "replayed": True}
        if result.incident is not None:
            return {"status": 201, "incident": wire.received_json(result.incident)}
        result = result.problem or problems.InternalError()
    return {"status": result.status, "problem": problems.problem_of(result)}


class OneIncident(Door):
    """Read one."""

    permission_classes = [auth.EitherMay]

    @extend_schema(
        operation_id="get_incident", summary="Read an incident, or wait for its decision", parameters=[WAIT],
        responses={200: outputs.IncidentOut, 404: PROBLEM},
    )
    def get(self, request: Request, pk: Any) -> Response:
        wait_of(request.query_params.get("wait"))
        incident = readable(self.caller).filter(pk=pk).first()
        if incident is None:
            raise errors.NotFound
        return Response(told_to(self.caller, [incident])[0])


def told_to(caller: auth.Caller, incidents: list[Incident]) -> list[dict[str, Any]]:
    """Return what this caller is told: a person everything, as on the pages; a source what may leave."""
    return wire.handed_out(incidents) if caller.source is not None else wire.incidents_json(incidents)


def readable(caller: auth.Caller) -> QuerySet[Incident]:
    """Return the incidents this caller may read: a source its own (with a test key its tests), a person those they were asked, but for
    what they have open for a second look."""
    if caller.source is not None:
        own = Incident.objects.filter(source=caller.source).select_related("source")
        return own.filter(test=True) if caller.env == ApiKey.TEST else own
    person = caller.as_person
    asked = authority.readable_by(person).filter(incident=OuterRef("pk"))
    judging = looks.opened_by(person).values("proposal__incident")
    return Incident.objects.filter(Exists(asked)).exclude(pk__in=judging).select_related("source")
