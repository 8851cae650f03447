"""A team's weekly review of this very week, as it will be made on the next Monday, with something of everything on it."""

from datetime import timedelta

from escalations import clock, weekly
from escalations.models import EscalationReview, Suggestion
from escalations.weekly.gathering import begins, monday_of
from tests.factories import role


def review_of(team="finance", *, back=0):
    """Return the review of this week, or of one so many weeks back, made on the Monday after."""
    monday = monday_of(clock.now()) - timedelta(days=7 * back)
    with clock.frozen_at(begins(monday) + timedelta(days=7, minutes=1)):
        return weekly.make(role(team).pk, monday) or EscalationReview.objects.get(role=role(team), week=monday)


def suggested(review, **facts):
    """Return a suggestion on a review."""
    known = {
        "condition": 'incident.kind == "action" && proposal.action == "refund" && has(proposal.args.amount) && proposal.args.amount <= 100',
        "floor": "auto", "why": "Of 84 that it matches, people approved as proposed 84.", "matched": 84, "agreed": 84, "low": 0.957, "high": 1.0,
    }
    return Suggestion.objects.create(review=review, **known | facts)


def full_review(person, team="finance"):
    """Return a review with a finding, follow-ups old and new, suggestions open, drafted and dismissed, and every part of an agenda."""
    before = review_of(team, back=1)
    weekly.follow_up(before.pk, "Ask purchasing", owner=person, due=None, person=person)
    review = review_of(team)
    review.refresh_from_db()
    examples = [item["proposal"] for item in review.agenda["items"][:2]]
    review.agenda |= {
        "wrong_rules": [
            {"rule": "Refunds over 100", "what": "asked", "fired": 64, "plain": 63, "low": 0.916, "high": 0.999, "examples": examples},
            {"rule": "Quiet alerts", "what": "harm", "harmed": 2, "examples": examples},
        ],
        "lanes": [
            {
                "lane": 1, "source": "billing-agent", "subject": "refund", "what": what, "at": clock.now().isoformat(), "by": "Milan",
                "why": "enough", "alpha": 0.02,
            }
            for what in ("gained", "lost")
        ],
    }
    review.notes = "All were there."
    review.save()
    if examples:
        weekly.find_and_follow(
            review.pk, examples[0], found="context", note="The photo was missing.", text="Send photos", owner=person, due=None, person=person
        )
    suggested(review)
    weekly.dismiss(suggested(review, floor="block").pk, why="Not ours.", person=person)
    return review
