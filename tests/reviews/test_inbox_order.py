"""In which order the list stands and why, where pages begin, what comes next, what stands beside an item."""

from datetime import timedelta

import pytest
from django.db import connection
from django.http import QueryDict

from escalations import clock, lifecycle
from escalations.models import Hold, Proposal
from escalations.models.proposals import Urgency
from escalations.states import Risk
from reviews import inbox, order
from reviews.models import Preferences
from tests.factories import PersonFactory, SourceFactory, role

HTMX = {"HX-Request": "true"}


def ids(answer):
    return [row.pk for row in answer.context["rows"]]


def asked(**said):
    query = QueryDict(mutable=True)
    query.update(said)
    return inbox.Filters.of(query)


def hours(number):
    return clock.now() + timedelta(hours=number)


@pytest.mark.parametrize("risk", Risk.values)
@pytest.mark.parametrize("confidence", [None, 0.0, 0.33, 0.62, 0.999, 1.0])
def test_the_weights_that_are_told_are_those_the_database_sorts_by(ask, risk, confidence):
    proposal = ask(risk=risk, confidence=confidence)

    sorted_by = Proposal.objects.annotate(place=Urgency()).get(pk=proposal.pk).place

    told = order.counts_as(proposal.due_at, risk, confidence)
    assert abs(sorted_by - told) <= timedelta(microseconds=1)


def test_every_risk_has_its_weight_and_more_of_it_weighs_more():
    weights = [order.RISK_WEIGHS[risk] for risk in (Risk.LOW, Risk.MEDIUM, Risk.HIGH, Risk.CRITICAL)]

    assert set(order.RISK_WEIGHS) == set(Risk)
    assert weights == sorted(set(weights))


@pytest.mark.parametrize(
    ("facts", "said"),
    [
        ({"risk": "high", "confidence": 0.7}, "stands 5 h 12 min ahead of its due time: high risk 4 h, 70 % sure 1 h 12 min"),
        ({"risk": "low", "confidence": None}, "stands 2 h ahead of its due time: confidence unknown 2 h"),
        ({"risk": "critical", "confidence": 1.0}, "stands 8 h ahead of its due time: critical risk 8 h"),
        ({"risk": "low", "confidence": 1.0}, "stands at its due time: low risk and no doubt"),
        ({"due_at": None}, "parked: without a deadline it stands last"),
    ],
)
def test_a_row_says_why_it_stands_where_it_does(page, ask, facts, said):
    ask(**{"parked_at": None if "risk" in facts else clock.now(), **facts})

    assert said in page.get("/?order=urgent").content.decode()


def test_by_urgency_a_risky_doubt_stands_before_what_is_due_sooner(page, ask):
    harmless = ask(due_at=hours(2), risk="low", confidence=1.0)
    grave = ask(due_at=hours(9), risk="critical", confidence=0.9)
    doubtful = ask(due_at=hours(5), risk="low", confidence=0.0)
    parked = ask(due_at=None, parked_at=clock.now(), risk="critical")

    assert ids(page.get("/?order=urgent")) == [grave.pk, doubtful.pk, harmless.pk, parked.pk]
    assert ids(page.get("/?order=due")) == [harmless.pk, doubtful.pk, grave.pk, parked.pk]


def test_the_order_a_person_prefers_is_theirs_until_the_url_says_another(page, ask, reviewer):
    soon, grave = ask(due_at=hours(2), risk="low"), ask(due_at=hours(5), risk="critical")
    Preferences.objects.create(person=reviewer, order="urgent")

    preferred, plain, nonsense = page.get("/"), page.get("/?order=due"), page.get("/?order=random")

    assert ids(preferred) == ids(nonsense) == [grave.pk, soon.pk]
    assert ids(plain) == [soon.pk, grave.pk]
    assert '<option value="urgent" selected>' in preferred.content.decode()
    assert order.rule_of("urgent") in preferred.content.decode() and order.rule_of("urgent") not in plain.content.decode()


@pytest.mark.parametrize("by", order.ORDERS)
def test_pages_of_two_queues_follow_each_other_in_either_order(ask, signed_in, monkeypatch, by):
    monkeypatch.setattr(inbox.listing, "__defaults__", (None, 3))
    person, moment = PersonFactory(roles=["finance", "security"]), hours(3)
    made = [ask(due_at=moment, risk="high", role=role(name)) for name in ("finance", "security") * 3]
    made += [ask(due_at=hours(9), risk="low"), ask(due_at=None, parked_at=clock.now(), risk="critical")]
    client = signed_in(person)

    seen, url = [], f"/?order={by}"
    for _ in range(3):
        answer = client.get(url)
        seen += ids(answer)
        url = f"/?order={by}&{answer.context['listing'].onward}"

    assert not answer.context["listing"].onward
    assert seen == [row.pk for row in made]


@pytest.mark.parametrize("by", order.ORDERS)
def test_each_queue_is_walked_along_its_index(ask, reviewer, by):
    """With half a million rows a sort is a second; the index stops after one page."""
    ask()
    parts = inbox.queues(reviewer, asked(order=by))
    rows = parts[0].annotate(place=order.PLACE[by]).order_by("place", "id").values("id", "place")[:51]
    with connection.cursor() as cursor:
        cursor.execute("SET LOCAL enable_seqscan = off; SET LOCAL enable_bitmapscan = off; SET LOCAL enable_sort = off")

    plan = rows.explain()

    along = {"due": ("proposal_queue", "proposal_all_queues"), "urgent": ("proposal_urgent", "proposal_all_urgent")}[by]
    assert any(f"Index Scan using {name} " in plan for name in along)
    assert "Sort" not in plan


def test_next_is_what_follows_in_the_list_and_then_what_was_passed_over(ask, reviewer):
    first, second, third = (ask(due_at=hours(number)) for number in (1, 2, 3))

    lifecycle.decide(second.pk, person=reviewer, type="approve", digest=second.args_digest, version=second.version)
    assert inbox.next_for(reviewer, asked(), second) == third
    assert inbox.next_for(reviewer, asked(), third) == first


def test_next_follows_the_order_and_the_filters_one_works_by(ask, reviewer):
    done = ask(due_at=hours(9), risk="critical")
    soon = ask(due_at=hours(1), risk="low", confidence=1.0)
    grave = ask(due_at=hours(8), risk="high", incident_kind="question")
    Preferences.objects.create(person=reviewer, order="urgent")

    assert inbox.next_for(reviewer, asked(), done) == soon
    assert inbox.next_for(reviewer, asked(), soon) == grave
    assert inbox.next_for(reviewer, asked(order="due"), soon) == grave
    assert inbox.next_for(reviewer, asked(kind="question"), done) == grave
    assert inbox.next_for(reviewer, asked(kind="alert"), done) is None


def test_next_is_never_what_one_may_not_or_need_not_sign(ask, reviewer, colleague):
    done = ask(due_at=hours(1))
    lifecycle.claim(ask(due_at=hours(2)).pk, person=colleague)
    ask(due_at=hours(3), source=SourceFactory(owner=reviewer))
    ask(due_at=hours(4), author="person", author_person=reviewer)
    signed = ask(due_at=hours(5))
    Hold.objects.create(
        proposal=signed, person=colleague, type="approve", digest=signed.args_digest, version=1, method="page", settles_at=hours(1)
    )
    mine, free = ask(due_at=hours(6)), ask(due_at=hours(7))
    lifecycle.claim(mine.pk, person=reviewer)

    assert inbox.next_for(reviewer, asked(), done) == mine
    assert inbox.next_for(reviewer, asked(held="nobody"), done) == free


@pytest.mark.parametrize("by", order.ORDERS)
def test_beside_an_item_stands_its_neighbourhood_in_the_list(ask, reviewer, by):
    rows = [ask(due_at=hours(number), risk="high", confidence=0.5) for number in range(1, 41)]
    here = rows[20]

    side = inbox.beside(reviewer, asked(order=by), here)

    assert [row.pk for row in side.rows] == [row.pk for row in rows[15:40]]
    assert not side.onward
    first = inbox.beside(reviewer, asked(order=by), rows[0])
    assert [row.pk for row in first.rows] == [row.pk for row in rows[:30]]
    assert first.onward.startswith("after=")


def test_beside_what_is_settled_or_filtered_away_stands_the_list_without_it(ask, reviewer, colleague):
    first, second, third = (ask(due_at=hours(number)) for number in (1, 2, 3))
    alert = ask(due_at=hours(4), incident_kind="alert")
    lifecycle.decide(second.pk, person=colleague, type="approve", digest=second.args_digest, version=second.version)
    second.refresh_from_db()

    assert inbox.beside(reviewer, asked(), second).rows == [first, third, alert]
    assert inbox.beside(reviewer, asked(kind="alert"), first).rows == [alert]


def test_beside_a_parked_one_stand_the_parked(ask, reviewer):
    due = ask()
    parked = [ask(due_at=None, expires_at=None, parked_at=clock.now()) for _ in range(3)]

    assert inbox.beside(reviewer, asked(), parked[1]).rows == [due, *parked]


@pytest.mark.parametrize("size", [2, 40])
def test_the_list_beside_costs_the_same_whatever_its_length(ask, reviewer, size, django_assert_num_queries):
    rows = [ask() for _ in range(size)]
    person = type(reviewer).objects.get(pk=reviewer.pk)

    with django_assert_num_queries(0):
        side = inbox.beside(person, asked(order="urgent"), rows[size // 2])
    with django_assert_num_queries(5):  # newest entry, roles, the place, what stands around it, the rows
        assert side.rows
    with django_assert_num_queries(0):
        assert side.veil and side.since is not None and not side.twins
