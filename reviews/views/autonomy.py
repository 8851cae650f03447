"""Lanes: what the machine could do alone, on which evidence; managers grant it and end it, auditors and administrators read along."""

from typing import Any

from django import forms
from django.contrib import messages
from django.contrib.auth import authenticate
from django.http import Http404, HttpRequest, HttpResponse
from django.shortcuts import get_object_or_404
from django.urls import reverse
from django.views.decorators.debug import sensitive_post_parameters
from django.views.decorators.http import require_GET, require_POST

from escalations.errors import CountersignError, Invalid
from escalations.learn import asking, evidence
from escalations.models import Lane
from escalations.policies import lanes as verbs

from .. import access, autonomy, veil
from ..autonomy_forms import CONFIDENCES, GrantForm, ReasonForm, TargetForm
from ..partials import leave, page

LIST, LANE = "reviews/autonomy.html", "reviews/lane.html"
FARTHEST = 1_000  # pages


@require_GET
def show(request: HttpRequest) -> HttpResponse:
    """List the lanes, those that act alone first."""
    if not access.sees_everything(request.user):
        raise Http404
    wanted = request.GET.get("show", "")
    chosen = wanted if wanted in autonomy.SHOWS else ""
    text = request.GET.get("page", "1")
    number = int(text) if text.isascii() and text.isdigit() and 0 < len(text) < 5 else 1
    listing = autonomy.listing(request.user, chosen, min(max(number, 1), FARTHEST))
    context = {
        "rows": [(lane, autonomy.progress(lane)) for lane in listing.rows],
        "onward": listing.onward,
        "first": number <= 1,
        "shows": autonomy.SHOWS,
        "chosen": chosen,
        "is_live": (is_live := autonomy.is_live()),
        "coming": None if is_live else autonomy.coming(),
        "enough": asking.ENOUGH,
        "versions_url": reverse("admin:escalations_classifierversion_changelist"),
    }
    return page(request, LIST, context)


@require_GET
def lane(request: HttpRequest, pk: int) -> HttpResponse:
    """Show one lane with its evidence."""
    return drawn(request, lane_for(request, pk))


@sensitive_post_parameters("password")
@require_POST
def grant(request: HttpRequest, pk: int) -> HttpResponse:
    """Sign that a lane may act alone, on the evidence that was shown: the reason, the lane's name, and the password again."""
    found = lane_for(request, pk)
    form = GrantForm(request.POST, lane=found)
    if form.is_valid() and not is_who_is_signed_in(request, form.cleaned_data["password"]):
        form.add_error("password", "That is not your password.")
    if not form.is_valid():
        return drawn(request, found, form=form, act="grant", status=422)
    signed = form.cleaned_data
    try:
        made = verbs.grant(
            found.pk, person=request.user, alpha=signed["alpha"], delta=signed["delta"], threshold=signed["threshold"], days=signed["days"],
            reason=signed["reason"], digest=signed["digest"], until=signed["until"],
        )
    except CountersignError as error:
        return refused(request, found, form, "grant", error)
    messages.success(request, f"Signed: this lane acts alone until {made.expires_at:%-d %b %Y}, and is watched.")
    return leave(request, reverse("reviews:lane", args=[found.pk]))


@require_POST
def withdraw(request: HttpRequest, pk: int) -> HttpResponse:
    """End a grant: people decide everything again, from this moment on."""
    found = lane_for(request, pk)
    form = ReasonForm(request.POST)
    if not form.is_valid():
        return drawn(request, found, form=form, act="withdraw", status=422)
    try:
        ended = verbs.withdraw(found.pk, why=form.cleaned_data["reason"], person=request.user)
    except CountersignError as error:
        return refused(request, found, form, "withdraw", error)
    said = "Ended: people decide everything in this lane again." if ended else "It had ended already: people decide everything in this lane."
    messages.success(request, said)
    return leave(request, reverse("reviews:lane", args=[found.pk]))


@require_POST
def target(request: HttpRequest, pk: int) -> HttpResponse:
    """Say how many errors would be allowed in a lane, and with which confidence that is to be shown."""
    found = lane_for(request, pk)
    form = TargetForm(request.POST)
    if not form.is_valid():
        return drawn(request, found, form=form, act="target", status=422)
    try:
        verbs.set_target(found.pk, alpha=form.alpha, delta=form.delta, person=request.user)
    except CountersignError as error:
        return refused(request, found, form, "target", error)
    messages.success(request, "Set. What could go alone is worked out anew; a grant that stands keeps its own.")
    return leave(request, reverse("reviews:lane", args=[found.pk]))


def lane_for(request: HttpRequest, pk: int) -> Lane:
    """Return the lane if this person may see it, else raise Http404. One query, and the roles."""
    if not access.sees_everything(request.user):
        raise Http404
    found: Lane = get_object_or_404(evidence.listed(request.user), pk=pk)
    return found


def is_who_is_signed_in(request: HttpRequest, password: str) -> bool:
    """Say whether this is the password of who is signed in. Through the sign-in's own door: guessing here locks out as it does there."""
    person = authenticate(request, username=request.user.get_username(), password=password)
    return person is not None and person.pk == request.user.pk


def refused(request: HttpRequest, found: Lane, form: forms.Form, act: str, error: CountersignError) -> HttpResponse:
    """Draw the lane as it is now, with why not and what was typed."""
    problems = error.errors if isinstance(error, Invalid) else []
    for one in problems:
        name = one["pointer"].strip("/").partition("/")[0]
        form.add_error(name if name in form.fields else None, one["detail"])
    if not problems:
        form.add_error(None, error.detail)
    return drawn(request, lane_for(request, found.pk), form=form, act=act, status=422 if isinstance(error, Invalid) else error.status)


def drawn(request: HttpRequest, found: Lane, *, form: forms.Form | None = None, act: str = "", status: int = 200) -> HttpResponse:
    """Return the lane's page; `form` is what was posted to the act of that name."""
    shown = autonomy.shown_to(request.user, found)
    context: dict[str, Any] = {
        "shown": shown,
        "veil": veil.of(request.user, shown.proposals),
        "form": form,
        "act": act,
        "confidences": CONFIDENCES,
        "may_end": verbs.may_end(request.user, found),
        "longest_days": verbs.LONGEST_DAYS,
        "chosen_sure": request.POST.get("sure", "") if act == "target" else f"{100 * (1 - found.delta):.0f}",
        "enough": asking.ENOUGH,
        "versions_url": reverse("admin:escalations_classifierversion_changelist"),
        "rules_url": reverse("admin:escalations_routingrule_changelist"),
        "triggers_url": reverse("admin:escalations_trigger_changelist"),
    }
    return page(request, LANE, context, status=status)
