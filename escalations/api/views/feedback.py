"""What came of it: an outcome learned later, and what was proposed and decided as a file."""

from typing import Any
from uuid import UUID

from drf_spectacular.types import OpenApiTypes
from drf_spectacular.utils import OpenApiParameter, extend_schema
from rest_framework.request import Request
from rest_framework.response import Response

from escalations import clock, errors, feedback
from escalations.api import auth, fields, inputs, outputs
from escalations.api.pages import time_of
from escalations.classify.mask import Mask
from escalations.models import Incident, Role

from .base import Door
from .incidents import PROBLEM, readable

SINCE = OpenApiParameter("since", OpenApiTypes.DATETIME, description="Decided from then on.")
UNTIL = OpenApiParameter("until", OpenApiTypes.DATETIME, description="Decided before then; now, when it is left out.")
ROLE = OpenApiParameter("role", str, description="Only what this role decided.")
FORM = OpenApiParameter("format", str, enum=list(feedback.FORMS), description="JSON lines unless something else is said.")
KNOWN = ("format", "since", "until", "role", "redact")
REDACT = OpenApiParameter("redact", bool, description="Personal data and secrets as placeholders; true unless `false` is said.")


class Outcome(Door):
    """POST what was learned later."""

    permission_classes = [auth.EitherMay]

    @extend_schema(
        operation_id="report_outcome", summary="Say what came of a decision, learned later", request=inputs.OutcomeIn,
        responses={
            201: outputs.OutcomeReportOut, 200: outputs.OutcomeReportOut, 400: PROBLEM, 403: PROBLEM, 404: PROBLEM, 409: PROBLEM,
        },
    )
    def post(self, request: Request, pk: Any) -> Response:
        incident = self._readable(pk)
        said = fields.read(inputs.OutcomeIn, self.body().data)
        complaint = self._complaint(said.get("complaint"))
        caller = self.caller
        stored, new = feedback.report(
            incident, outcome=said["outcome"], how=said.get("how", ""), detail=said.get("detail", ""), complaint=complaint,
            actor=caller.actor, person=caller.person, interactive=caller.person is not None and caller.credential.interactive,
        )
        return Response(feedback.report_json(stored), status=201 if new else 200)

    def _readable(self, pk: Any) -> Incident:
        incident = readable(self.caller).select_related("source__owner").filter(pk=pk).first()
        if incident is None:
            raise errors.NotFound
        return incident

    def _complaint(self, said: str | None) -> Incident | None:
        """Return the incident that complains. Raises Invalid for one that is none, or not this caller's to read."""
        if said is None:
            return None
        try:
            return self._readable(UUID(said))
        except (ValueError, errors.NotFound):
            raise errors.Invalid([{"pointer": "/complaint", "code": "unknown", "detail": "there is no such incident here"}]) from None


class Feedback(Door):
    """GET what was proposed, decided and learned, as a file that is made while it is sent."""

    permission_classes = [auth.PersonMay]

    @extend_schema(
        operation_id="export_feedback", summary="What was proposed, decided and learned, for whoever trains on it",
        parameters=[FORM, SINCE, UNTIL, ROLE, REDACT],
        responses={(200, "application/x-ndjson"): OpenApiTypes.STR, 400: PROBLEM, 403: PROBLEM},
    )
    def get(self, request: Request) -> Response:
        asked = request.query_params
        form, redact = asked.get("format", "jsonl"), asked.get("redact", "true")
        faults = [
            fault("format", "one of " + ", ".join(feedback.FORMS)) if form not in feedback.FORMS else None,
            fault("redact", "true or false") if redact not in ("true", "false") else None,
            *(fault(name, "an unknown parameter") for name in asked if name not in KNOWN),
        ]
        if known := [one for one in faults if one]:
            raise errors.Invalid(known)
        scope = feedback.Scope(since=moment_of(asked, "since"), until=moment_of(asked, "until") or clock.now(), role=role_of(asked))
        file = feedback.begin(
            scope, form, actor=self.caller.actor, person=self.caller.as_person, placeholders=Mask if redact == "true" else None
        )
        response = Response(None)
        response.file = file  # `doors` sends it
        return response


def moment_of(asked: Any, name: str) -> Any:
    """Return the moment a parameter names, None where it is not given. Raises Invalid for one without a time zone."""
    text = asked.get(name)
    if not text:
        return None
    moment = time_of(text)
    if moment is None:
        raise errors.Invalid([fault(name, "a moment as RFC 3339 writes it, with its time zone")])
    return moment


def role_of(asked: Any) -> Role | None:
    """Return the role a parameter names. Raises Invalid."""
    name = asked.get("role")
    role = Role.objects.filter(name=name).first() if name else None
    if name and role is None:
        raise errors.Invalid([fault("role", "there is no such role")])
    return role


def fault(name: str, detail: str) -> dict[str, str]:
    return {"pointer": "", "code": f"bad_{name}" if name in KNOWN else "unknown_parameter", "detail": f"{name}: {detail}"}
