"""The desk: how the room is doing, for managers, who act from here, and for auditors, who read."""

import zoneinfo
from datetime import UTC, datetime, tzinfo
from typing import Any

from django.http import Http404, HttpRequest, HttpResponse
from django.utils.html import format_html_join
from django.utils.safestring import SafeString
from django.views.decorators.http import require_GET

from escalations.models import Person, Role

from .. import access, desk, plots, runs
from ..partials import page, part

PAGE = "reviews/desk.html"
HALTED = 8  # runs that wait for somebody, shown


@require_GET
def show(request: HttpRequest) -> HttpResponse:
    """Show the whole desk; htmx gets the part that moves from minute to minute."""
    if not access.sees_everything(request.user):
        raise Http404
    now = desk.now_of()
    zone = zone_of(request.user)
    context: dict[str, Any] = {
        "now": now,
        "queues": [(one, forecast(one, now.at, zone)) for one in now.queues],
        "hours": [(hour.begins.astimezone(zone), hour) for hour in now.hours],
        "hours_plot": plots.columns(
            [(hour.came, hour.decided) for hour in now.hours], [tick(hour.begins.astimezone(zone)) for hour in now.hours],
            desk.COUNTED_AN_HOUR,
        ),
        "ages_plot": plots.rows(now.ages),
        "an_hour": desk.COUNTED_AN_HOUR,
        "halted": runs.with_alarms(runs.waiting_for(request.user).select_related("source", "role").order_by("-started_at", "-id")[:HALTED]),
        "may_act": any(role.decides_everything for role in access.roles_of(request.user)),
    }
    if request.htmx:
        return part(request, PAGE, "#now", context)
    context |= {
        "desk": desk.desk_of(now),
        "failing": desk.failing_channels(),
        "options": options() if context["may_act"] else {},
        "sample": desk.SAMPLE,
        "sampled": len(now.decisions) >= desk.SAMPLE,
    }
    return page(request, PAGE, context)


def options() -> dict[int, SafeString]:
    """Return for each role the options of all others, to whom what it has can be given. One query; made once, used in every row."""
    roles = list(Role.objects.order_by("name").values_list("pk", "name"))
    return {
        own: format_html_join("", '<option value="{}">{}</option>', (one for one in roles if one[0] != own)) for own, _ in roles
    }


def zone_of(person: Person) -> tzinfo:
    """Return the person's time zone; UTC for one that is not known here."""
    try:
        return zoneinfo.ZoneInfo(person.time_zone)
    except (ValueError, zoneinfo.ZoneInfoNotFoundError):
        return UTC


def tick(hour: datetime) -> str:
    """Return what stands below an hour of the plot: every third, and the day at midnight."""
    if hour.hour == 0:
        return hour.strftime("%a")
    return f"{hour:%H}" if hour.hour % 3 == 0 else ""


def clock_time(moment: datetime, now: datetime, zone: tzinfo) -> str:
    """Return "16:40", with the day where it is another one."""
    local, today = moment.astimezone(zone), now.astimezone(zone).date()
    return local.strftime("%H:%M") if local.date() == today else local.strftime("%a %-d %b, %H:%M")


def forecast(queue: desk.Queue, now: datetime, zone: tzinfo) -> tuple[str, str]:
    """Return what will become of a queue, in words, and its tone (late, soon, or nothing).

    The queue is worked off in due order, one decision every `pace` (see `measures.paces` and `measures.first_breach`).
    """
    if not queue.waiting:
        return "nothing waits", ""
    if queue.next_due is None:
        return "parked: no clock runs", ""
    if queue.next_due <= now:
        return f"late since {clock_time(queue.next_due, now, zone)}", "late"
    if queue.pace is None:
        first = clock_time(queue.next_due, now, zone)
        return f"no pace yet; the first is due at {first}", "soon" if (queue.next_due - now).total_seconds() < 1800 else ""
    if queue.breach is not None:
        place = "" if queue.breach.place == 1 else f" (number {queue.breach.place} in line)"
        return f"at this pace {queue.role} breaches at {clock_time(queue.breach.due_at, now, zone)}{place}", "late"
    if queue.done_in is not None:
        return f"at this pace nothing breaches; done by {clock_time(now + queue.done_in, now, zone)}", ""
    return f"at this pace none of the next {desk.SIMULATED} breaches", ""
