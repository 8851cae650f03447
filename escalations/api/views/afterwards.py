"""What a source does after it posted: revise, add context, withdraw, acknowledge. And what a person decides."""

from typing import Any

from drf_spectacular.utils import extend_schema
from rest_framework.request import Request
from rest_framework.response import Response

from escalations import canonical, errors, lifecycle, looks
from escalations.api import auth, fields, inputs, outputs, parsers
from escalations.models import Incident, Proposal

from .base import Door
from .incidents import KEY, PROBLEM, told_to

CONFLICTS = {400: PROBLEM, 404: PROBLEM, 409: PROBLEM}


class Revisions(Door):
    """POST a new revision."""

    permission_classes = [auth.SourceMay]
    signed = parsers.ALL_SIGNED

    @extend_schema(
        operation_id="revise", summary="Post a new revision of the proposal", request=inputs.ProposalIn,
        responses={201: outputs.IncidentOut, **CONFLICTS},
    )
    def post(self, request: Request, pk: Any) -> Response:
        incident = self.own_incident(pk)
        content = read_member(inputs.ProposalIn, self.body().data, "proposal")
        lifecycle.revise(incident.pk, content=content, author="source", actor=self.caller.actor)
        return Response(told(incident.pk, self.caller), status=201, headers={"Location": f"/api/v1/incidents/{incident.pk}"})


class MoreContext(Door):
    """POST more context."""

    permission_classes = [auth.SourceMay]

    @extend_schema(
        operation_id="add_context", summary="Add context, or answer what was asked back", request=inputs.ContextIn,
        responses={200: outputs.IncidentOut, **CONFLICTS},
    )
    def post(self, request: Request, pk: Any) -> Response:
        incident = self.own_incident(pk)
        parsed = self.body()
        context = read_member(inputs.AddedContextIn, parsed.data, "context")
        lifecycle.add_context(incident.pk, context=context, sanitised=parsed.sanitised, actor=self.caller.actor)
        return Response(told(incident.pk, self.caller))


class Withdrawal(Door):
    """POST that no answer is needed any more."""

    permission_classes = [auth.SourceMay]

    @extend_schema(
        operation_id="withdraw", summary="Withdraw an incident", request=None, responses={200: outputs.IncidentOut, **CONFLICTS}
    )
    def post(self, request: Request, pk: Any) -> Response:
        incident = self.own_incident(pk)
        fields.read(inputs.NothingIn, self.body(optional=True).data)
        lifecycle.withdraw(incident.pk, actor=self.caller.actor)
        return Response(told(incident.pk, self.caller))


class Acknowledgement(Door):
    """POST what was done with the outcome."""

    permission_classes = [auth.SourceMay]

    @extend_schema(
        operation_id="acknowledge", summary="Say what was done with the outcome", request=inputs.AckIn,
        responses={200: outputs.IncidentOut, **CONFLICTS},
    )
    def post(self, request: Request, pk: Any) -> Response:
        incident = self.own_incident(pk)
        said = fields.read(inputs.AckIn, self.body().data)
        lifecycle.acknowledge(
            incident.pk, result=said["result"], args_digest=said.get("args_digest"), detail=said.get("detail", ""),
            actor=self.caller.actor,
        )
        return Response(told(incident.pk, self.caller))


class Deciding(Door):
    """POST a decision."""

    permission_classes = [auth.PersonMay]
    signed = parsers.ALL_SIGNED

    @extend_schema(
        operation_id="decide", summary="Decide a proposal (people's tokens only)", request=inputs.DecisionIn, parameters=[KEY],
        responses={200: outputs.IncidentOut, 403: PROBLEM, 422: PROBLEM, **CONFLICTS},
    )
    def post(self, request: Request, pk: Any) -> Response:
        parsed = self.body()
        said = fields.read(inputs.DecisionIn, parsed.data)
        key = self.idempotency_key()
        # The address is part of what was asked: the same key and body on another proposal is another request.
        digest = canonical.body_digest({"proposal": str(pk), "body": parsed.original})
        try:
            outcome = self._decided(pk, said, key, digest)
        except errors.NotFound:
            if Proposal.objects.filter(pk=pk).exists():  # whoever knows the id is told why, as the pages do not
                raise errors.NotYourQueue from None
            raise
        except errors.AlreadySettled:
            if looks.opened_by(self.caller.as_person).filter(proposal=pk).exists():  # they judge it again, and are not to know yet
                raise errors.AlreadySettled from None
            raise
        headers = {"Idempotent-Replayed": "true"} if outcome.replayed else {}
        return Response(told(outcome.proposal.incident_id, self.caller), headers=headers)

    def _decided(self, pk: Any, said: dict[str, Any], key: str | None, digest: str) -> lifecycle.Outcome:
        token = self.caller.credential
        return lifecycle.decide(
            pk, person=self.caller.as_person, type=said["type"], digest=said["args_digest"], version=said["version"],
            reason=said.get("reason", ""), args=said.get("args"), draft=said.get("draft"), message=said.get("message"),
            retry=said.get("retry", False), method="api", interactive=token.interactive,
            request_key=f"{token.key_id}:{key}" if key else None, request_digest=digest,
        )


def read_member(form: type[fields.Strict], data: dict[str, Any], name: str) -> dict[str, Any]:
    """Return the members themselves, or wrapped as they are in an incident: {"context": {...}}."""
    if list(data) == [name]:
        return fields.read(form, data[name], f"/{name}")
    return fields.read(form, data)


def told(incident_id: Any, caller: auth.Caller) -> dict[str, Any]:
    """Return the incident as it is now, as this caller may be told."""
    return told_to(caller, [Incident.objects.select_related("source").get(pk=incident_id)])[0]

