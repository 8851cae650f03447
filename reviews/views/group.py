"""Decide twins together: each row signed as it was shown, each settled by itself."""

from django.core.exceptions import ValidationError
from django.http import Http404, HttpRequest, HttpResponse
from django.views.decorators.http import require_http_methods

from escalations import authority
from escalations.defaults import CATEGORIES
from escalations.states import Severity, Verdict

from .. import groups, values, veil
from ..dossier import options_of
from ..forms import DecisionForm, needs_confirming
from ..partials import page, part
from ..sentences import is_acknowledgement
from . import drawing

PAGE = "reviews/group.html"


@require_http_methods(["GET", "HEAD", "POST"])
def show(request: HttpRequest) -> HttpResponse:
    """Show the twins of one source and fingerprint; POST decides those that are ticked."""
    source, fingerprint = request.GET.get("source", "").replace("\0", ""), request.GET.get("fingerprint", "").replace("\0", "")
    group = groups.group_of(request.user, source, fingerprint)
    over = veil.of(request.user, [twin.proposal for twin in group.twins])
    first = group.twins[0].proposal if group.twins else None
    typed = drawing.typed(first, None, veiled=over.hides(first.content)) if first else {}
    context = {"veil": over, "source": source, "fingerprint": fingerprint, "group": group, "typed": typed}
    if request.method == "POST":
        return sign(request, group, context)
    if not group.twins:
        raise Http404
    return page(request, PAGE, {**context, **offered(request, group)})


def offered(request: HttpRequest, group: groups.Group) -> dict[str, object]:
    if not group.twins:
        return {}
    first = group.twins[0].proposal
    allowed = [set(twin.proposal.allowed_decisions) | {Verdict.REJECT} for twin in group.twins]
    options = [one for one in options_of(first) if all(one.verdict in some for some in allowed)]
    return {
        "first": first,
        "options": [one for one in options if group.equal or one.verdict not in groups.NEEDS_EQUAL],
        "acknowledgement": is_acknowledgement(first),
        "severities": Severity.values,
        "categories": list(CATEGORIES),
        "must_confirm": must_confirm(group),
        "why_not": authority.why_not(request.user, first),
        "args": values.table(first.args)[0],
    }


def sign(request: HttpRequest, group: groups.Group, context: dict[str, object]) -> HttpResponse:
    """Decide the ticked rows and list what became of each, 200 or 409."""
    picks = [pick for text in request.POST.getlist("pick")[: groups.MOST] if (pick := groups.Pick.parse(text))]
    shown = groups.picked(request.user, str(context["source"]), str(context["fingerprint"]), picks)
    picks = [pick for pick in picks if pick.pk in shown]  # a form of this page names no row of another
    typed = {name: request.POST.get(name, "") for name in DecisionForm.base_fields}
    problems = problems_of(picks, typed, must_confirm=any(needs_confirming(one) for one in shown.values()))
    edited: dict[str, object] = {}
    if typed["type"] == Verdict.EDIT and picks and group.twins:
        # All are equal, so one form speaks for them; each is signed at the version and digest it was shown with.
        form = DecisionForm({**typed, "version": picks[0].version, "digest": picks[0].digest}, proposal=shown[picks[0].pk])
        problems += [text for texts in form.errors.values() for text in texts if text not in problems]
        edited = {} if problems else {name: form.signature()[name] for name in ("args", "draft") if name in form.signature()}
    if problems or not group.twins:
        context |= {
            "typed": typed,
            "problems": problems or ["None of these is open any more."],
            "picked": {str(pick) for pick in picks},
        }
        return part(request, PAGE, "#group", {**context, **offered(request, group)}, status=422 if problems else 409)
    signature: dict[str, object] = {"type": typed["type"], "reason": typed["reason"].strip(), **edited}
    if typed["type"] == Verdict.RESPOND:
        signature["message"] = typed["message"]
    if typed["type"] == Verdict.REJECT:
        signature["retry"] = bool(request.POST.get("retry"))
    results = groups.decide(request.user, picks, signature)
    left = groups.group_of(request.user, str(context["source"]), str(context["fingerprint"]))
    context |= {"results": results, "group": left, "signed": sum(one.status == 200 for one in results)}
    return part(request, PAGE, "#group", {**context, **offered(request, left)})


def must_confirm(group: groups.Group) -> bool:
    return any(needs_confirming(twin.proposal) for twin in group.twins)


def problems_of(picks: list[groups.Pick], typed: dict[str, str], *, must_confirm: bool) -> list[str]:
    """Return what is wrong with the form, in words; put the reason and the message as the page of one would read them."""
    verdict = typed["type"]
    said = []
    for name in ("reason", "message"):
        try:
            typed[name] = DecisionForm.base_fields[name].clean(typed[name])
        except ValidationError as error:
            said += [f"{name.capitalize()}: {text}" for text in error.messages]
    if not picks:
        said.append("Tick at least one row.")
    if verdict not in Verdict.values:
        said.append("Choose a decision first.")
    if verdict in groups.NEEDS_EQUAL and len({pick.digest for pick in picks}) > 1:
        said.append("These rows ask for different things. Approve or edit only rows that are equal, or decide them one by one.")
    if verdict in groups.NEEDS_EQUAL and must_confirm and not typed["read"]:
        said.append("Tick that you have read what is signed.")
    if verdict == Verdict.REJECT and not typed["reason"].strip():
        said.append("Say why not: the agent and your colleagues read it.")
    if verdict == Verdict.RESPOND and not typed["message"].strip():
        said.append("Write the answer.")
    return said
