"""Each Monday: one review for each team to whom anything came, with the agenda counted and rules suggested. Made once, whoever makes it."""

from datetime import date, timedelta

from django.db import connection, transaction

from escalations import audit, clock, outbox
from escalations.models import EscalationReview, FollowUp, Role, Suggestion

from .agenda import agenda_of, has_anything
from .gathering import WEEK, begins, monday_of, week_of
from .suggesting import suggested_for

EVERY = 60  # seconds between two looks
WEEKS_BACK = 4  # weeks that are made up for after a time in which nothing ran

# Roles asked about what came or was settled in the week, and those with something to do still, that have no review of it.
_TEAMS = """
SELECT role.group_ptr_id FROM escalations_role AS role WHERE NOT EXISTS (
    SELECT FROM escalations_escalationreview AS made WHERE made.role_id = role.group_ptr_id AND made.week = %(week)s
) AND (
    role.group_ptr_id = ANY(ARRAY(
        SELECT DISTINCT unnest(asked) FROM escalations_proposal
        WHERE routed_at >= %(since)s AND routed_at < %(until)s AND NOT test AND NOT asked = '{}'
        UNION SELECT DISTINCT unnest(asked) FROM escalations_proposal
        WHERE settled_at >= %(since)s AND settled_at < %(until)s AND NOT test AND NOT asked = '{}'
    ))
    OR EXISTS (
        SELECT FROM escalations_followup AS todo JOIN escalations_escalationreview AS of ON of.id = todo.review_id
        WHERE of.role_id = role.group_ptr_id AND todo.ended_at IS NULL AND of.week < %(week)s
    )
-- In no order: a team whose agenda cannot be made is in nobody's way for long.
) ORDER BY random() LIMIT %(limit)s
"""


def make_due(*, limit: int = 1) -> int:
    """Make up to so many reviews of weeks that are over; returns how many. One index scan of the week when there is nothing to do.

    The newest week is always looked at; older ones only since the last week for which any review was made, at most WEEKS_BACK.
    """
    made = 0
    for monday in _weeks():
        for role_id in _teams(monday, limit - made):
            made += make(role_id, monday) is not None
        if made >= limit:
            break
    return made


@transaction.atomic
def make(role_id: int, monday: date) -> EscalationReview | None:
    """Make a team's review of the week that begins on this Monday, with its agenda and suggestions; None where there is one already. The
    team is told where there is something to talk about.

    About forty queries. Two that make the same one meet at the unique constraint: the second does nothing.
    """
    role = Role.objects.get(pk=role_id)
    review, is_new = EscalationReview.objects.get_or_create(role=role, week=monday, defaults={"made_at": clock.now()})
    if not is_new:
        return None
    review.agenda = agenda_of(week_of(role, monday))
    review.save(update_fields=["agenda"])
    suggestions = [
        Suggestion(
            review=review, condition=one.condition, floor=one.floor, why=one.why, matched=one.matched, agreed=one.agreed, low=one.low,
            high=one.high, examples=one.examples,
        )
        for one in suggested_for(role, begins(monday) + WEEK)
    ]
    Suggestion.objects.bulk_create(suggestions)
    audit.record(
        "weekly.made", actor=audit.CLOCK, subject=f"EscalationReview {review.pk}", role=role.name, week=monday.isoformat(),
        items=len(review.agenda["items"]), suggestions=len(suggestions),
        carried=FollowUp.objects.filter(review__role=role, ended_at=None).exclude(review=review).count(),
        anything=has_anything(review.agenda),
    )
    if has_anything(review.agenda) or suggestions:
        outbox.open_notice(
            "weekly_review", role=role, team=role.name, week=f"{monday:%Y-%m-%d}", items=len(review.agenda["items"]),
            suggested=len(suggestions), page=review.get_absolute_url(),
        )
    return review


def _weeks() -> list[date]:
    """Return the Mondays of the weeks that are to be looked at, oldest first. One query."""
    last = monday_of(clock.now()) - timedelta(days=7)
    newest = EscalationReview.objects.order_by("-week").values_list("week", flat=True).first()
    if newest is None or newest >= last:
        return [last]
    weeks = min(WEEKS_BACK, (last - newest).days // 7)
    return [last - timedelta(days=7 * back) for back in reversed(range(weeks))]


def _teams(monday: date, limit: int) -> list[int]:
    since = begins(monday)
    with connection.cursor() as cursor:
        cursor.execute(_TEAMS, {"week": monday, "since": since, "until": since + WEEK, "limit": limit})
        return [row[0] for row in cursor.fetchall()]
