"""The client's calls. It parses JSON before it looks at a status, and gives up at the first error; so nothing here is ever empty, and
a question for an answer that cannot be looked up just now is answered "not yet".
"""

from collections.abc import Awaitable, Callable
from typing import Any

from django.conf import settings
from django.http import HttpRequest, HttpResponse, JsonResponse
from django.views.decorators.csrf import csrf_exempt

from escalations import authority, errors, lifecycle
from escalations.adapters.base import Later, post, route
from escalations.api import auth, parsers, problems
from escalations.models import ContextItem, Incident, Proposal, Source
from escalations.states import State, Status, Verdict

from . import again, answers
from .asked import CONTACT, FUNCTION, as_incident, check_id, is_one, key_of, options, own, read

HOLD = 15.0  # seconds a question for an answer is held open; the client hangs up after 30
AS_FIRST_ASKED = 2  # a proposal's version when nothing changed since it came to a person: being placed raised it once
LONGEST_ESCALATION = 20_000  # characters
NOT_NOW = frozenset({429, 503})


def caller_of(request: HttpRequest) -> auth.Caller:
    """Return whose key the request bears. Raises NotAuthenticated."""
    scheme, _, text = request.headers.get("Authorization", "").partition(" ")
    if scheme.lower() != "bearer" or not text.strip():
        raise errors.NotAuthenticated
    return auth.calling(request, text.strip())


def create(what: str) -> Callable[..., HttpResponse]:
    """Return the view that takes a call in: 200 with the call again, the same call twice included; 409 for another with its id."""

    def view(request: HttpRequest, body: bytes) -> HttpResponse:
        caller = caller_of(request)
        auth.check_scope(caller, "incidents:write")
        asked = read(what, body)
        try:
            incident = again.let_go(caller, asked) if what == FUNCTION else None
            if incident is None:
                incident, _ = post(caller, as_incident(asked), key=asked.key, strict=True)
        except errors.IdempotencyMismatch:
            raise errors.Conflict(f"The id {asked.call_id} belongs to another call. Ask again with an id of its own.") from None
        return JsonResponse(answers.of(what, incident))

    return view


def look(what: str) -> Callable[..., HttpResponse | Later]:
    """Return the view that answers how a call stands; while nobody decided, it is held for a while, without a thread."""

    def view(request: HttpRequest, body: bytes, call_id: str) -> HttpResponse | Later:
        caller = caller_of(request)
        auth.check_scope(caller, "incidents:read")
        incident = own(caller, what, call_id) if caller.source is not None else _of_person(caller, what, call_id)
        if incident is None:
            raise errors.NotFound
        now = answers.of(what, incident)
        if caller.source is None or not answers.is_pending(now):
            return JsonResponse(now)
        return Later(incident.pk, HOLD, lambda: JsonResponse(_as_it_is(what, incident.pk)))

    return view


def respond(what: str) -> Callable[..., HttpResponse]:
    """Return the view by which a person decides, with their own token. A source's key is refused: software decides nothing it asked.

    The client's answer does not say what was read. So it is taken for the call as it was first asked, and is a 409 when anything
    changed since then, unless it names `args_digest` and `version` of what it read, which stand in every status.
    """

    def view(request: HttpRequest, body: bytes, call_id: str) -> HttpResponse:
        caller = caller_of(request)
        person = caller.as_person
        said = parsers.parse(body, limit=settings.MAX_BODY_BYTES, signed=parsers.ALL_SIGNED).data
        incident = _of_person(caller, what, call_id)
        if incident is None:
            raise errors.NotFound
        proposal = _newest(incident)
        first = Proposal.objects.filter(incident=incident).order_by("revision").values_list("args_digest", flat=True)[0]
        spec = incident.payload["humanlayer"]["spec"]
        verdict = _verdict_on_call(said, spec) if what == FUNCTION else _answer(said, spec)
        if proposal.revision > 1 and not isinstance(said.get("version"), int):  # what it says anew may be anything but its content
            raise errors.ChangedSinceSeen(version=proposal.version, args_digest=proposal.args_digest)
        lifecycle.decide(
            proposal.pk, person=person, digest=str(said.get("args_digest") or first),
            version=said["version"] if isinstance(said.get("version"), int) else AS_FIRST_ASKED, method="api",
            interactive=caller.credential.interactive, **verdict,
        )
        return JsonResponse(_as_it_is(what, incident.pk))

    return view


def escalate(what: str) -> Callable[..., HttpResponse]:
    """Return the view that takes down that it is urgent: of a source, words for who decides; of a person, the next step at once.

    Nobody outside is mailed: whom to tell is the policy's, never in a body. What is settled stays as it is.
    """

    def view(request: HttpRequest, body: bytes, call_id: str) -> HttpResponse:
        caller = caller_of(request)
        auth.check_scope(caller, "incidents:write")
        said = parsers.parse(body, limit=settings.MAX_BODY_BYTES, signed=()).data.get("escalation_msg")
        if not isinstance(said, str) or not said.strip():
            raise errors.Invalid([{"pointer": "/escalation_msg", "code": "required", "detail": "some text"}])
        incident = own(caller, what, call_id) if caller.source is not None else _of_person(caller, what, call_id)
        if incident is None:
            raise errors.NotFound
        if incident.status != Status.SETTLED:
            text = said.strip()[:LONGEST_ESCALATION]
            if caller.source is None:
                lifecycle.escalate_now(_newest(incident).pk, person=caller.as_person, why=text)
            else:
                context = {"summary": f"The agent's side asks to hurry: {text}"}
                if not ContextItem.objects.filter(incident=incident, context=context).exists():  # said twice, it is said
                    lifecycle.add_context(incident.pk, context=context, actor=caller.actor)
        return JsonResponse(_as_it_is(what, incident.pk))

    return view


def nowhere(request: HttpRequest, body: bytes, rest: str) -> HttpResponse:
    """Say that there is no such call, as JSON."""
    raise errors.NotFound


def says(error: errors.CountersignError) -> HttpResponse:
    """Return an error as JSON: its sentence, with every fault in it, is what the client hands to its model."""
    faults = "; ".join(f"{one['pointer']}: {one['detail']}" for one in getattr(error, "errors", ()))
    detail = f"{type(error).detail} {faults}" if faults else error.detail
    return JsonResponse({"detail": detail, "code": error.code}, status=error.status, headers=problems.headers_of(error))


def patient(what: str) -> Callable[..., Awaitable[HttpResponse]]:
    """Return the route to `look`, which tells a client that has to come again to ask again: it would take 503 for a refusal."""
    looked = route(look(what), methods=("GET",), limit=settings.MAX_BODY_BYTES, says=says)

    async def answer(request: HttpRequest, call_id: str) -> HttpResponse:
        said = await looked(request, call_id=call_id)
        if said.status_code not in NOT_NOW:
            return said
        return JsonResponse({"call_id": call_id, **answers.STILL_PENDING[what]})

    return csrf_exempt(answer)


# -- what the views share


def _as_it_is(what: str, incident_id: Any) -> dict[str, Any]:
    return answers.of(what, Incident.objects.select_related("source").get(pk=incident_id))


def _of_person(caller: auth.Caller, what: str, call_id: str) -> Incident | None:
    """Return the call this person may read; None. Two queries. Raises Conflict where several sources have one of that id."""
    check_id(call_id)
    sources = list(Source.objects.values_list("pk", flat=True))  # the index begins with the source
    readable = authority.readable_by(caller.as_person).filter(incident__source__in=sources, incident__key=key_of(what, call_id))
    found = list(Incident.objects.filter(pk__in=readable.values("incident")).select_related("source")[:2])
    if len(found) > 1:
        raise errors.Conflict("Several sources have a call with this id. Decide it on its page.")
    return found[0] if found and is_one(what, found[0]) else None


def _newest(incident: Incident) -> Proposal:
    proposal = Proposal.objects.filter(incident=incident).order_by("-revision").first()
    if proposal is None or (proposal.state == State.PENDING and proposal.routed_at is None):
        raise errors.Conflict("Nobody was asked yet. Try again in a moment.")
    return proposal


def _verdict_on_call(said: dict[str, Any], spec: dict[str, Any]) -> dict[str, Any]:
    approved, comment = said.get("approved"), said.get("comment")
    if not isinstance(approved, bool):
        raise errors.Invalid([{"pointer": "/approved", "code": "required", "detail": "true or false"}])
    reason = comment.strip() if isinstance(comment, str) else ""
    if approved:
        return {"type": Verdict.APPROVE, "reason": reason}
    return {"type": Verdict.REJECT, "reason": reason or _title(spec, "reject_options", said.get("reject_option_name"))}


def _answer(said: dict[str, Any], spec: dict[str, Any]) -> dict[str, Any]:
    response = said.get("response")
    text = response.strip() if isinstance(response, str) else ""
    return {"type": Verdict.RESPOND, "message": text or _title(spec, "response_options", said.get("response_option_name"))}


def _title(spec: dict[str, Any], name: str, chosen: Any) -> str:
    """Return the words of an option that was chosen by its name, or ""."""
    return next((one["title"] or one["name"] for one in options(spec, name) if one["name"] == chosen), "")


def addresses() -> dict[str, Callable[..., Awaitable[HttpResponse]]]:
    """Return every address below /humanlayer/v1/, spelled as the clients spell it, with its route."""
    largest = settings.MAX_BODY_BYTES
    taken: dict[str, Callable[..., Awaitable[HttpResponse]]] = {}
    for what, made, answered in ((FUNCTION, "function_calls", "function_calls"), (CONTACT, "contact_requests", "human_contacts")):
        taken[made] = route(create(what), limit=largest, says=says)
        taken[f"{made}/<str:call_id>"] = patient(what)
        taken[f"agent/{answered}/<str:call_id>/respond"] = route(respond(what), limit=largest, says=says)
        taken[f"agent/{answered}/<str:call_id>/escalate_email"] = route(escalate(what), limit=largest, says=says)
    taken["<path:rest>"] = route(nowhere, methods=("GET", "POST", "PUT", "PATCH", "DELETE"), limit=largest, says=says)
    return taken
