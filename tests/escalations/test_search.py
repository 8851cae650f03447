"""By which words a proposal is found, and that writing them never stands in the way of a decision."""

import pytest
from django.core.management import call_command
from django.db import connection

from escalations import audit, lifecycle, search
from escalations.models import Proposal, SearchText
from tests.escalations.test_route import posted
from tests.factories import IncidentFactory, ProposalFactory, RuleFactory, SourceFactory

pytestmark = pytest.mark.django_db
CARD = "4111 1111 1111 1111"


def finds(tsquery):
    return set(SearchText.objects.extra(where=["words @@ %s::tsquery"], params=[tsquery]).values_list("proposal_id", flat=True))


def written(**incident):
    args = incident.pop("args", {"order": "ORD-1182", "amount": 250})
    proposal = ProposalFactory(incident=IncidentFactory(**incident), args=args)
    search.remember(proposal)
    return proposal


def test_routing_makes_it_findable_and_so_does_a_rule_that_settles():
    asked = posted(SourceFactory(), title="Refund for Zoë Quibble")
    RuleFactory(floor="auto", condition='proposal.action == "refund"')
    let_go = posted(SourceFactory(), title="Refund for Ed Quibble", args={"order": 9, "amount": 1})

    assert (asked.state, let_go.state) == ("pending", "approved")
    assert finds("'quibble'") == {asked.pk, let_go.pk}
    assert finds("'zoe'") == {asked.pk}


def test_every_id_a_person_may_have_in_hand_is_a_word():
    proposal = written(
        external_id="ZD-77123", fingerprint="fp_9c1", session="run-5", customer={"id": "cus_81Zk"},
        context={"request": "Where is order 1182?", "attempts": [{"tool": "get_order", "result": "tracking 1Z999AA10123456784"}]},
    )

    for query in (
        "'zd' <-> '77123'", "'fp' <-> '9c1'", "'run' <-> '5'", "'cus' <-> '81zk'", "'ord' <-> '1182'", "'1z999aa10123456784'",
        "'refund'", f"'{proposal.args_digest.removeprefix('sha256:')}'",
    ):
        assert finds(query) == {proposal.pk}, query


def test_the_title_weighs_more_than_what_is_signed_and_that_more_than_the_rest():
    proposal = written(title="alpha", args={"x": "beta"}, context={"request": "gamma"}, payload={"y": "delta"})

    for word, weight in {"alpha": "A", "beta": "B", "gamma": "C", "delta": "D"}.items():
        for other in "ABCD":
            assert finds(f"'{word}':{other}") == ({proposal.pk} if other == weight else set()), (word, other)


@pytest.mark.parametrize(
    ("where", "value", "parts"),
    [
        ("title", f"Pay back to {CARD} today", ("4111", "1111")),
        ("context", {"request": "my card is 4111111111111111"}, ("4111111111111111",)),
        ("context", {"request": "my card is ４１１１ １１１１ １１１１ １１１１"}, ("4111", "1111")),
        ("payload", {"password": "hunter2!x"}, ("hunter2", "x")),
        ("payload", {"password": "hunter2!x", "log": "signed in with hunter2!x"}, ("hunter2",)),
        ("customer", {"ssn": "536-90-4399"}, ("536", "4399")),
        ("args", {"iban": "DE89 3704 0044 0532 0130 00"}, ("3704", "0532")),
        ("args", {"card": 4111111111111111}, ("4111111111111111",)),
    ],
)
def test_a_sensitive_value_is_no_word_whole_or_in_parts(where, value, parts):
    proposal = written(**{"title": "Something findable", where: value})

    for part in parts:
        assert not finds(f"'{part}':*"), part
    assert proposal.pk in finds("'refund'")


def test_context_that_came_later_is_found_too_before_and_after_routing():
    source = SourceFactory()
    agent = audit.Actor.source(source)
    proposal = posted(source)
    lifecycle.add_context(proposal.incident_id, context={"summary": "the photograph shows a dent"}, actor=agent)

    assert finds("'dent'") == {proposal.pk}
    assert finds("'refund'") == {proposal.pk}

    lifecycle.revise(proposal.incident_id, content={"action": "refund", "args": {"amount": 3}}, actor=agent)
    second = Proposal.objects.get(revision=2)
    second.routed_at = second.created_at
    search.remember(second)
    assert finds("'dent'") == {proposal.pk, second.pk}


@pytest.mark.parametrize(
    "text",
    [
        "'; DROP TABLE escalations_proposal; --", "back\\slash 'quoted' \"twice\"", "a:* & !b | (c)", "\u202egnp.exe\u2066", "x" * 5_000,
        "ⅷ ² ½ İstanbul ſtraße ﷺ", "😀👩‍👩‍👧", "\ud7ff\ue000\U0010ffff", "নমস্কার ภาษาไทย 東京都", "\x01\x7f\x85", " ".join(f"w{n}" for n in range(30_000)),
        "é" * 60_000, " ".join("\U00020000" * 60 + str(n) for n in range(3_000)), "[[[[" * 2_000, "same " * 20_000,
    ],
)
def test_whatever_the_text_it_can_be_written(text):
    proposal = ProposalFactory(incident=IncidentFactory(title=text[:500], body=text, context={"k": text, text[:300]: 1}, payload=[text]))

    search.remember(proposal)

    assert SearchText.objects.filter(proposal=proposal).exists()


def test_what_cannot_be_written_is_still_routed(monkeypatch, caplog):
    monkeypatch.setattr(search, "vector", lambda parts: "'unbalanced")
    proposal = posted(SourceFactory())

    assert proposal.state == "pending" and proposal.routed_at and proposal.role
    assert not SearchText.objects.exists()
    assert "not searchable" in caplog.text


def test_what_was_there_before_search_is_made_findable_in_batches():
    before = [ProposalFactory(title=f"Old one {n}", findable=False) for n in range(5)]
    unrouted = ProposalFactory(routed_at=None)

    assert search.remember_missing(Proposal.objects.all(), batch=2) == 5
    assert search.remember_missing(Proposal.objects.all(), batch=2) == 0
    assert finds("'old'") == {one.pk for one in before} and unrouted.pk not in finds("'refund'")


def test_it_costs_one_statement_in_a_savepoint(django_assert_num_queries):
    proposal = ProposalFactory()

    with django_assert_num_queries(4):  # savepoint, added context, the words, release
        search.remember(proposal)


def test_a_large_proposal_stays_far_below_what_a_tsvector_holds():
    words = " ".join("\U00020000" * 58 + f"{n:x}" for n in range(3_000))
    proposal = written(title=words[:500], body=words, context={"a": words}, payload={"b": words}, args={"c": words})

    with connection.cursor() as cursor:
        cursor.execute("SELECT octet_length(words::text) FROM escalations_searchtext WHERE proposal_id = %s", [proposal.pk])
        assert 200_000 < cursor.fetchone()[0] < 1_000_000


def test_the_command_makes_the_rest_findable(capsys):
    one = ProposalFactory(title="Forgotten", findable=False)

    call_command("make_searchable")

    assert capsys.readouterr().out.startswith("1 can be found")
    assert finds("'forgotten'") == {one.pk}
