"""Versions of the prompt: written with a reason, fixed once written, one live at a time, each step on the record."""

import json
from concurrent.futures import ThreadPoolExecutor

import pytest
from django.db import DatabaseError, connection, transaction

from escalations import defaults, policies
from escalations.errors import CountersignError, IllegalMove, Invalid, NotFound
from escalations.instructions import INSTRUCTIONS
from escalations.models import AuditEntry, PromptVersion
from tests.factories import PersonFactory

pytestmark = pytest.mark.django_db


def version(**given):
    return PromptVersion(**{"instructions": "severity: as it is.", "policy": "", "examples": 3, "why": "to try it"} | given)


def entries(action):
    return [json.loads(one.body) for one in AuditEntry.objects.filter(action=action).order_by("pk")]


def test_a_new_database_speaks_as_the_code_does():
    [first] = PromptVersion.objects.all()

    assert (first.number, first.state, first.instructions, first.made_by) == (1, "live", INSTRUCTIONS, None)
    defaults.install()
    assert PromptVersion.objects.count() == 1


def test_a_draft_speaks_to_nobody_and_its_promotion_is_reversible(ada):
    first = PromptVersion.objects.get(state="live")

    draft = policies.save_prompt(version(policy="Be careful."), person=ada)
    assert (draft.number, draft.state, draft.made_by) == (2, "draft", ada)
    assert PromptVersion.objects.get(state="live") == first

    policies.promote_prompt(draft.pk, person=ada, why="It caught more")
    assert dict(PromptVersion.objects.values_list("number", "state")) == {1: "retired", 2: "live"}

    policies.promote_prompt(first.pk, person=ada, why="It cried wolf")
    assert dict(PromptVersion.objects.values_list("number", "state")) == {1: "live", 2: "retired"}
    saved, promoted = entries("prompt.saved")[-1]["facts"], [one["facts"] for one in entries("prompt.promoted")]
    assert saved["policy"] == "Be careful." and saved["why"] == "to try it"
    assert [(one["name"], one["instead_of"], one["why"]) for one in promoted] == [
        ("prompt 2", "prompt 1", "It caught more"), ("prompt 1", "prompt 2", "It cried wolf"),
    ]


@pytest.mark.parametrize(
    "wrong, field",
    [
        ({"instructions": "  "}, "instructions"), ({"instructions": "x" * 8_001}, "instructions"), ({"policy": "x" * 8_001}, "policy"),
        ({"why": ""}, "why"), ({"examples": 11}, "examples"), ({"examples": -1}, "examples"), ({"policy": "no\u200bthing"}, "policy"),
        ({"instructions": "a \u202e b"}, "instructions"),
    ],
    ids=range(8),
)
def test_what_cannot_be_a_version_is_refused_at_its_field(ada, wrong, field):
    with pytest.raises(Invalid) as refused:
        policies.save_prompt(version(**wrong), person=ada)

    assert [one["pointer"] for one in refused.value.errors] == [f"/{field}"]
    assert PromptVersion.objects.count() == 1


def test_several_lines_are_no_hidden_characters(ada):
    assert policies.save_prompt(version(policy="One.\r\n\r\n- two\n- three\n"), person=ada).policy == "One.\n\n- two\n- three"


def test_what_a_version_says_never_changes(ada):
    draft = policies.save_prompt(version(), person=ada)
    draft.instructions = "other"

    with pytest.raises(IllegalMove):
        policies.save_prompt(draft, person=ada)
    with pytest.raises(DatabaseError), transaction.atomic():
        PromptVersion.objects.filter(pk=draft.pk).update(policy="other")
    with pytest.raises(DatabaseError), transaction.atomic():
        draft.delete()


def test_a_promotion_needs_a_reason_a_version_and_a_change(ada):
    live = PromptVersion.objects.get(state="live")
    draft = policies.save_prompt(version(), person=ada)

    with pytest.raises(Invalid):
        policies.promote_prompt(draft.pk, person=ada, why=" ")
    with pytest.raises(IllegalMove):
        policies.promote_prompt(live.pk, person=ada, why="again")
    with pytest.raises(NotFound):
        policies.promote_prompt(0, person=ada, why="which?")
    assert not entries("prompt.promoted")


@pytest.mark.race
@pytest.mark.django_db(transaction=True)
def test_two_administrators_at_once_leave_one_live_version_and_two_numbers():
    people = [PersonFactory(is_staff=True) for _ in range(4)]

    def act(person):
        try:
            saved = policies.save_prompt(version(), person=person)
            policies.promote_prompt(saved.pk, person=person, why="mine")
            return saved.number
        except CountersignError as refused:
            return refused
        finally:
            connection.close()

    with ThreadPoolExecutor(4) as pool:
        numbers = list(pool.map(act, people))

    assert sorted(numbers) == [2, 3, 4, 5]
    assert PromptVersion.objects.filter(state="live").count() == 1
