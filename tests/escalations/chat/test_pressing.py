"""A button in a chat is a signature like any other, and no less careful than the page."""

import json
from datetime import timedelta

import pytest

from escalations import audit, clock, lifecycle
from escalations.floors import chatting
from escalations.models import AuditEntry, Decision, Hold, Proposal, Signature, SlackAccount, SlackMessage, SlackPress
from escalations.notify import slack as chats
from escalations.policies import chat, deactivate
from tests.escalations.chat.conftest import linked, send

pytestmark = pytest.mark.django_db


def whispered(slack):
    chats.follow()
    return slack.whispers[-1]["blocks"][0]["text"]["text"]


def refused(why):
    return [json.loads(one.body)["facts"] for one in AuditEntry.objects.filter(action="chat.refused") if json.loads(one.body)["facts"]["why"] == why]


def test_an_approval_is_signed_as_the_person_that_slack_user_is(posted, press, rosa, slack):
    proposal = posted()

    assert press("approve", "U0ROSA") == 200

    decision = Decision.objects.get(proposal=proposal)
    assert (decision.type, decision.person, decision.args_digest) == ("approve", rosa, proposal.args_digest)
    signature = Signature.objects.get()
    assert (signature.method, signature.digest, signature.version, signature.interactive) == ("chat", proposal.args_digest, proposal.version, True)
    chats.follow()
    assert "Robin" not in slack.last()["blocks"][1]["text"]["text"]
    assert f"{rosa.name} approved this at" in slack.last()["blocks"][1]["text"]["text"]
    assert set(slack.buttons()) == {"open"}
    assert SlackMessage.objects.get().closed_at is not None
    assert slack.whispers == []


def test_a_rejection_says_why(posted, press, rosa, slack):
    proposal = posted()

    assert press("reject", "U0ROSA") == 200
    assert not Decision.objects.exists()
    assert "Say why" in whispered(slack)

    assert press("reject", "U0ROSA", reason="ordered twice") == 200
    assert Decision.objects.get(proposal=proposal).reason == "ordered twice"
    chats.follow()
    assert "rejected this" in slack.last()["blocks"][1]["text"]["text"]
    assert "ordered twice" in slack.last()["blocks"][1]["text"]["text"]


def test_a_yes_to_what_much_depends_on_says_why_as_on_the_page(posted, press, rosa, slack):
    proposal = posted(risk="high", triggers=[{"name": "high_stakes", "why": "amount 250 is over 100", "where": "proposal.args.amount"}])

    press("approve", "U0ROSA")
    assert not Decision.objects.exists()
    assert "Say why" in whispered(slack)

    press("approve", "U0ROSA", reason="asked the customer")
    assert Decision.objects.get(proposal=proposal).reason == "asked the customer"


def test_an_unknown_slack_user_is_told_so_and_nothing_is_decided(posted, press, slack):
    proposal = posted()

    assert press("approve", "U0NOBODY") == 200

    assert not Decision.objects.exists() and not Signature.objects.exists()
    assert "nobody here is linked to your Slack account (U0NOBODY)" in whispered(slack)
    assert (slack.whispers[-1]["user"], slack.whispers[-1]["channel"]) == ("U0NOBODY", "C0FINANCE")
    [entry] = AuditEntry.objects.filter(action="chat.refused")
    assert entry.proposal_id == proposal.pk
    assert refused("not linked")[0]["user_id"] == "U0NOBODY"


def test_somebody_elses_queue_is_not_decided(posted, press, workspace, slack):
    linked(workspace, "U0SUE", roles=["support"])
    posted()

    press("approve", "U0SUE")

    assert not Decision.objects.exists()
    assert "Only members of the role" in whispered(slack)
    assert refused("not_your_queue")


def test_nobody_decides_their_own_request(posted, press, rosa, source, slack):
    posted(incident__on_behalf_of="person:rosa")
    press("approve", "U0ROSA")
    assert not Decision.objects.exists()
    assert "Nobody decides what they asked for themselves" in whispered(slack)
    assert refused("own_request")


def test_a_deactivated_person_decides_nothing(posted, press, rosa, slack):
    posted()
    deactivate(rosa, actor=audit.SYSTEM)

    press("approve", "U0ROSA")

    assert not Decision.objects.exists()
    assert "Nothing was decided" in whispered(slack)


def test_a_link_that_was_taken_away_decides_nothing(posted, press, rosa, slack):
    posted()
    chat.unlink_account(SlackAccount.objects.get(), actor=audit.SYSTEM)

    press("approve", "U0ROSA")

    assert not Decision.objects.exists()
    assert "nobody here is linked" in whispered(slack)


def test_what_changed_since_is_not_approved_and_the_message_says_so(posted, press, rosa, slack):
    proposal = posted()
    lifecycle.add_context(proposal.incident_id, context={"summary": "another thing"}, actor=audit.SYSTEM)

    press("approve", "U0ROSA")

    assert not Decision.objects.exists()
    assert "changed since you saw it" in whispered(slack)
    assert "This changed since it was posted: open it." in slack.last()["blocks"][1]["text"]["text"]
    assert set(slack.buttons()) == {"open"}


def test_the_second_press_is_told_who_was_first(posted, press, rosa, carl, slack, client):
    posted()
    first = slack.pressing("reject", "U0CARL", reason="no")
    press("approve", "U0ROSA")

    assert send(client, first).status_code == 200
    assert Decision.objects.get().type == "approve"
    assert f"{rosa.name} was first" in whispered(slack)


def test_a_captured_request_counts_once_even_after_it_was_taken_back(posted, press, rosa, slack, client):
    proposal = posted(policy={"undo_seconds": 60})
    payload = slack.pressing("approve", "U0ROSA")
    now = clock.now()

    with clock.frozen_at(now):
        assert send(client, payload).status_code == 200
        assert Hold.objects.get().method == "chat"
        lifecycle.undo(proposal.pk, person=rosa)
        assert send(client, payload).status_code == 200  # the very same bytes and signature

    assert not Hold.objects.exists() and not Decision.objects.exists()
    assert SlackPress.objects.count() == 1


def test_a_signature_that_can_be_taken_back_says_until_when(posted, press, rosa, carl, slack):
    proposal = posted(policy={"undo_seconds": 60})

    press("approve", "U0ROSA")

    assert Proposal.objects.get().state == "pending"
    assert "You can take it back on the page until" in whispered(slack)
    assert "can take it back until" in slack.last()["blocks"][-2]["text"]["text"]
    assert set(slack.buttons()) == {"open"}
    lifecycle.undo(proposal.pk, person=rosa)
    with clock.frozen_at(clock.now() + timedelta(seconds=63)):
        chats.follow()
        assert {"approve", "reject"} < set(slack.buttons())  # nothing of it changed, so the buttons are back
        press("approve", "U0CARL")
        assert Hold.objects.get().person == carl


def test_a_held_signature_settles_and_the_message_says_who(posted, press, rosa, slack):
    posted(policy={"undo_seconds": 5})
    press("approve", "U0ROSA")
    with clock.frozen_at(clock.now() + timedelta(seconds=6)):
        lifecycle.settle_held(limit=10)
        chats.follow()
        assert f"{rosa.name} approved this" in slack.last()["blocks"][1]["text"]["text"]


def test_several_must_say_yes_where_the_policy_asks_for_several(posted, press, rosa, carl, slack):
    proposal = posted(policy={"quorum": 2})

    press("approve", "U0ROSA")
    assert not Decision.objects.exists()
    assert "1 more person must say yes" in whispered(slack)
    assert any(f"Signed by {rosa.name}; 1 more of 2" in str(block) for block in slack.last()["blocks"])

    press("approve", "U0ROSA")
    assert not Decision.objects.exists() and Signature.objects.count() == 1

    press("approve", "U0CARL")
    assert Decision.objects.get(proposal=proposal).person == carl


def test_a_signature_given_on_the_page_shows_in_the_message(posted, rosa, carl, slack):
    proposal = posted(policy={"quorum": 2})
    lifecycle.decide(proposal.pk, person=carl, type="approve", digest=proposal.args_digest, version=proposal.version, method="page")

    assert chats.follow() == 1
    assert any(f"Signed by {carl.name}" in str(block) for block in slack.last()["blocks"])
    assert chats.follow() == 0


@pytest.mark.parametrize("spoil", ["altered", "swapped", "gone", "long", "number", "unsigned", "other workspace"])
def test_a_value_that_is_not_as_we_made_it_decides_nothing(posted, press, rosa, slack, spoil, client):
    other, proposal = posted(args={"order": 1, "amount": 9}), posted()
    payload = slack.pressing("approve", "U0ROSA")
    value = payload["actions"][0]["value"]
    payload["actions"][0]["value"] = {
        "altered": value.replace(str(proposal.pk), str(other.pk)), "swapped": slack.buttons()["reject"]["value"], "gone": None,
        "long": value + "x" * 3000, "number": 7, "unsigned": value.rpartition("~")[0],
        "other workspace": chatting.Button("approve", 99_999, proposal.pk, 1, proposal.args_digest).value(),
    }[spoil]

    assert send(client, payload).status_code == 200

    assert not Decision.objects.exists()
    assert refused("not our button")
    assert "this button is not as Countersign made it" in whispered(slack)


def test_a_message_that_was_posted_and_not_remembered_is_ours_again_when_it_is_pressed(posted, press, rosa, slack):
    posted()
    SlackMessage.objects.all().delete()

    press("approve", "U0ROSA")
    chats.follow()

    assert f"{rosa.name} approved this" in slack.last()["blocks"][1]["text"]["text"]


def test_a_manager_decides_in_any_channel(posted, press, mona, slack):
    posted()
    press("approve", "U0MONA")
    assert Decision.objects.get().person == mona


def test_what_the_source_or_policy_no_longer_allows_is_not_decided_by_an_old_button(posted, press, rosa, source, slack):
    posted()
    source.may_chat = False
    source.save()

    press("approve", "U0ROSA")

    assert not Decision.objects.exists()
    assert "What this source asks is decided on the page." in whispered(slack)
    assert refused("step_up_required")


def test_a_press_costs_so_many_queries_and_calls_nobody(posted, slack, rosa, client, django_assert_max_num_queries):
    posted()
    payload = slack.pressing("approve", "U0ROSA")
    calls = len(slack.calls)
    with django_assert_max_num_queries(60):
        send(client, payload)
    assert len(slack.calls) == calls
