"""Decide twins together: each row signed as it was shown, each settled by itself."""

from typing import Any

from django.http import Http404, HttpRequest, HttpResponse
from django.views.decorators.http import require_http_methods

from escalations import authority
from escalations.defaults import CATEGORIES
from escalations.models import Proposal
from escalations.states import Severity, Verdict

from .. import access, deciding, groups, held, values, veil
from ..dossier import options_of
from ..forms import DecisionForm, Problem
from ..partials import page, part
from ..sentences import is_acknowledgement
from .refilling import refilled_group

PAGE = "reviews/group.html"
DIFFERENT = "These rows ask for different things. Approve or edit only rows that are equal, or decide them one by one."


@require_http_methods(["GET", "HEAD", "POST"])
def show(request: HttpRequest) -> HttpResponse:
    """Show the twins of one source and fingerprint; POST decides those that are ticked. When all are settled, show as what."""
    source, fingerprint, digest = (request.GET.get(name, "").replace("\0", "") for name in ("source", "fingerprint", "digest"))
    group = groups.group_of(request.user, source, fingerprint, digest)
    over = veil.of_whole(request.user, [twin.proposal for twin in group.twins])
    context = {"veil": over, "source": source, "fingerprint": fingerprint, "digest": digest, "group": group}
    if request.method == "POST":
        return sign(request, group, context)
    if group.twins:
        masked = any(over.hides(twin.proposal.content) for twin in group.twins)
        form, context["picked"] = refilled_group(request, group, masked=masked) or (None, set())
        return page(request, PAGE, {**context, **offered(request, group, over, form)})
    context["decided"] = groups.decided(request.user, source, fingerprint)
    if not context["decided"]:
        raise Http404
    return page(request, PAGE, {**context, "veil": veil.of(request.user, context["decided"])})


def offered(request: HttpRequest, group: groups.Group, over: veil.Veil, form: DecisionForm | None = None) -> dict[str, Any]:
    """Return what the form of the open twins is made of; nothing when there is none."""
    if not group.twins:
        return {}
    twins = [twin.proposal for twin in group.twins]
    first = twins[0]
    allowed = [set(one.allowed_decisions) | {Verdict.REJECT} for one in twins]
    options = [one for one in options_of(first) if all(one.verdict in some for some in allowed)]
    masked = any(over.hides(one.content) for one in twins)
    panel = deciding.panel_of(first, form, reasons=deciding.reasons_of(first), masked=masked, alike=twins[1:])
    return {
        "first": first,
        "panel": panel,
        "typed": panel.typed,
        "form": form,
        "veiled": masked,
        "options": [one for one in options if group.equal or one.verdict not in groups.NEEDS_EQUAL],
        "acknowledgement": is_acknowledgement(first),
        "severities": Severity.values,
        "categories": list(CATEGORIES),
        "why_not": authority.why_not(request.user, first, roles=access.roles_of(request.user)),
        "args": values.table(first.args)[0],
    }


def sign(request: HttpRequest, group: groups.Group, context: dict[str, Any]) -> HttpResponse:
    """Decide the ticked rows and list what became of each, 200 or 409."""
    source, fingerprint = context["source"], context["fingerprint"]
    picks = [pick for text in request.POST.getlist("pick")[: groups.MOST] if (pick := groups.Pick.parse(text))]
    shown = groups.picked(request.user, source, fingerprint, picks)
    picks = [pick for pick in picks if pick.pk in shown]  # a form of this page names no row of another
    first = shown[picks[0].pk] if picks else group.twins[0].proposal if group.twins else None
    if first is None:
        said = [Problem("", "None of these is open any more.")]
        return part(request, PAGE, "#group", {**context, "problems": said}, status=409)
    over = veil.of_whole(request.user, [*shown.values(), *(twin.proposal for twin in group.twins)])
    context["veil"] = over
    form, problems = read(request, first, picks, shown, over)
    if problems or "show" in request.POST:
        context |= {"problems": problems, "picked": {str(pick) for pick in picks}, "switched": "show" in request.POST}
        return part(request, PAGE, "#group", {**context, **offered(request, group, over, form)}, status=422 if problems else 200)
    signature = {name: said for name, said in form.signature().items() if name not in ("version", "digest")}
    results = groups.decide(request.user, picks, signature)
    if any(one.held for one in results):
        held.remember(request)
    left = groups.group_of(request.user, source, fingerprint, context["digest"])
    over = veil.of_whole(request.user, [*shown.values(), *(twin.proposal for twin in left.twins)])
    context |= {"veil": over, "results": results, "group": left, "signed": sum(one.status == 200 for one in results)}
    return part(request, PAGE, "#group", {**context, **offered(request, left, over)})


def read(
    request: HttpRequest, first: Proposal, picks: list[groups.Pick], shown: dict[Any, Proposal], over: veil.Veil
) -> tuple[DecisionForm, list[Problem]]:
    """Return the one form that speaks for all picked rows, and what is wrong with it; each is signed as it was shown."""
    masked = any(over.hides(one.content) for one in shown.values())
    data = request.POST.copy()
    data["version"], data["digest"] = (str(picks[0].version), picks[0].digest) if picks else (str(first.version), first.args_digest)
    alike = [one for one in shown.values() if one.pk != first.pk]
    options: dict[str, Any] = {"reasons": deciding.reasons_of(first), "masked": masked, "alike": alike}
    if "show" in request.POST:
        form = deciding.switched(data, request.POST["show"], first, **options)
        return form, form.problems
    form = DecisionForm(data, proposal=first, **options)
    problems = [] if picks else [Problem("group-rows", "Tick at least one row.")]
    if data.get("type") in groups.NEEDS_EQUAL and len({pick.digest for pick in picks}) > 1:
        problems.append(Problem("group-rows", DIFFERENT))
    return form, problems + form.problems
