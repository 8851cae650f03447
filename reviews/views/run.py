"""One run of an agent, live: what it does, what it is told, and its replay."""

from typing import Any
from uuid import UUID

from django import forms
from django.contrib import messages
from django.http import HttpRequest, HttpResponse
from django.urls import reverse
from django.views.decorators.http import require_http_methods, require_safe

from escalations import oversight
from escalations.errors import CountersignError, Invalid
from escalations.models import OversightSession
from escalations.states import Order

from .. import kept, run_facts, run_steps
from ..access import run_for
from ..partials import SeeOther, fresh, leave, page
from ..run_forms import form_for
from ..run_page import Page
from ..run_steps import Filters
from .inbox import number
from .refilling import AGAIN

PAGE = "reviews/run.html"
PARTS = {"acts": "reviews/run_acts.html", "more": "reviews/run_more.html"}
DONE = {
    Order.PAUSE: "Pause asked for: the agent is told when it calls next.",
    Order.RESUME: "It may go on.",
    Order.STOP: "Stop asked for: the agent is told when it calls next.",
    Order.NOTE: "The agent reads it when it calls next.",
}
GIVEN = "Handed over."


@require_safe
def show(request: HttpRequest, pk: UUID) -> HttpResponse:
    """Show one run; what comes while the page is open is asked for in pieces."""
    run = run_for(request.user, pk)
    return drawn(request, run, **refilled(request))


def drawn(request: HttpRequest, run: OversightSession, status: int = 200, **extra: Any) -> HttpResponse:
    """Return the page. About sixteen queries, however long the run is."""
    filters = Filters.of(request.GET)
    window = run_steps.page_of(run, filters, number(request.GET.get("before")))
    beside = Page(run, request.user)
    facts = run_facts.facts_of([run.pk])
    context = {
        "run": run,
        "p": beside,
        "stamp": facts[run.pk].stamp,
        "filters": filters,
        "window": window,
        "before": number(request.GET.get("before")),
        "tools": run_steps.tools_of(run),
        "veil": run_steps.veil_of(request.user, run, window.steps, beside.texts()),
        **extra,
    }
    return page(request, PAGE, context, status=status)


def refilled(request: HttpRequest) -> dict[str, Any]:
    """Return what was typed here when a session had ended, for the form it stood in; nothing when nothing was."""
    found = kept.theirs(request)
    if found is None or not found[0]:
        return {}
    messages.info(request, AGAIN)
    return {"act": found[1].get("act", ""), "typed": found[1]}


@require_safe
def now(request: HttpRequest, pk: UUID) -> HttpResponse:
    """Show how it stands, for a page that is open; or what it may be told, or what it was told."""
    run = run_for(request.user, pk)
    beside = Page(run, request.user)
    template = PARTS.get(request.GET.get("part", ""), "reviews/run_now.html")
    context = {
        "run": run, "p": beside, "stamp": run_facts.facts_of([pk])[pk].stamp, "filters": Filters.of(request.GET),
        "veil": run_steps.veil_of(request.user, run, [], beside.texts()),
    }  # fmt: skip
    return page(request, template, context)


@require_safe
def steps(request: HttpRequest, pk: UUID) -> HttpResponse:
    """Show the steps that came after one; 204 while there are none."""
    run = run_for(request.user, pk)
    filters = Filters.of(request.GET)
    window = run_steps.since(run, filters, number(request.GET.get("after")))
    if not window.steps:
        return fresh(HttpResponse(status=204))
    over = run_steps.veil_of(request.user, run, window.steps)
    context = {"run": run, "p": Page(run, request.user), "window": window, "filters": filters, "veil": over}
    return page(request, "reviews/run_newer.html", context)


@require_safe
def replay(request: HttpRequest, pk: UUID) -> HttpResponse:
    """Show the run as it stood at one of its steps."""
    run = run_for(request.user, pk)
    found = run_steps.replay(run, number(request.GET.get("step")))
    over = run_steps.veil_of(request.user, run, found.around, [one.text for one in found.orders])
    context = {"run": run, "p": Page(run, request.user), "replay": found, "veil": over}
    return page(request, "reviews/run_replay.html", context)


@require_http_methods(["GET", "HEAD", "POST"])
def act(request: HttpRequest, pk: UUID) -> HttpResponse:
    """Tell it what the button says, or give it to a colleague. A GET, as after signing in again, goes to the run."""
    run = run_for(request.user, pk)
    here = reverse("reviews:run", args=[pk])
    if request.method != "POST":
        return fresh(SeeOther(here))
    name = request.POST.get("act", "")
    form = form_for(name, request.POST)
    try:
        if not form.is_valid():
            return refused(request, run, name, form, "Nothing was done.", 422)
        said = perform(request, pk, name, form)
    except Invalid as error:
        return refused(request, run_for(request.user, pk), name, form, error.detail, 422)
    except CountersignError as error:
        return refused(request, run_for(request.user, pk), name, form, error.detail, error.status)
    messages.success(request, said)
    query = Filters.of(request.GET).query
    return leave(request, f"{here}?{query}" if query else here)


def perform(request: HttpRequest, pk: UUID, name: str, form: forms.Form) -> str:
    """Call the verb; return what to say of it."""
    said = form.cleaned_data
    if name == "hand_over":
        oversight.hand_over(pk, to=said["to"], person=request.user, text=said["text"])
        return GIVEN
    if name not in Order.values:
        raise CountersignError("There is no such act.")
    oversight.order(pk, Order(name), person=request.user, text=said["text"], seen=said["seen"])
    return DONE[Order(name)]


def refused(request: HttpRequest, run: OversightSession, name: str, form: forms.Form, why: str, status: int) -> HttpResponse:
    """Show why it was not done, with what was typed."""
    problems = [problem for some in form.errors.values() for problem in some]
    return drawn(request, run, status, act=name, typed=form.data, refused=why, problems=problems)
