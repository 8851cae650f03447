"""Does it do what it says? Rules that never match or cannot, triggers gone deaf, calendars that never open, sources cut off."""

from collections.abc import Iterator
from datetime import date, timedelta

from escalations import worktime
from escalations.errors import Invalid
from escalations.floors.cel import compile_condition
from escalations.floors.lanes import FRESH
from escalations.floors.triggers import effective_settings
from escalations.models import Trigger
from escalations.states import TRIGGERS, Floor, RuleState

from .finding import Finding, found, named
from .world import World

NEVER = timedelta(days=30)
AHEAD = timedelta(days=30)
EXPIRES_SOON = timedelta(days=7)


def stopped(world: World) -> Iterator[Finding]:
    if world.stop is not None:
        yield found(
            "everything is stopped", f"Everything is stopped since {world.stop.at:%Y-%m-%d %H:%M} UTC: {world.stop.reason}",
            "Two people release it, on the page /stop/.", world.stop, grave=True,
        )


def rules(world: World) -> Iterator[Finding]:
    """Rules that cannot be evaluated, that never matched, or that wait for something there is not."""
    paths = frozenset(path for source in world.sources for path in source.authoritative_paths)
    for rule in world.rules:
        if rule.state == RuleState.DRAFT:
            continue
        auto = rule.floor == Floor.AUTO
        try:
            compile_condition(rule.condition, auto=auto, authoritative=paths)
        except Invalid as refused:
            detail = refused.errors[0]["detail"] if refused.errors else refused.detail
            does = "lets nothing go alone" if auto else "sends everything to a person"
            yield found(
                "rule cannot be evaluated", f"Rule “{rule.name}” {does}: {detail}",
                "Mark the path for a source, or write the condition anew." if auto else "Write the condition anew.", rule, grave=True,
            )
            continue
        old = rule.changed_at < world.now - NEVER  # a younger one has had no time to
        if rule.state == RuleState.LIVE and old and (rule.matched_at is None or rule.matched_at < world.now - NEVER):
            last = f"last on {rule.matched_at:%Y-%m-%d}" if rule.matched_at else "never at all"
            yield found(
                "rule never matches", f"Rule “{rule.name}” matched nothing in {NEVER.days} days ({last}).",
                "Try it on the bench; archive it if nothing like that comes any more.", rule,
            )
        if rule.state == RuleState.SHADOW and old:
            yield found(
                "rule left in shadow", f"Rule “{rule.name}” has been in shadow since {rule.changed_at:%Y-%m-%d}: it decides nothing.",
                "Read what it would have done, then make it live or archive it.", rule,
            )


def lanes(world: World) -> Iterator[Finding]:
    """Lanes that may act alone, and do not, or not much longer."""
    heeded = any(rule.floor == Floor.AUTO and rule.by == "lane" for rule in world.live)
    for grant in world.grants:
        lane = grant.lane
        named = f"The lane “{lane.subject}” of {lane.source.name}"
        if not heeded:
            yield found(
                "lane without a rule", f"{named} may act alone, and no live rule lets go what a lane has earned: people decide it all.",
                f"Make such a rule live again, or end the grant on {lane.get_absolute_url()}.",
            )
        if lane.checked_at is None or lane.checked_at < world.now - FRESH:
            yield found(
                "lane unwatched", f"{named} may act alone, and nobody looks after its evidence: nothing goes.",
                "See that `manage.py timers` runs, and what it logs.", grave=True,
            )
        if grant.expires_at < world.now + EXPIRES_SOON:
            yield found(
                "grant ends soon", f"{named} may act alone until {grant.expires_at:%Y-%m-%d %H:%M} UTC; then people decide it all again.",
                f"Look at its evidence on {lane.get_absolute_url()}, and grant it anew when it has run out.",
            )


def triggers(world: World) -> Iterator[Finding]:
    """Triggers without a row, and those that are on and can find nothing."""
    for name in TRIGGERS:
        if name not in world.triggers:
            yield found(
                "trigger missing", f"The trigger {name} has no row; what it finds goes to the queue manager.",
                "Run manage.py setup again.", Trigger, grave=True,
            )
    for trigger in world.triggers.values():
        settings = effective_settings(trigger.name, trigger.settings)
        if trigger.enabled and (deaf := _deaf(trigger.name, settings)):
            yield found("trigger is deaf", f"The trigger {trigger.name} is on, and {deaf}", "Give it words, or turn it off.", trigger)


def _deaf(name: str, settings: dict[str, object]) -> str:
    """Return why a trigger that is on finds nothing, or not what it says it does."""
    words = [key for key in ("money_words", "count_words") if key in settings and not settings[key]]
    if name == "high_stakes" and words:
        return f"has no {named([word.replace('_', ' ') for word in words])}: it takes no argument for such a number."
    if name == "irreversible" and not settings.get("verbs") and not settings.get("look_inside"):
        return "has no verbs and looks inside no argument: it only believes what sources say."
    if name == "user_complaint" and not settings.get("phrases"):
        return "has no phrases: it hears no complaint."
    return ""


def calendars(world: World) -> Iterator[Finding]:
    """Calendars that do not open, that nothing goes by, and whose holidays end with the year."""
    used = {policy.calendar_id for policy in world.policies if policy.calendar_id and policy.pk in world.in_use}
    for policy in world.policies:
        if policy.calendar is not None and policy.calendar.archived_at is not None:
            yield found(
                "calendar archived", f"Policy “{policy.name}” goes by the calendar “{policy.calendar.name}”, which is archived.",
                "Give the policy another calendar.", policy,
            )
    for calendar in world.calendars:
        days = {one.day for one in calendar.holidays.all()}
        frozen = {
            "time_zone": calendar.time_zone, "hours": calendar.hours, "holidays": [day.isoformat() for day in sorted(days)],
        }  # fmt: skip
        if why := worktime.why_unusable(frozen):
            yield found(
                "calendar cannot be read", f"Nobody can go by calendar “{calendar.name}”: {why} Clocks run as if there were none.",
                "Save it anew.", calendar, grave=calendar.pk in used,
            )
        elif not worktime.open_stretches([frozen], world.now, world.now + AHEAD):
            yield found(
                "calendar does not open", f"Calendar “{calendar.name}” has no working hour in the next {AHEAD.days} days.",
                "Look at its hours and holidays.", calendar, grave=calendar.pk in used,
            )
        if calendar.pk not in used:
            yield found(
                "calendar unused", f"No policy in use goes by calendar “{calendar.name}”.", "Give it to a policy, or archive it.", calendar
            )
        elif missing := _years_missing(days, world.now.date(), filled=bool(calendar.country)):
            yield found(
                "holidays end", f"Calendar “{calendar.name}” has no holidays in {named(missing)}.", "Fill them in.", calendar
            )


def _years_missing(days: set[date], today: date, *, filled: bool) -> list[str]:
    """Return the years that want holidays: this one and the next for a country's, the next from November on for those by hand."""
    years = {day.year for day in days}
    wanted = [today.year, today.year + 1] if filled else [today.year + 1] if today.year in years and today.month >= 11 else []
    return [str(year) for year in wanted if year not in years]


def sources(world: World) -> Iterator[Finding]:
    """Sources that cannot post, whose answers cannot reach them, or for whom nobody answers."""
    chats = bool(world.workspaces) and any(policy.chat_up_to and policy.pk in world.in_use for policy in world.policies)
    for source in world.sources:
        keys = world.keys.get(source.pk, [])
        last = max((key.expires_at or world.now + 10 * EXPIRES_SOON for key in keys), default=None)
        if source.endpoint_disabled_at is not None:
            yield found(
                "callback is off", f"Outcomes are not sent to {source.name} since {source.endpoint_disabled_at:%Y-%m-%d %H:%M} UTC: "
                f"{source.endpoint_disabled_why or 'no reason given'}", "Mend the address and take it up again.", source, grave=True,
            )  # fmt: skip
        if last is None:
            yield found("source without a key", f"{source.name} has no key that is alive: it cannot post.", "Issue one, or disable it.", source)
        elif last < world.now + EXPIRES_SOON:
            yield found(
                "key expires", f"The last key of {source.name} expires on {last:%Y-%m-%d %H:%M} UTC.", "Issue it another one.", source,
                grave=True,
            )
        if source.owner is None or not source.owner.is_active:
            gone = "nobody answers for it" if source.owner is None else f"{source.owner.name}, who answered for it, is deactivated"
            yield found(
                "source without an owner", f"{source.name}: {gone}; nobody is told when its outcomes cannot be delivered.",
                "Name an owner.", source,
            )
        if source.may_chat and not chats:
            yield found(
                "chat goes nowhere",
                f"{source.name} may be decided by a button in a chat, and no policy in use and no workspace makes one.",
                "Set up a workspace and a policy that allows it, or take it back.", source,
            )
