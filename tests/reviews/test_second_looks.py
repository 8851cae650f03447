"""Second looks in the room: blind until they are answered, and told about afterwards."""

from datetime import timedelta

import pytest

from escalations import clock, lifecycle, looks
from escalations.looks import vigilance
from escalations.models import Category, Classification, ContextItem, KnownAnswer, Proposal, SecondLook, VigilanceAlarm, Work
from escalations.states import LookState
from reviews.models import Glance
from tests.escalations.api.speaking import Speaker, token_for
from tests.factories import PersonFactory, SourceFactory, role

pytestmark = pytest.mark.django_db

WHY = "zanzibar-reason"  # what nobody may read before they have answered


@pytest.fixture
def settled(ask, colleague):
    """Something that a colleague decided, with a reason that can be looked for."""

    def make(type="reject", **facts):
        facts.setdefault("category", "refund")
        one = ask(incident_fingerprint=facts.pop("fingerprint", "fp"), **facts)
        more = {"args": {"order": 1182, "amount": 77}} if type == "edit" else {}
        lifecycle.decide(one.pk, person=colleague, type=type, digest=one.args_digest, version=one.version, reason=WHY, message=WHY, **more)
        return Proposal.objects.get(pk=one.pk)

    return make


@pytest.fixture
def look(settled):
    def make(proposal=None, type="reject", **facts):
        one = proposal or settled(type)
        return SecondLook.objects.create(proposal=one, role=role("finance"), lapses_at=clock.now() + timedelta(days=7), **facts)

    return make


def url(look):
    return f"/second/{look.pk}/"


def text_of(answer):
    return answer.content.decode()


def gives_it_away(text, person):
    told = (WHY, person.name, "\"77\"", ">77<", "state-", "approved", "edited", "Edited", "Rejected", "Approved")
    return [word for word in told if word in text]


@pytest.mark.parametrize("type", ["approve", "edit", "reject", "respond"])
def test_the_page_says_what_was_asked_and_nothing_of_what_was_decided(page, look, colleague, type):
    one = look(type=type)

    answer = page.get(url(one))

    text = text_of(answer)
    assert answer.status_code == 200
    assert "amount" in text and "250" in text and "Nothing you say here runs" in text
    assert gives_it_away(text, colleague) == []
    assert f"/proposals/{one.proposal_id}/" not in text and f"/incidents/{one.proposal.incident_id}/" not in text
    assert "expected" not in text and "known answer" not in text.lower()


def test_whatever_was_decided_the_page_is_the_same(page, settled, look):
    pages = []
    for type in ("approve", "edit", "reject", "respond"):
        source = SourceFactory(name=f"agent-of-{type:-<9}")
        one = look(settled(type, source=source, fingerprint=""))
        text = text_of(page.get(url(one)))
        for given in (source.name, one.proposal_id, one.proposal.incident_id, url(one)):
            text = text.replace(str(given), "GIVEN")
        SecondLook.objects.filter(pk=one.pk).update(state=LookState.LAPSED)
        pages.append("\n".join(line for line in text.splitlines() if "csrf" not in line and "live-clock" not in line))

    assert len(set(pages)) == 1


def test_a_known_answer_looks_like_any_other(page, settled, look, ada):
    plain = look(settled(fingerprint=""))
    known = look(settled(fingerprint="", source=SourceFactory(name=plain.proposal.source.name + "x")), expected="approve")
    looks.mark(known.proposal_id, person=ada, verdict="approve", why="paid twice")

    def drawn(one):
        text = text_of(page.get(url(one))).replace(f"{plain.proposal.source.name}x", plain.proposal.source.name)
        for given in (one.proposal_id, one.proposal.incident_id, url(one)):
            text = text.replace(str(given), "GIVEN")
        return [line for line in text.splitlines() if "csrf" not in line and "live-clock" not in line]

    assert drawn(plain) == drawn(known)


@pytest.mark.parametrize("fingerprint", ["", "fp"])
def test_shows_the_nearest_of_what_had_been_decided_before_it_came(page, look, ask, colleague, fingerprint):
    """However much that is nearer was decided since."""
    source = SourceFactory()

    def decided(ago, amount, why):
        with clock.frozen_at(clock.now() - ago):
            one = ask(source=source, incident_fingerprint=fingerprint, args={"order": 1182, "amount": amount}, category="refund")
            lifecycle.decide(one.pk, person=colleague, type="reject", digest=one.args_digest, version=one.version, reason=why, message="")
        return Proposal.objects.get(pk=one.pk)

    for number in range(4):
        decided(timedelta(days=9, hours=number), 90 + number, f"of the time before, {number}")
    one = decided(timedelta(days=5), 250, WHY)
    for number in range(60):
        decided(timedelta(days=1, minutes=number), 250, "decided since")

    text = text_of(page.get(url(look(one))))

    assert text.count("of the time before") == 3 and "Nothing like this had been decided before" not in text
    assert "decided since" not in text and WHY not in text


def test_what_came_after_it_was_settled_is_not_shown(page, look, settled):
    one = settled()
    ContextItem.objects.create(incident=one.incident, context={"summary": "the agent was told no"}, received_at=clock.now() + timedelta(seconds=1))
    Classification.objects.create(
        incident=one.incident, work=Work.objects.create(incident=one.incident), engine="rules", severity="info", category="refund",
        confidence=0.5, rationale="of a later revision", created_at=clock.now() + timedelta(seconds=1),
    )

    text = text_of(page.get(url(look(one))))

    assert "the agent was told no" not in text and "of a later revision" not in text


def test_what_was_decided_since_is_no_precedent(page, look, settled):
    before = settled("approve", fingerprint="same")
    one = settled(fingerprint="same", source=before.source, args={"order": 1, "amount": 1})
    after = settled("approve", fingerprint="same", source=before.source)

    text = text_of(page.get(url(look(one))))

    assert f"/proposals/{before.pk}/" in text and f"/proposals/{after.pk}/" not in text and f"/proposals/{one.pk}/" not in text


def test_while_it_is_open_no_page_of_theirs_tells(page, look, settled, ask, colleague):
    twin = ask(incident_fingerprint="fp")
    one = look(settled(source=twin.source))
    proposal = one.proposal
    everywhere = {
        "item": f"/proposals/{proposal.pk}/", "raw": f"/proposals/{proposal.pk}/raw/", "story": f"/incidents/{proposal.incident_id}/",
        "strip": f"/proposals/{proposal.pk}/strip/", "list": "/settled/", "search": f"/settled/?q={WHY}", "found": "/settled/?q=refund",
        "a precedent": f"/proposals/{twin.pk}/", "group": f"/groups/?source={twin.source.name}&fingerprint=fp", "inbox": "/", "you": "/you/",
        "seconds": "/second/",
    }
    assert WHY in text_of(page.get(everywhere["list"]))  # before it was opened it stood there
    page.get(url(one))

    told = {name: text_of(page.get(where)) for name, where in everywhere.items()}
    file = b"".join(page.post("/settled/file/", {"format": "jsonl"}).streaming_content).decode()

    assert {name: WHY for name, text in told.items() if text.count(WHY) > text.count(f'value="{WHY}"')} == {}
    assert WHY not in file and str(proposal.pk) not in file
    assert page.get(everywhere["item"])["Location"] == page.get(everywhere["story"])["Location"] == url(one)
    assert page.get(everywhere["raw"]).status_code == 404
    page.post(url(one), {"type": "approve"})
    assert page.get(everywhere["story"]).status_code == 200


def test_a_token_of_theirs_is_not_told_either(page, look, reviewer, settled):
    one = look(settled("reject"))
    speaker = Speaker(token_for(reviewer, interactive=True))
    decision = {"type": "approve", "args_digest": one.proposal.args_digest, "version": one.proposal.version}
    before = speaker.post(f"/proposals/{one.proposal_id}/decision", decision)
    page.get(url(one))

    answer = speaker.post(f"/proposals/{one.proposal_id}/decision", decision)

    assert before.status_code == answer.status_code == 409 and answer.json()["code"] == "already_settled"
    assert "Carl" in before.content.decode()  # who else asks is told who was first
    text = answer.content.decode()
    assert not [word for word in ("Carl", "reject", WHY) if word in text]


@pytest.mark.parametrize("where", ["/proposals/{}/", "/incidents/{}/"])
def test_who_has_read_how_it_ended_is_not_asked(page, look, settled, where):
    one = look(settled())
    page.get(where.format(one.proposal_id if "proposals" in where else one.proposal.incident_id))

    assert page.get(url(one)).status_code == 404
    assert page.post(url(one), {"type": "approve"}).status_code == 404
    assert "Nothing waits for a second look" in text_of(page.get("/second/"))


def test_strangers_and_who_decided_it_find_nothing(look, colleague, stranger, mona, signed_in):
    one = look()

    for person in (colleague, stranger, mona):
        client = signed_in(person)
        assert client.get(url(one)).status_code == 404 and client.post(url(one), {"type": "approve"}).status_code == 404
        assert url(one) not in text_of(client.get("/second/"))


def test_answered_it_tells_what_was_decided_by_whom_and_why(page, look, colleague, reviewer, signed_in, mona, stranger):
    one = look()

    answer = page.post(url(one), {"type": "approve", "category": "", "reason": "looks fine"}, follow=True)

    text = text_of(answer)
    assert WHY in text and colleague.name in text and "saw it differently" in text and "looks fine" in text
    theirs = text_of(signed_in(colleague).get(url(one)))
    assert f"What {reviewer.name} said" in theirs and "looks fine" in theirs
    assert signed_in(mona).get(url(one)).status_code == 200
    assert signed_in(stranger).get(url(one)).status_code == 404
    assert Proposal.objects.get(pk=one.proposal_id).decision.type == "reject"


@pytest.mark.parametrize(("said", "expected"), [("reject", "it was found"), ("approve", "it is <b>reject</b>")])
def test_a_known_answer_is_marked_as_such_afterwards(page, look, ada, said, expected, colleague, signed_in):
    one = look(expected="reject")
    looks.mark(one.proposal_id, person=ada, verdict="reject", why="the order was never delivered")

    text = text_of(page.post(url(one), {"type": said, "reason": "r"}, follow=True))

    assert "This was a known answer" in text and expected in text and "never delivered" in text
    assert signed_in(colleague).get(url(one)).status_code == 404  # it says nothing of how they decided


@pytest.mark.parametrize(("typed", "problem"), [({}, "Choose what you would have decided"), ({"type": "reject", "reason": " "}, "Say why"), ({"type": "maybe", "reason": "r"}, "does not take that decision")])
def test_what_is_missing_is_said_and_what_was_typed_stays(page, look, typed, problem):
    one = look()
    Category.objects.get_or_create(name="payment")

    answer = page.post(url(one), {"category": "payment", **typed})

    assert answer.status_code == 422 and problem in text_of(answer)
    assert '<option value="payment" selected>' in text_of(answer)
    assert SecondLook.objects.get(pk=one.pk).state == LookState.OPEN


def test_it_can_be_left_to_a_colleague(page, look, reviewer):
    one = look()
    page.get(url(one))

    answer = page.post(url(one), {"act": "leave"}, follow=True)

    assert "Given back" in text_of(answer)
    assert SecondLook.objects.get(pk=one.pk).opened_by is None


def test_who_left_it_cannot_take_it_again(page, look, colleague, reviewer, signed_in):
    """They are shown what was decided from then on: what they said would not be blind."""
    one = look()
    page.get(url(one))
    page.post(url(one), {"act": "leave"})

    assert page.get(f"/proposals/{one.proposal_id}/").status_code == 200
    assert page.get(url(one)).status_code == 404
    assert page.post(url(one), {"type": "approve", "act": "answer"}).status_code == 404
    assert url(one) not in text_of(page.get("/second/"))
    third = PersonFactory(roles=["finance"])
    assert signed_in(third).get(url(one)).status_code == 200
    assert SecondLook.objects.get(pk=one.pk).opened_by == third


def test_the_inbox_says_that_some_wait(page, look):
    assert "second look" not in text_of(page.get("/"))
    look()

    assert '<a href="/second/">1 second look</a> waits' in text_of(page.get("/"))


@pytest.mark.parametrize("size", [1, 8])
def test_the_list_costs_the_same_whatever_its_length(page, look, settled, size, django_assert_max_num_queries):
    for _ in range(size):
        look()
        answered = look()
        looks.answer(answered.pk, person=PersonFactory(roles=["finance"]), verdict="approve")

    # session, person, preferences, roles; what waits, what was answered, what was seen again; inbox count; whether everything is stopped
    with django_assert_max_num_queries(9):
        page.get("/second/")


# -- how one decides, and who sees it


def test_you_are_shown_how_you_decide(page, ask, reviewer, look, colleague):
    for type, seconds in (("approve", 300), ("approve", 0.1), ("edit", 200), ("reject", 250)):
        one = ask()
        Glance.objects.create(proposal=one, person=reviewer, version=1, length=6_000, at=clock.now() - timedelta(seconds=seconds))
        more = {"args": {"order": 1}} if type == "edit" else {}
        lifecycle.decide(one.pk, person=reviewer, type=type, digest=one.args_digest, version=one.version, reason="r", **more)
    seen = SecondLook.objects.create(proposal=one, role=role("finance"), lapses_at=clock.now() + timedelta(days=1))
    looks.answer(seen.pk, person=colleague, verdict="reject", reason="r")
    page.post(url(look()), {"type": "approve"})
    page.post(url(look(expected="reject")), {"type": "reject", "reason": "r"})

    answer = page.get("/you/")

    figures = answer.context["figures"]
    assert (figures.tally.decided, figures.tally.approve, figures.tally.edit, figures.tally.reject) == (4, 2, 1, 1)
    longest = figures.lengths[-1]
    assert (longest.number, longest.too_fast) == (4, 1) and 220 < longest.median_seconds < 235
    assert round(longest.ordinary) == 252  # 1,000 words at 238 a minute
    assert (figures.seen_again, figures.seen_alike, figures.looked, figures.looked_alike, figures.known, figures.known_found) == (1, 1, 1, 0, 1, 1)
    text = text_of(answer)
    assert "50 %" in text and "1 of 1" in text and "0 of 1" in text


def test_an_alarm_is_shown_to_whom_it_is_about_first_who_may_answer(page, reviewer, colleague, mona, signed_in):
    vigilance.raise_alarm(vigilance.Sign(reviewer.pk, "pace", "21 of 25 were signed sooner than can be read", {}))
    alarm = VigilanceAlarm.objects.get()
    manager = signed_in(mona)

    assert "21 of 25" not in text_of(manager.get("/second/agreement/"))
    assert "21 of 25" not in text_of(signed_in(colleague).get("/you/"))
    assert "21 of 25" in text_of(page.get("/you/"))
    assert VigilanceAlarm.objects.get().seen_at
    page.post("/you/", {"change": "alarm", "alarm": alarm.pk, "answer": "All of one batch, checked by telephone."})
    assert page.post("/you/", {"change": "alarm", "alarm": alarm.pk, "answer": " "}).status_code == 422
    assert signed_in(colleague).post("/you/", {"change": "alarm", "alarm": alarm.pk, "answer": "x"}).status_code == 404
    assert "21 of 25" not in text_of(manager.get("/second/agreement/"))
    VigilanceAlarm.objects.update(shared_at=clock.now())
    text = text_of(manager.get("/second/agreement/"))
    assert "21 of 25" in text and "checked by telephone" in text


def test_managers_and_auditors_see_how_far_people_agree_and_nobody_else(look, reviewer, mona, stranger, signed_in, settled):
    for verdict in ("reject", "approve"):
        looks.answer(look().pk, person=reviewer, verdict=verdict, reason="my own words")
    auditor = PersonFactory(roles=["auditor"])

    for person in (mona, auditor):
        text = text_of(signed_in(person).get("/second/agreement/"))
        assert "50 %" in text and "refund" in text and "my own words" in text and text.count("too few") == 6
    for person in (reviewer, stranger):
        assert signed_in(person).get("/second/agreement/").status_code == 404


def test_administrators_mark_known_answers_and_take_them_out(settled, ada, reviewer, signed_in):
    one, client = settled(), signed_in(ada)

    told = client.post("/second/known/", {"proposal": f"http://testserver/proposals/{one.pk}/", "verdict": "reject", "why": "never delivered"}, follow=True)

    assert "never delivered" in text_of(told) and KnownAnswer.objects.get().marked_by == ada
    client.post("/second/known/", {"act": "retire", "proposal": str(one.pk)})
    assert KnownAnswer.objects.get().retired_at
    assert signed_in(reviewer).get("/second/known/").status_code == 404
    assert signed_in(reviewer).post("/second/known/", {"proposal": str(one.pk), "verdict": "reject", "why": "w"}).status_code == 404


def test_what_is_marked_already_is_not_marked_twice(settled, ada, signed_in):
    one, client = settled(), signed_in(ada)
    said = {"proposal": str(one.pk), "verdict": "reject", "why": "never delivered"}
    client.post("/second/known/", said)

    again = client.post("/second/known/", said | {"verdict": "approve", "why": "second thoughts"})

    assert again.status_code == 422 and "It is marked already" in text_of(again) and "second thoughts" in text_of(again)
    assert (KnownAnswer.objects.get().verdict, KnownAnswer.objects.get().why) == ("reject", "never delivered")
    client.post("/second/known/", {"act": "retire", "proposal": str(one.pk)})
    assert client.post("/second/known/", said | {"verdict": "approve"}).status_code == 303
    assert (KnownAnswer.objects.get().verdict, KnownAnswer.objects.get().retired_at) == ("approve", None)


@pytest.mark.parametrize(
    "typed", [{}, {"proposal": "nonsense"}, {"proposal": "00000000-0000-4000-8000-000000000000", "verdict": "reject", "why": "w"}, {"verdict": "maybe", "why": "w"}]
)
def test_a_known_answer_that_cannot_be_is_refused_with_why(settled, ada, signed_in, typed):
    one = settled()

    answer = signed_in(ada).post("/second/known/", {"proposal": str(one.pk), **typed})

    assert answer.status_code == 422 and "known-problems" in text_of(answer)
    assert not KnownAnswer.objects.exists()


def test_the_categories_on_offer_are_those_there_are(page, look):
    Category.objects.create(name="zeppelins", description="d")

    assert '<option value="zeppelins"' in text_of(page.get(url(look())))
