"""All runs of agents, and stopping many of them at once."""

from collections.abc import Iterable, Sequence
from datetime import datetime, timedelta
from uuid import UUID

from django.http import Http404, HttpRequest, HttpResponse, QueryDict
from django.utils.dateparse import parse_datetime
from django.views.decorators.http import require_http_methods, require_safe

from escalations import clock, oversight
from escalations.errors import CountersignError
from escalations.models import OversightSession

from .. import access, run_facts, run_page, runs, veil
from ..partials import fresh, page, part
from ..run_forms import MOST_AT_ONCE, StopManyForm
from .inbox import number

PAGE = "reviews/runs.html"


@require_safe
def show(request: HttpRequest) -> HttpResponse:
    """Show the runs this person may read; htmx gets the list alone."""
    filters = runs.Filters.of(request.GET)
    skip, drawn_at = number(request.GET.get("skip")), clock.now()
    listing = runs.listing(request.user, filters, skip)
    context = {
        "filters": filters,
        "listing": listing,
        "rows": listing.rows,
        "skip": skip,
        "stamps": stamps(listing.rows),
        "agents": runs.agents(request.user),
        "veil": veil_of(request, listing.rows),
        "since": drawn_at,
        "farthest": runs.FARTHEST,
    }
    return part(request, PAGE, "#listing", context)


@require_safe
def row(request: HttpRequest, pk: UUID) -> HttpResponse:
    """Show one row of the list as it is now."""
    found = runs.with_alarms([access.run_for(request.user, pk)])
    return page(request, "reviews/run_row.html", {"row": found[0], "stamps": stamps(found), "veil": veil_of(request, found)})


@require_safe
def arrivals(request: HttpRequest) -> HttpResponse:
    """Say how many runs have begun since the list was drawn; 204 while that number is what the page says already."""
    filters, since = runs.Filters.of(request.GET), moment(request.GET.get("since", ""))
    arrived = runs.arrived(request.user, filters, since) if since else 0
    if arrived == number(request.GET.get("told")):
        return fresh(HttpResponse(status=204))
    return page(request, "reviews/run_arrivals.html", {"arrived": arrived, "filters": filters, "most": runs.PAGE})


def stamps(rows: Iterable[runs.Row]) -> dict[UUID, str]:
    """Return what each row is drawn with; the stream tells when it is no longer so. One query."""
    return {pk: facts.stamp for pk, facts in run_facts.facts_of([row.run.pk for row in rows]).items()}


def veil_of(request: HttpRequest, rows: Iterable[runs.Row]) -> veil.Veil:
    rows = list(rows)
    said = [*runs.texts(row.run for row in rows), *(alarm.why for row in rows for alarm in row.alarms)]
    return veil.for_person(request.user).over(said)


def moment(text: str) -> datetime | None:
    """Return the moment of a URL; None for what this page never wrote."""
    try:
        found = parse_datetime(text)
    except ValueError:
        return None
    return found if found is not None and found.tzinfo is not None else None


@require_http_methods(["GET", "HEAD", "POST"])
def stop_many(request: HttpRequest) -> HttpResponse:
    """Show which runs would be stopped, those chosen or all of one agent's; POST stops exactly those that were shown.

    Which is which stands on the page in both cases: a run that begins while somebody reads is not among them.
    """
    if request.method == "POST":
        wanted = ids(request.POST)
        found, others = run_page.stoppable(request.user, chosen(request, wanted))
        form = StopManyForm(request.POST, runs=wanted)
        if form.is_valid() and wanted:
            done = oversight.stop_many(wanted, person=request.user, text=form.cleaned_data["reason"])
            return stopped(request, done)
        return drawn(request, found, others, form, status=422)
    agent = request.GET.get("agent", "").replace("\0", "").strip()[:200]
    if agent and "all" in request.GET:
        rows = of_agent(request, agent)
    elif wanted := ids(request.GET):
        rows = chosen(request, wanted)
    else:
        return drawn(request, [], 0, None, status=200)
    found, others = run_page.stoppable(request.user, rows)
    return drawn(request, found[:MOST_AT_ONCE], others, None, agent=agent, beyond=len(found) > MOST_AT_ONCE)


def ids(query: QueryDict) -> list[UUID]:
    """Return the runs that were chosen, each once. Raises Http404 for what is no id and for too many: no page of ours sends that."""
    try:
        found = list(dict.fromkeys(UUID(text) for text in query.getlist("run")))
    except ValueError as error:
        raise Http404 from error
    if len(found) > MOST_AT_ONCE:
        raise Http404
    return found


def chosen(request: HttpRequest, wanted: list[UUID]) -> list[OversightSession]:
    """Return those of the chosen runs that this person may read, in the order of the page. One query."""
    rows = access.runs_for(request.user).filter(pk__in=wanted).select_related("source", "role", "person")
    return list(rows.order_by("-started_at", "-id"))


def of_agent(request: HttpRequest, agent: str) -> list[OversightSession]:
    """Return an agent's runs that are not over, as far as they can be stopped at once, and one more to know of the others. One query."""
    rows = runs.of(request.user, runs.Filters(agent=agent)).select_related("source", "role", "person")
    return list(rows.order_by("-started_at", "-id")[: MOST_AT_ONCE + 1])


def drawn(
    request: HttpRequest, found: list[OversightSession], others: int, form: StopManyForm | None, *,
    agent: str = "", beyond: bool = False, status: int = 200,
) -> HttpResponse:  # fmt: skip
    """Return the page on which many are stopped."""
    rows = [runs.Row(run) for run in found]
    context = {
        "rows": rows, "others": others, "form": form, "agent": agent, "beyond": beyond, "most": MOST_AT_ONCE,
        "veil": veil_of(request, rows),
    }  # fmt: skip
    return page(request, "reviews/runs_stop.html", context, status=status)


def stopped(request: HttpRequest, done: Sequence[tuple[UUID, object]]) -> HttpResponse:
    """Say what became of each, and whether the same agents have begun others since."""
    rows = {run.pk: run for run in chosen(request, [pk for pk, _ in done])}
    results = [(rows[pk], one if isinstance(one, CountersignError) else None) for pk, one in done if pk in rows]
    names = {run.agent for run in rows.values()}
    since = clock.now() - timedelta(hours=24)
    alive = access.runs_for(request.user).filter(agent__in=names, ended_at=None, state="running", started_at__gt=since)
    context = {
        "results": results,
        "done": sum(problem is None for _, problem in results),
        "others": alive.exclude(pk__in=rows).count(),
        "veil": veil.for_person(request.user).over(runs.texts(rows.values())),
    }
    return page(request, "reviews/runs_stopped.html", context)
