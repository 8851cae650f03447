"""Second looks: the list, one of them, how far people agree, and the known answers."""

from typing import Any
from uuid import UUID

from django import forms
from django.conf import settings
from django.contrib import messages
from django.http import Http404, HttpRequest, HttpResponse
from django.urls import reverse
from django.views.decorators.http import require_GET, require_http_methods

from escalations import clock, looks
from escalations.errors import Conflict, CountersignError, Invalid, NotFound
from escalations.looks import agreement as counted
from escalations.looks import known as known_answers
from escalations.models import Category, KnownAnswer, SecondLook
from escalations.states import LookState

from .. import second_looks, veil
from ..access import sees_everything
from ..forms import Text
from ..partials import leave, page

LOOK = "reviews/second_look.html"
KNOWN = "reviews/second_known.html"


@require_GET
def listed(request: HttpRequest) -> HttpResponse:
    """Show what waits for a second look of this person's, what they looked at, and how others saw what they decided."""
    waiting, answered = second_looks.listed(request.user), second_looks.answered_by(request.user)
    again = second_looks.seen_again(request.user)
    return page(
        request,
        "reviews/second.html",
        {
            "waiting": waiting,
            "answered": [(one, alike(one)) for one in answered],
            "again": [(one, alike(one)) for one in again],
            "sees_everything": sees_everything(request.user),
            "veil": veil.of(request.user, second_looks.proposals_of([*waiting, *answered, *again])),
        },
    )


def alike(look: SecondLook) -> bool:
    """Say whether the look saw it as it was decided; where the answer was known, whether it was found."""
    if look.expected:
        return known_answers.found(look.expected, look.verdict)
    return bool(look.verdict == look.proposal.decision.type)


@require_http_methods(["GET", "HEAD", "POST"])
def show(request: HttpRequest, pk: int) -> HttpResponse:
    """Show what is to be judged again, as the first saw it; POST answers it or gives it back. Answered, it tells what was decided."""
    look = second_looks.look_for(request.user, pk)
    if look.state == LookState.ANSWERED:
        context = {
            "look": look, "proposal": look.proposal, "decision": look.proposal.decision, "alike": alike(look),
            "known": second_looks.known_of(look), "mine": look.person_id == request.user.pk, "veil": veil.of_one(request.user, look.proposal),
        }
        return page(request, "reviews/second_told.html", context)
    if request.method == "POST":
        return answer(request, look)
    if request.method == "GET":
        opened(request, look)
    return page(request, LOOK, drawn(request, look))


def opened(request: HttpRequest, look: SecondLook) -> None:
    """Take the look, so that nobody else reads the same for nothing, and so that nothing else of it is shown to this person until then."""
    try:
        looks.open_look(look.pk, person=request.user)
    except CountersignError as error:
        raise Http404 from error


def answer(request: HttpRequest, look: SecondLook) -> HttpResponse:
    """Keep what was said, or show what is missing."""
    try:
        if request.POST.get("act") == "leave":
            second_looks.give_back(look, request.user)
            messages.success(request, "Given back. A colleague will look at it.")
            return leave(request, reverse("reviews:second"))
        form = second_looks.LookForm(request.POST)
        if not form.is_valid():
            return page(request, LOOK, drawn(request, look, form), status=422)
        said = form.cleaned_data
        looks.answer(look.pk, person=request.user, verdict=said["type"], reason=said["reason"], category=said["category"])
    except NotFound as error:
        raise Http404 from error
    except Conflict as error:
        messages.error(request, f"{error.detail} Nothing was kept.")
        return leave(request, reverse("reviews:second"))
    except Invalid as error:
        for one in error.errors:
            form.add_error(one["pointer"].strip("/"), one["detail"])
        return page(request, LOOK, drawn(request, look, form), status=422)
    except CountersignError as error:
        form.add_error("type", error.detail)
        return page(request, LOOK, drawn(request, look, form), status=422)
    return leave(request, reverse("reviews:second_look", args=[look.pk]))


def drawn(request: HttpRequest, look: SecondLook, form: second_looks.LookForm | None = None) -> dict[str, Any]:
    """Return what the page of an open look is made of: nothing in it knows the decision."""
    proposal = look.proposal
    return {
        "look": look, "proposal": proposal, "incident": proposal.incident, "d": second_looks.Blind(proposal, request.user),
        "form": form, "categories": list(Category.objects.order_by("name").values_list("name", flat=True)),
        "veil": veil.of_one(request.user, proposal),
    }


@require_GET
def agreement(request: HttpRequest) -> HttpResponse:
    """Show managers and auditors how far people agree, where they do not, and what people know of themselves already."""
    if not sees_everything(request.user):
        raise Http404
    since = clock.now() - second_looks.QUARTER
    rows = counted.by_category(counted.pairs(counted.answered(since)))
    apart = counted.disagreements(since)
    tested = SecondLook.objects.filter(state=LookState.ANSWERED, expected__gt="", answered_at__gt=since)
    verdicts = list(tested.values_list("expected", "verdict")[:5_000])
    context = {
        "whole": rows[0] if rows else None,
        "rows": rows[1:],
        "least": counted.LEAST,
        "apart": apart,
        "alarms": list(looks.shared_alarms()),
        "known": len(verdicts),
        "known_found": sum(known_answers.found(*one) for one in verdicts),
        "administers": administers(request),
        "veil": veil.of(request.user, second_looks.proposals_of(apart)),
    }
    return page(request, "reviews/second_agreement.html", context)


def administers(request: HttpRequest) -> bool:
    return bool(request.user.is_staff or request.user.is_superuser)


class KnownForm(forms.Form):
    """Which settled proposal, what is right, and why."""

    proposal = forms.CharField(max_length=200, error_messages={"required": "Give the address or the id of a settled proposal."})
    verdict = forms.CharField(max_length=8, error_messages={"required": "Choose what is right."})
    why = Text(max_length=2_000, required=True, error_messages={"required": "Say why it is beyond doubt: who answers reads it afterwards."})

    def clean_proposal(self) -> UUID:
        said = self.cleaned_data["proposal"].strip().rstrip("/").rsplit("/", 1)[-1]
        try:
            return UUID(said)
        except ValueError as error:
            raise forms.ValidationError("That is no address of a proposal.") from error


@require_http_methods(["GET", "HEAD", "POST"])
def known(request: HttpRequest) -> HttpResponse:
    """Show administrators the known answers; POST marks one or takes one out. Of what is asked about they see what they may read."""
    if not administers(request):
        raise Http404
    form: KnownForm | None = None
    if request.method == "POST":
        try:
            if request.POST.get("act") == "retire":
                taken_out(request)
                return leave(request, reverse("reviews:known_answers"))
            form = KnownForm(request.POST)
            if form.is_valid():
                said = form.cleaned_data
                looks.mark(said["proposal"], person=request.user, verdict=said["verdict"], why=said["why"])
                messages.success(request, "Marked. It is mixed in among the second looks of its role, and nobody can tell it there.")
                return leave(request, reverse("reviews:known_answers"))
        except CountersignError as error:
            if form is None:
                raise Http404 from error
            form.add_error("proposal" if isinstance(error, NotFound) else None, error.detail)
    marked = KnownAnswer.objects.filter(retired_at=None).select_related("proposal__source", "proposal__role", "marked_by")
    rows = list(marked.order_by("-marked_at")[:200])
    context = {
        "rows": rows, "form": form, "given": request.GET.get("proposal", "")[:200], "verdicts": second_looks.OPTIONS,
        "every": settings.KNOWN_ANSWER_EVERY,
        "veil": veil.of(request.user, [one.proposal for one in rows]),
    }
    return page(request, KNOWN, context, status=422 if form else 200)


def taken_out(request: HttpRequest) -> None:
    """Take a known answer out of the second looks."""
    try:
        which = UUID(request.POST.get("proposal", ""))
    except ValueError as error:
        raise Http404 from error
    looks.retire(which, person=request.user, why=request.POST.get("why", ""))
    messages.success(request, "Taken out. What waited of it lapsed.")
