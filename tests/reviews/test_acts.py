"""What can be done with a proposal besides deciding it."""

from datetime import timedelta

import pytest

from escalations import lifecycle
from escalations.models import Comment, Question
from tests.factories import role


def act(page, proposal, name, **said):
    return page.post(f"/proposals/{proposal.pk}/acts/", {"act": name, **said})


def test_claim_and_release(page, ask, reviewer):
    proposal = ask()

    assert act(page, proposal, "claim").status_code == 303
    proposal.refresh_from_db()
    assert proposal.claimed_by == reviewer

    assert act(page, proposal, "release").status_code == 303
    proposal.refresh_from_db()
    assert proposal.claimed_by is None


def test_taking_over_from_a_colleague_is_a_button_of_its_own(page, ask, reviewer, colleague):
    proposal = ask()
    lifecycle.claim(proposal.pk, person=colleague)

    refused = act(page, proposal, "claim")
    text = page.get(f"/proposals/{proposal.pk}/").content.decode()
    taken = act(page, proposal, "take_over")

    proposal.refresh_from_db()
    assert refused.status_code == 409 and "Take over<" in text and "from Carl Colleague</span></button>" in text
    assert taken.status_code == 303 and proposal.claimed_by == reviewer


def test_handing_over_moves_it_to_another_queue(page, ask):
    proposal = ask()

    answer = act(page, proposal, "hand_over", role=role("security").pk, why="looks odd")

    proposal.refresh_from_db()
    assert answer.status_code == 303
    assert proposal.role.name == "security"


def test_handing_over_to_nobody_is_refused_with_the_words_kept(page, ask):
    proposal = ask()

    answer = act(page, proposal, "hand_over", why="looks odd")

    assert answer.status_code == 422
    assert "Choose a role" in answer.content.decode() and "looks odd" in answer.content.decode()


def test_extending_moves_the_due_time(page, ask):
    proposal = ask()
    before = proposal.due_at

    answer = act(page, proposal, "extend", hours="2")

    proposal.refresh_from_db()
    assert answer.status_code == 303
    assert proposal.due_at >= before + timedelta(minutes=110)


def test_the_agent_is_asked_back_and_colleagues_are_told(page, ask, reviewer):
    proposal = ask()

    act(page, proposal, "comment", text="I would ask")
    act(page, proposal, "ask_back", text="Why twice?")

    text = page.get(f"/proposals/{proposal.pk}/").content.decode()
    assert Question.objects.get().text == "Why twice?"
    assert Comment.objects.get().person == reviewer
    assert "Why twice?" in text and "I would ask" in text


@pytest.mark.parametrize("name", ["comment", "ask_back"])
def test_empty_words_are_refused(page, ask, name):
    answer = act(page, ask(), name, text="  ")

    assert answer.status_code == 422
    assert "Write something first" in answer.content.decode()


def test_an_unknown_act_does_nothing(page, ask):
    assert act(page, ask(), "approve").status_code == 400


def test_what_is_settled_takes_no_more_acts(page, ask, reviewer):
    proposal = ask()
    lifecycle.decide(proposal.pk, person=reviewer, type="approve", digest=proposal.args_digest, version=proposal.version)

    assert act(page, proposal, "claim").status_code == 409
