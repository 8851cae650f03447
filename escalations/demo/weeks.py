"""The Monday meeting at Marlow & Finch: the teams look at the week before, find what they find, and leave some of it to the reader."""

from datetime import datetime, timedelta

from escalations import weekly
from escalations.models import EscalationReview, Person
from escalations.weekly.gathering import WEEK, begins, monday_of

from .days import Days, Story

AT = timedelta(hours=7, minutes=40)  # of Monday, UTC
WHO = {"finance": "tomas", "support": "ines", "supervisor": "ines", "manager": "milan"}
# What is found of an escalation by the first thing that marks it, and what they say to it.
FOUND = {
    "harmed": ("model", "It should not have gone like that."), "expired": ("staffing", "Nobody looked before it ran out."),
    "climbed": ("staffing", "All of us were in the stock-taking."), "raised": ("right", "Over what we may promise ourselves."),
    "overridden": ("model", "We saw it otherwise than it was expected."), "waiting": ("right", ""), "asked": ("right", ""),
}  # fmt: skip
TO_DO = {
    "staffing": ("Agree who watches the queue while the others are away", 4),
    "model": ("Say at the next training what it got wrong, and why", 9),
    "context": ("Ask for a photograph with every claim of damage", 11),
}
JUDGED = 4  # of each team's list; the rest is left to whoever opens it


def begin(days: Days, people: dict[str, Person], now: datetime) -> None:
    """Let the meeting of this week's Monday happen, if it was Monday already. `now` is the moment up to which is told."""
    monday = monday_of(now)
    at = begins(monday) + AT
    days.begin(at, meeting(people, at))


def meeting(people: dict[str, Person], at: datetime) -> Story:
    """Make the reviews of the week before and judge the first few of each team's escalations."""
    while weekly.make_due(limit=20):
        pass
    yield timedelta(minutes=50)
    last = monday_of(at) - WEEK
    for name, who in WHO.items():
        review = EscalationReview.objects.filter(role__name=name, week=last).first()
        if review is not None:
            _judge(review, people[who])
            yield timedelta(minutes=15)


def _judge(review: EscalationReview, person: Person) -> None:
    asked: set[str] = set()
    for number, item in enumerate(review.agenda["items"][:JUDGED]):
        found, note = FOUND[item["marks"][0]]
        if found == "right" and number % 3 == 2:
            found, note = "context", "We had to ask for a photograph before we could decide."
        text, days = TO_DO.get(found, ("", 0)) if found not in asked else ("", 0)
        asked.add(found)
        due = review.made_at.date() + timedelta(days=days) if text else None
        weekly.find_and_follow(
            review.pk, item["proposal"], found=found, note=note, text=text, owner=person if text else None, due=due, person=person
        )
