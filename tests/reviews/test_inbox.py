"""The list of what waits: order, filters, paging, claims, news."""

from datetime import timedelta

import pytest

from escalations import clock, lifecycle
from escalations.models import Hold
from escalations.states import Kind
from reviews import inbox
from tests.factories import PersonFactory, SourceFactory, role

HTMX = {"HX-Request": "true"}


def ids(answer):
    return [row.pk for row in answer.context["rows"]]


def test_the_inbox_holds_what_my_roles_are_asked_due_soonest_first(page, ask):
    later = ask(due_at=clock.now() + timedelta(hours=9))
    soon = ask(due_at=clock.now() + timedelta(hours=1))
    ask(role=role("security"))

    answer = page.get("/")

    assert ids(answer) == [soon.pk, later.pk]
    assert 'id="inbox-count" class="count">2<' in answer.content.decode()


def test_managers_see_every_queue_and_auditors_read_without_buttons(ask, signed_in):
    one, two = ask(), ask(role=role("security"))
    manager, auditor = PersonFactory(roles=["manager"]), PersonFactory(roles=["auditor"])

    manages, audits = signed_in(manager).get("/"), signed_in(auditor).get("/")

    assert set(ids(manages)) == set(ids(audits)) == {one.pk, two.pk}
    assert 'value="claim"' in manages.content.decode()
    assert 'value="claim"' not in audits.content.decode()


def test_who_has_no_role_has_an_empty_inbox_that_teaches(signed_in):
    answer = signed_in(PersonFactory()).get("/")

    assert answer.status_code == 200
    assert "Nothing waits for you" in answer.content.decode()


@pytest.mark.parametrize(
    ("query", "found"),
    [
        ("kind=action", {"refund"}),
        ("kind=question", {"question"}),
        ("severity=critical", {"critical"}),
        ("risk=high", {"critical"}),
        ("trigger=high_stakes", {"critical"}),
        ("source=other-agent", {"question"}),
        ("held=me", {"mine"}),
        ("held=nobody", {"refund", "critical", "question"}),
        ("q=LONG%20outage", {"critical"}),
        ("role=finance", {"refund", "critical", "question", "mine"}),
        ("role=security", set()),
        ("kind=nonsense", {"refund", "critical", "question", "mine"}),
        ("q=%00", {"refund", "critical", "question", "mine"}),
    ],
)
def test_filters_leave_what_they_say(page, ask, reviewer, query, found):
    rows = {
        "refund": ask(),
        "critical": ask(
            incident_kind=Kind.ALERT,
            incident_title="A long outage",
            severity="critical",
            risk="high",
            triggers=[{"name": "high_stakes", "why": "much", "where": ""}],
        ),
        "question": ask(source=SourceFactory(name="other-agent"), incident_kind=Kind.QUESTION),
        "mine": ask(incident_kind=Kind.ALERT),
    }
    lifecycle.claim(rows["mine"].pk, person=reviewer)
    expected = {rows[name].pk for name in found} | (
        {rows["mine"].pk} if query in ("kind=action",) and rows["mine"].kind == "action" else set()
    )

    answer = page.get(f"/?{query}")
    fragment = page.get(f"/?{query}", headers=HTMX)

    assert set(ids(answer)) == expected
    assert "<html" not in fragment.content.decode() and 'id="listing"' in fragment.content.decode()


def test_pages_follow_each_other_without_gaps_even_at_the_same_moment(page, ask, monkeypatch):
    monkeypatch.setattr(inbox.listing, "__defaults__", (None, 3))
    moment = clock.now() + timedelta(hours=1)
    made = [ask(due_at=moment) for _ in range(5)] + [
        ask(due_at=moment + timedelta(minutes=1)),
        ask(due_at=None, parked_at=clock.now()),
    ]

    seen, after = [], ""
    for _ in range(3):
        answer = page.get("/", {"after": after})
        seen += ids(answer)
        after = str(answer.context["more"] or "")

    assert after == ""
    assert seen == [row.pk for row in made]


def test_two_queues_are_one_list(ask, signed_in):
    person = PersonFactory(roles=["finance", "security"])
    third = ask(due_at=clock.now() + timedelta(hours=3))
    second = ask(role=role("security"), due_at=clock.now() + timedelta(hours=2))
    first = ask(due_at=clock.now() + timedelta(hours=1))

    answer = signed_in(person).get("/")

    assert ids(answer) == [first.pk, second.pk, third.pk]


@pytest.mark.parametrize("size", [1, 30])
def test_the_inbox_costs_the_same_whatever_its_length(page, ask, colleague, size, django_assert_num_queries):
    source = SourceFactory()
    for number in range(size):
        row = ask(source=source, incident_fingerprint=f"fp{number % 3}", step=number % 2, draft={"to": "a", "subject": "b", "body": "c"})
        if number % 3 == 0:
            lifecycle.claim(row.pk, person=colleague)
        if number % 5 == 0:
            Hold.objects.create(
                proposal=row, person=colleague, type="approve", digest=row.args_digest, version=1, method="page", settles_at=clock.now()
            )

    # session, person; preferences, the newest audit entry, roles, ids of the page, the page, twins; sources; own lists; second
    # looks; count; whether everything is stopped
    for url in ("/", "/?order=urgent"):
        with clock.frozen_at(clock.now()), django_assert_num_queries(13):
            page.get(url)


def test_rows_that_are_alike_say_so_and_lead_to_their_group(page, ask):
    source = SourceFactory(name="billing-agent")
    for _ in range(3):
        ask(source=source, incident_fingerprint="a&b c")
    ask(incident_fingerprint="a&b c")

    text = page.get("/").content.decode()

    assert text.count("×3") == 1  # one line for the three
    assert "/groups/?source=billing-agent&amp;fingerprint=a%26b%20c" in text


def test_claiming_in_the_row_changes_the_row_alone(page, ask, reviewer):
    proposal = ask()

    answer = page.post(f"/proposals/{proposal.pk}/acts/", {"act": "claim", "row": "1"}, headers=HTMX)

    proposal.refresh_from_db()
    assert answer.status_code == 200
    assert proposal.claimed_by == reviewer
    assert "yours" in answer.content.decode() and "<html" not in answer.content.decode()


def test_claiming_without_javascript_comes_back_to_the_inbox(page, ask, reviewer):
    proposal = ask()

    answer = page.post(f"/proposals/{proposal.pk}/acts/?kind=action", {"act": "claim", "row": "1"})

    proposal.refresh_from_db()
    assert (answer.status_code, answer["Location"]) == (303, "/?kind=action")
    assert proposal.claimed_by == reviewer


def test_a_colleague_who_was_first_is_named_in_the_row(page, ask, colleague):
    proposal = ask()
    lifecycle.claim(proposal.pk, person=colleague)

    answer = page.post(f"/proposals/{proposal.pk}/acts/", {"act": "claim", "row": "1"}, headers=HTMX)

    assert answer.status_code == 409
    assert "Carl Colleague holds this" in answer.content.decode()


def test_nothing_new_is_204_and_news_are_counted_without_moving_a_row(page, ask, reviewer, colleague):
    mine, other = ask(), ask(role=role("security"))
    since = page.get("/").context["since"]

    quiet = page.get(f"/arrivals/?since={since}", headers=HTMX)
    lifecycle.hand_over(other.pk, person=PersonFactory(roles=["manager"]), role=role("finance"), why="money")
    lifecycle.claim(mine.pk, person=colleague)
    news = page.get(f"/arrivals/?since={since}", headers=HTMX)
    known = page.get(f"/arrivals/?since={since}&told=1", headers=HTMX)
    elsewhere = page.get(f"/arrivals/?since={since}&kind=alert", headers=HTMX)
    unsaid = page.get(f"/arrivals/?since={since}&q=nowhere", headers=HTMX)

    assert quiet.status_code == known.status_code == elsewhere.status_code == unsaid.status_code == 204
    assert "1 new" in news.content.decode() and 'name="told" value="1"' in news.content.decode()
    assert 'id="inbox-count" class="count" hx-swap-oob="true">2<' in news.content.decode()


def test_test_items_are_marked(page, ask):
    ask(incident_test=True)

    assert "pill test" in page.get("/").content.decode()


def test_an_expired_session_goes_to_the_sign_in_page_and_back(client, ask):
    proposal = ask()

    plain = client.get(f"/proposals/{proposal.pk}/")
    fragment = client.get("/", headers={**HTMX, "HX-Current-URL": "http://testserver/?kind=action"})
    posted = client.post(f"/proposals/{proposal.pk}/acts/", {"act": "claim"})

    assert plain["Location"] == f"/login/?next=/proposals/{proposal.pk}/"
    assert fragment["HX-Redirect"] == "/login/?next=%2F%3Fkind%3Daction"
    assert posted.status_code == 303 and posted["Location"].startswith("/login/")


def test_the_title_of_the_tab_says_how_many_wait(page, ask):
    empty = page.get("/").content.decode()
    ask(), ask()
    two = page.get("/").content.decode()

    assert "<title>Inbox · Countersign</title>" in empty
    assert "<title>(2) Inbox · Countersign</title>" in two


def test_a_row_names_everything_by_which_one_chooses(page, ask):
    ask(
        source=SourceFactory(name="billing-agent"),
        risk="high",
        severity="critical",
        step=1,
        triggers=[{"name": "high_stakes", "why": "much", "where": ""}],
    )

    row = page.get("/").content.decode().partition('<ol class="queue">')[2].partition("</li>")[0]

    for said in ("Refund", "250", "billing-agent", "action", "risk-high", "severity-critical", "high stakes", "finance", "step 1",
                 " left</time>", "Refund $250 for order 1182", 'value="claim"'):
        assert said in row, said


def test_a_row_that_changed_is_drawn_again_in_its_place(page, ask, colleague):
    claimed, signed, moved = ask(), ask(), ask(asked=[role("finance").pk])
    lifecycle.claim(claimed.pk, person=colleague)
    lifecycle.decide(signed.pk, person=colleague, type="approve", digest=signed.args_digest, version=signed.version)
    lifecycle.hand_over(moved.pk, person=colleague, role=role("security"), why="theirs")

    said = {one: page.get(f"/rows/{one.pk}/?kind=action", headers=HTMX).content.decode() for one in (claimed, signed, moved)}
    beside = page.get(f"/rows/{signed.pk}/?side=1", headers=HTMX).content.decode()

    assert "Carl Colleague holds this" in said[claimed] and "<html" not in said[claimed]
    assert "approved by Carl Colleague" in said[signed] and 'value="claim"' not in said[signed]
    assert "with security now" in said[moved]
    assert all(f'id="row-{one.pk}"' in text and f'data-live="{one.pk}"' in text for one, text in said.items())
    assert "by Carl Colleague" in beside and 'hx-target="#item"' in beside


def test_a_row_of_a_stranger_says_nothing_of_what_it_was(ask, signed_in, stranger):
    proposal = ask(incident_title="the secret")

    answer = signed_in(stranger).get(f"/rows/{proposal.pk}/", headers=HTMX)

    assert answer.status_code == 200
    assert "not yours to see" in answer.content.decode()
    assert "Refund" not in answer.content.decode() and "secret" not in answer.content.decode()


def test_what_is_signed_and_can_still_be_taken_back_says_so(page, ask, colleague):
    proposal = ask()
    Hold.objects.create(
        proposal=proposal, person=colleague, type="approve", digest=proposal.args_digest, version=1, method="page",
        settles_at=clock.now() + timedelta(seconds=20),
    )

    text = page.get("/").content.decode()

    assert "signed by Carl Colleague" in text
    assert 'value="claim"' not in text
