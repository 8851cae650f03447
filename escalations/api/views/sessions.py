"""Runs of agents under watch: begin, take steps, ask what to do now, end; read and list."""

import re
from functools import partial
from typing import Any
from urllib.parse import urlencode

from django.db.models import Q, QuerySet
from drf_spectacular.utils import OpenApiParameter, PolymorphicProxySerializer, extend_schema
from rest_framework.request import Request
from rest_framework.response import Response

from escalations import authority, errors, oversight
from escalations.api import auth, fields, inputs, outputs, pages, waiting
from escalations.models import ApiKey, OversightSession
from escalations.states import RunState

from .base import Door, Later, wait_of
from .incidents import KEY, PROBLEM

WAIT = OpenApiParameter("wait", float, description="Answer when there is something new to be told, or after this many seconds (0 to 60).")
SEEN = OpenApiParameter("seen", int, description="The last order the agent knows: it is confirmed, and what came after is new.")
FILTERS = [
    OpenApiParameter("state", str, enum=RunState.values), OpenApiParameter("agent", str),
    OpenApiParameter("limit", int, description=f"1 to {pages.MAX_PAGE}; {pages.PAGE} unless told."),
    OpenApiParameter("cursor", str, description="From `next`; do not make one up."),
]
KNOWN = frozenset({"state", "agent", "limit", "cursor"})
_NUMBER = re.compile(r"[0-9]{1,9}")


def readable(caller: auth.Caller) -> QuerySet[OversightSession]:
    """Return the runs this caller may read: a source its own (with a test key its tests), a person those they watch."""
    if caller.source is None:
        return authority.runs_readable_by(caller.as_person)
    own = OversightSession.objects.filter(source=caller.source)
    return own.filter(test=True) if caller.env == ApiKey.TEST else own


class Run(Door):
    """What the calls of the agent itself share."""

    def its_own(self) -> dict[str, Any]:
        """Return whose run it has to be, as `oversight` takes it."""
        return {"source": self.caller.as_source, "only_test": self.caller.env == ApiKey.TEST}


class Sessions(Door):
    """POST and list."""

    permission_classes = [auth.EitherMay]

    @extend_schema(
        operation_id="start_session", summary="Begin a run that people watch", request=inputs.SessionIn, parameters=[KEY],
        responses={201: outputs.SessionOut, 400: PROBLEM, 422: PROBLEM, 429: PROBLEM},
    )
    def post(self, request: Request) -> Response:
        source = self.caller.as_source
        parsed = self.body()
        data = fields.read(inputs.SessionIn, parsed.data)
        key = self.idempotency_key(data.pop("key", None))
        session, replayed = oversight.start(
            source=source, key_env=self.caller.env, data=data, key=key, body_digest=parsed.body_digest
        )
        headers = {"Location": f"/api/v1/sessions/{session.pk}"} | ({"Idempotent-Replayed": "true"} if replayed else {})
        return Response(oversight.told(session), status=201, headers=headers)

    @extend_schema(
        operation_id="list_sessions", summary="List runs, newest first", parameters=FILTERS,
        responses={200: outputs.SessionPage, 400: PROBLEM},
    )
    def get(self, request: Request) -> Response:
        query = request.query_params
        faults = [f"{name} is not known" for name in query if name not in KNOWN]
        found = readable(self.caller)
        if "state" in query:
            faults += [] if query["state"] in RunState.values else [f"state: one of {', '.join(RunState.values)}"]
            found = found.filter(state=query["state"])
        if "agent" in query:
            faults += ["agent: no NUL"] if "\x00" in query["agent"] else []
            found = found.filter(agent=query["agent"])
        limit = query.get("limit", str(pages.PAGE))
        if not (_NUMBER.fullmatch(limit) and 1 <= int(limit) <= pages.MAX_PAGE):
            faults.append(f"limit: 1 to {pages.MAX_PAGE}")
        place = pages.opened(query["cursor"]) if "cursor" in query else None
        faults += ["cursor: not one of ours"] if "cursor" in query and place is None else []
        if faults:
            raise errors.Invalid([{"pointer": "", "code": "bad_filter", "detail": fault} for fault in faults])
        if place:
            found = found.filter(Q(started_at__lt=place[0]) | Q(started_at=place[0], id__lt=place[1]), started_at__lte=place[0])
        rows = list(found.order_by("-started_at", "-id")[: int(limit) + 1])
        shown, following = rows[: int(limit)], None
        if len(rows) > len(shown):
            cursor = pages.sealed(shown[-1].started_at, shown[-1].pk)
            asked = {name: query[name] for name in query if name != "cursor"} | {"cursor": cursor}
            following = request.build_absolute_uri(f"/api/v1/sessions?{urlencode(asked)}")
        return Response({"items": oversight.told_many(shown), "next": following})


class OneSession(Door):
    """Read one."""

    permission_classes = [auth.EitherMay]

    @extend_schema(
        operation_id="get_session", summary="Read a run", responses={200: outputs.SessionOut, 404: PROBLEM},
    )
    def get(self, request: Request, pk: Any) -> Response:
        session = readable(self.caller).filter(pk=pk).first()
        if session is None:
            raise errors.NotFound
        return Response(oversight.told(session))


class Steps(Run):
    """What the agent did."""

    permission_classes = [auth.SourceMay]

    @extend_schema(
        operation_id="post_steps", summary="Say what the agent did, and be told what to do now",
        request=PolymorphicProxySerializer(
            component_name="OneOrMoreSteps", serializers=[inputs.OneStepIn, inputs.StepsIn], resource_type_field_name=None
        ),
        responses={200: outputs.SteppedOut, 400: PROBLEM, 404: PROBLEM, 413: PROBLEM, 429: PROBLEM},
    )
    def post(self, request: Request, pk: Any) -> Response:
        parsed = self.body().data
        several = "steps" in parsed
        data = fields.read(inputs.StepsIn if several else inputs.OneStepIn, parsed)
        seen = data.pop("seen", None)
        answer = oversight.take_steps(pk, steps=data["steps"] if several else [data], seen=seen, **self.its_own())
        return Response({
            "session": str(pk), "accepted": answer.accepted, "steps": answer.steps, "directive": answer.directive,
        })


class Directive(Run):
    """What the agent is to do now."""

    permission_classes = [auth.SourceMay]

    @extend_schema(
        operation_id="get_directive", summary="Ask what to do now, or wait for it", parameters=[WAIT, SEEN],
        responses={200: outputs.DirectiveOut, 400: PROBLEM, 404: PROBLEM},
    )
    def get(self, request: Request, pk: Any) -> Response:
        auth.check_scope(self.caller, "incidents:write")  # it confirms what was told
        wait_of(request.query_params.get("wait"))
        seen, own = _seen(request.query_params.get("seen")), self.its_own()
        now = oversight.look(pk, seen=seen, **own)
        response = Response(now.directive)
        if not now.fresh:
            known = now.directive["number"]
            again = partial(oversight.directive, pk, seen=known, **own)
            response.later = Later(waiting.Orders(pk, known, now.held), again)  # type: ignore[attr-defined]
        return response


class End(Run):
    """The agent is done."""

    permission_classes = [auth.SourceMay]

    @extend_schema(
        operation_id="end_session", summary="Say that the run has ended", request=inputs.EndIn,
        responses={200: outputs.SessionOut, 400: PROBLEM, 404: PROBLEM},
    )
    def post(self, request: Request, pk: Any) -> Response:
        data = fields.read(inputs.EndIn, self.body().data)
        session = oversight.end(
            pk, outcome=data["outcome"], detail=data.get("detail", ""), seen=data.get("seen"), **self.its_own()
        )
        return Response(oversight.told(session))


def _seen(text: str | None) -> int | None:
    if text is None:
        return None
    if not _NUMBER.fullmatch(text):
        raise errors.Invalid([{"pointer": "", "code": "bad_seen", "detail": "seen: the number of an order"}])
    return int(text)
