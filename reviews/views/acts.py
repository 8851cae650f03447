"""What can be done with a proposal besides deciding: claim, release, hand over, escalate, extend, ask back, comment."""

from uuid import UUID

from django import forms
from django.contrib import messages
from django.http import HttpRequest, HttpResponse
from django.urls import reverse
from django.views.decorators.http import require_http_methods

from escalations import lifecycle
from escalations.errors import CountersignError
from escalations.models import Proposal

from .. import inbox
from ..access import proposal_for
from ..forms import ExtendForm, HandOverForm, WhyForm, WordsForm
from ..partials import SeeOther, fresh, leave, page
from .drawing import PAGE, drawn

FORMS: dict[str, type[forms.Form]] = {
    "hand_over": HandOverForm,
    "escalate": WhyForm,
    "extend": ExtendForm,
    "ask_back": WordsForm,
    "comment": WordsForm,
}
DONE = {
    "claim": "Claimed: colleagues see that it is yours.",
    "take_over": "Taken over: it is yours now.",
    "release": "Released.",
    "hand_over": "Handed over.",
    "escalate": "Escalated.",
    "extend": "Given more time.",
    "ask_back": "The agent was asked.",
    "comment": "Your comment stands below.",
}


@require_http_methods(["GET", "HEAD", "POST"])
def act(request: HttpRequest, pk: UUID) -> HttpResponse:
    """Do what the button's name says. A GET, as after signing in again, goes to the proposal."""
    proposal = proposal_for(request.user, pk)
    home = reverse("reviews:proposal", args=[pk])
    filters = inbox.Filters.of(request.GET).query
    if request.method != "POST":
        return fresh(SeeOther(home))
    name = request.POST.get("act", "")
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
    messages.success(request, DONE[name])
    if request.POST.get("row"):
        home = reverse("reviews:inbox")
    if request.POST.get("back") == "desk":
        home = reverse("reviews:desk")
    return leave(request, f"{home}?{filters}" if filters else home)


def perform(request: HttpRequest, proposal: Proposal, name: str, form: forms.Form) -> None:
    """Call the verb. Just if statements: there are eight and there will be nine."""
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
    else:
        raise CountersignError("There is no such act.")


def refused(request: HttpRequest, proposal: Proposal, name: str, form: forms.Form, why: str, status: int) -> HttpResponse:
    """Show why it was not done, with what was typed: on the proposal's page, or in the inbox row."""
    if request.htmx and request.POST.get("row"):
        context = {"row": proposal, "may_decide": True, "error": why, "filters": inbox.Filters.of(request.GET)}
        return page(request, "reviews/holder.html", context, status=409 if status < 500 else status)
    return page(request, PAGE, drawn(request, proposal, act=name, act_form=form, act_refused=why), status=status)
