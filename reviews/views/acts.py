"""What can be done with a proposal besides deciding: claim, release, hand over, escalate, extend, ask back, comment, undo, reveal."""

from uuid import UUID

from django import forms
from django.contrib import messages
from django.http import HttpRequest, HttpResponse
from django.urls import reverse
from django.views.decorators.http import require_http_methods

from escalations import lifecycle
from escalations.errors import CountersignError
from escalations.models import Hold, Proposal

from .. import held, inbox, veil
from ..access import proposal_for
from ..act_forms import CommentForm, ExtendForm, HandOverForm, RevealForm, WhyForm, WordsForm
from ..forms import DecisionForm
from ..partials import SeeOther, fresh, leave, page, part
from . import sign, strip
from .drawing import PAGE, drawn

FORMS: dict[str, type[forms.Form]] = {
    "hand_over": HandOverForm,
    "escalate": WhyForm,
    "extend": ExtendForm,
    "ask_back": WordsForm,
    "comment": CommentForm,
    "reveal": RevealForm,
}
DONE = {
    "claim": "Claimed: colleagues see that it is yours.",
    "take_over": "Taken over: it is yours now.",
    "release": "Released.",
    "hand_over": "Handed over.",
    "escalate": "Escalated.",
    "extend": "Given more time.",
    "ask_back": "The source was asked; what it answers stands in the context.",
    "comment": "Your comment stands below.",
    "undo": "Taken back: nothing was settled, and nothing has left. What you had signed stands in the form.",
    "reveal": "Shown for 30 minutes. That you looked stands on record.",
}
PLACES = {"comment": "#talk-h"}  # where the eye goes after an act; else to the heading


@require_http_methods(["GET", "HEAD", "POST"])
def act(request: HttpRequest, pk: UUID) -> HttpResponse:
    """Do what the button's name says. A GET, as after signing in again, goes to the proposal.

    The page that is drawn when an act was refused has this address, and its form of the decision comes here: it is signed as ever.
    """
    proposal = proposal_for(request.user, pk)
    if request.method != "POST":
        return looked_at(request, proposal)
    if "act" not in request.POST:
        return sign.sign(request, proposal)
    name = request.POST["act"]
    form = FORMS.get(name, forms.Form)(request.POST)
    try:
        if not form.is_valid():
            return refused(request, proposal, name, form, "Nothing was done.", 422)
        perform(request, proposal, name, form)
    except CountersignError as error:
        return refused(request, proposal_for(request.user, pk), name, form, error.detail, error.status)
    if request.htmx and request.POST.get("row"):
        return page(
            request,
            "reviews/holder.html",
            {"row": proposal_for(request.user, pk), "may_decide": True, "filters": inbox.Filters.of(request.GET)},
        )
    if request.htmx and request.POST.get("strip"):
        return strip.answer(request, pk, *strip.drawn_with(request))
    messages.success(request, DONE[name])
    return leave(request, after(request, pk, name))


def looked_at(request: HttpRequest, proposal: Proposal) -> HttpResponse:
    """Show the decision as it is now to a page that waits for it; what was taken back, with the form as it was; else go there."""
    if request.htmx and request.htmx.target == "decision":
        return part(request, PAGE, "#decision", drawn(request, proposal))
    if data := held.again(request, proposal):
        form = DecisionForm(data, proposal=proposal, masked=veil.covers(request.user, proposal), quiet=True)
        return page(request, PAGE, drawn(request, proposal, form=form, taken_back=True))
    return fresh(SeeOther(reverse("reviews:proposal", args=[proposal.pk])))


def after(request: HttpRequest, pk: UUID, name: str) -> str:
    """Return where to go when it was done, with the filters of the list that it came from."""
    filters = inbox.Filters.of(request.GET).query
    home = reverse("reviews:acts" if name == "undo" else "reviews:proposal", args=[pk])
    if request.POST.get("row"):
        home = reverse("reviews:inbox")
    if request.POST.get("back") == "desk":
        home = reverse("reviews:desk")
    return (f"{home}?{filters}" if filters else home) + PLACES.get(name, "")


def perform(request: HttpRequest, proposal: Proposal, name: str, form: forms.Form) -> None:
    """Call the verb. Just if statements: there are ten."""
    said = form.cleaned_data
    pk, person = proposal.pk, request.user
    if name == "claim":
        lifecycle.claim(pk, person=person)
    elif name == "take_over":
        lifecycle.claim(pk, person=person, take_over=True)
    elif name == "release":
        lifecycle.release(pk, person=person)
    elif name == "hand_over":
        lifecycle.hand_over(pk, person=person, role=said["role"], why=said["why"])
    elif name == "escalate":
        lifecycle.escalate_now(pk, person=person, why=said["why"])
    elif name == "extend" and isinstance(form, ExtendForm):
        lifecycle.extend(pk, person=person, by=form.by, why=said["why"])
    elif name == "ask_back":
        lifecycle.ask_back(pk, person=person, text=said["text"])
    elif name == "comment":
        lifecycle.comment(pk, person=person, text=said["text"])
    elif name == "reveal":
        lifecycle.reveal(pk, person=person, why=said["why"])
    elif name == "undo":
        undo(request, proposal)
    else:
        raise CountersignError("There is no such act.")


def undo(request: HttpRequest, proposal: Proposal) -> None:
    """Take one's signature back, and keep what was signed for the form that comes next."""
    before = Hold.objects.select_related("proposal__incident").filter(proposal=proposal, person=request.user).first()
    lifecycle.undo(proposal.pk, person=request.user)
    held.forget(request, proposal.pk)
    if before is not None:
        held.keep(request, before)


def refused(request: HttpRequest, proposal: Proposal, name: str, form: forms.Form, why: str, status: int) -> HttpResponse:
    """Show why it was not done, with what was typed: on the proposal's page, in its strip, or in the inbox row."""
    if request.htmx and request.POST.get("strip"):
        return strip.answer(request, proposal.pk, *strip.drawn_with(request), error=why, status=409 if status < 500 else status)
    if request.htmx and request.POST.get("row"):
        context = {"row": proposal, "may_decide": True, "error": why, "filters": inbox.Filters.of(request.GET)}
        return page(request, "reviews/holder.html", context, status=409 if status < 500 else status)
    return page(request, PAGE, drawn(request, proposal, act=name, act_form=form, act_refused=why), status=status)
