"""What the form of one proposal takes and refuses: fields and raw text, reasons, masked values, what is said afterwards."""

import json

import pytest
from hypothesis import given
from hypothesis import strategies as st

from escalations import audit, lifecycle
from escalations.models import Category, Decision, Proposal, Role, Signature
from escalations.states import Kind
from reviews.strict import parsed
from tests.factories import STANDARD

from .conftest import signature

HTMX = {"HX-Request": "true"}
CARD = "4111 1111 1111 1111"


def url(proposal):
    return f"/proposals/{proposal.pk}/"


@pytest.mark.parametrize(
    ("text", "said"),
    [
        ('{"a": 1,\n "b": {"c": 1, "c": 2}}', "'c' stands twice in one object (line 2, column 16)"),
        ('{"a": [1,\n  NaN]}', "NaN is not a number that JSON knows (line 2, column 3)"),
        ('{\n\n "a": {"b": [0, 9007199254740993]}}', "/a/b/1: an integer beyond 2^53 - 1 is read differently by different software; send it as text (line 3, column 17)"),
        ('{"a": 1', "line 1, column 8"),
        ('{"a\\"}": "NaN", "x": -Infinity}', "-Infinity is not a number that JSON knows (line 1, column 22)"),
    ],
)
def test_every_mistake_in_raw_json_says_where(text, said):
    with pytest.raises(ValueError) as refused:
        parsed(text)

    assert said in str(refused.value)


@given(st.text(st.sampled_from('{}[]",:\\ \n01eNa'), max_size=40))
def test_whatever_is_typed_as_json_is_parsed_or_refused_in_words(text):
    try:
        assert isinstance(parsed(text), dict)
    except ValueError as error:
        assert str(error)


def test_fields_are_signed_as_they_were_typed(page, ask):
    proposal = ask(args={"order": 1182, "amount": 250.10, "odd": [None, {"x": 1.50}]})
    shown = page.get(url(proposal)).content.decode()

    answer = page.post(url(proposal), signature(proposal, type="edit", how="fields", **{"arg:/amount": "99.90", "arg:/order": "1182"}))

    assert 'name="arg:/amount" value="250.1"' in shown
    assert answer.status_code == 303
    assert Decision.objects.get().args == {"order": 1182, "amount": 99.9, "odd": [None, {"x": 1.5}]}


def test_fields_that_were_not_touched_are_no_edit(page, ask):
    proposal = ask()

    answer = page.post(url(proposal), signature(proposal, type="edit", how="fields", **{"arg:/amount": "250", "arg:/order": "1182"}))

    assert answer.status_code == 422 and "Nothing was changed" in answer.content.decode()


def test_what_the_schema_refuses_is_said_at_the_field(page, ask):
    proposal = ask(args_schema={"properties": {"amount": {"type": "number", "maximum": 500}}})

    answer = page.post(url(proposal), signature(proposal, type="edit", how="fields", **{"arg:/amount": "900"}))

    text = answer.content.decode()
    assert answer.status_code == 422 and "maximum of 500" in text and 'aria-invalid="true" aria-describedby="n-arg-' in text


@pytest.mark.parametrize("headers", [{}, HTMX])
def test_the_other_way_of_editing_takes_over_what_was_typed_and_signs_nothing(page, ask, headers):
    proposal = ask()
    fields = signature(proposal, type="edit", how="fields", show="raw", reason="kept", **{"arg:/amount": "90"})

    raw = page.post(url(proposal), fields, headers=headers)
    back = page.post(url(proposal), signature(proposal, type="edit", how="raw", show="fields", args='{"order": 7, "amount": 90}'), headers=headers)
    other = page.post(url(proposal), signature(proposal, type="edit", how="raw", show="fields", args='{"new": 7}'), headers=headers)

    assert raw.status_code == back.status_code == 200 and other.status_code == 422
    assert "&quot;amount&quot;: 90" in raw.content.decode() and "kept" in raw.content.decode()
    assert 'name="arg:/order" value="7"' in back.content.decode()
    assert "cannot show all that you wrote" in other.content.decode() and "{&quot;new&quot;: 7}" in other.content.decode()
    assert not Decision.objects.exists()


def test_parts_of_a_draft_that_were_not_touched_stay_what_they_were(page, ask):
    draft = {"to": None, "subject": " two\nlines ", "body": "Dear Ann,\r\nsorry.\r\n", "format": "text"}
    proposal = ask(incident_kind=Kind.DRAFT, action="", args=None, draft=draft)
    form = {"to": "", "subject": " twolines ", "text": draft["body"]}

    same = page.post(url(proposal), signature(proposal, type="edit", **form))
    changed = page.post(url(proposal), signature(proposal, type="edit", **{**form, "text": "Dear Ann,\r\nvery sorry.\r\n"}))

    assert same.status_code == 422 and "Nothing was changed" in same.content.decode()
    assert changed.status_code == 303
    assert Decision.objects.get().draft == {**draft, "body": "Dear Ann,\r\nvery sorry.\r\n"}


def test_a_refused_draft_shows_what_was_changed_word_by_word(page, ask):
    draft = {"to": "ann@customer.example", "subject": "s", "body": "your refund of 50 is coming", "format": "text"}
    proposal = ask(incident_kind=Kind.DRAFT, action="", args=None, draft=draft, risk="high")

    answer = page.post(url(proposal), signature(proposal, type="edit", to=draft["to"], subject="s", text="your refund of 40 is coming"))

    assert answer.status_code == 422
    assert "your refund of <del>50</del><ins>40</ins> is coming" in answer.content.decode()


def test_reasons_that_are_picked_are_the_reason(page, ask):
    Category.objects.update_or_create(name="refund", defaults={"reject_reasons": ["Paid twice", "Not theirs"]})
    first, second, third = (ask(category="refund") for _ in range(3))

    page.post(url(first), signature(first, type="reject", because=["Paid twice", "Not theirs"]))
    page.post(url(second), signature(second, type="reject", because=["Not theirs"], reason=" see order 7 "))
    other = page.post(url(third), signature(third, type="reject", because=["Because I say so"]))

    assert [one.reason for one in Decision.objects.order_by("decided_at")] == ["Paid twice; Not theirs", "Not theirs: see order 7"]
    assert other.status_code == 422 and "not offered any more" in other.content.decode()


def test_a_picked_reason_is_no_part_of_a_yes(page, ask):
    Category.objects.update_or_create(name="refund", defaults={"reject_reasons": ["Paid twice"]})
    proposal = ask(category="refund")

    page.post(url(proposal), signature(proposal, because=["Paid twice"]))

    assert Decision.objects.get().reason == ""


@pytest.mark.parametrize("said", [{"type": "approve"}, {"type": "edit", "args": json.dumps({"order": 1, "memo": "x"})}])
def test_nobody_says_yes_to_what_is_masked_for_them(page, ask, reviewer, said):
    Role.objects.update(clearance=[])
    proposal = ask(args={"order": 1182, "memo": f"card {CARD}"})

    shown = page.get(url(proposal)).content.decode()
    yes = page.post(url(proposal), signature(proposal, **said))
    fields = page.post(url(proposal), signature(proposal, type="edit", how="fields", show="raw"))
    no = page.post(url(proposal), signature(proposal, type="reject", reason="no"))

    assert CARD not in shown and "reveal it first" in shown
    assert yes.status_code == 422 and "Reveal it first" in yes.content.decode() and CARD not in yes.content.decode()
    assert CARD not in fields.content.decode()
    assert no.status_code == 303


def test_what_was_revealed_may_be_signed(page, ask, reviewer):
    Role.objects.update(clearance=[])
    proposal = ask(args={"order": 1182, "memo": f"card {CARD}"})
    lifecycle.reveal(proposal.pk, person=reviewer, why="the customer is on the phone")
    proposal.refresh_from_db()

    assert page.post(url(proposal), signature(proposal)).status_code == 303


def test_what_can_still_be_taken_back_is_said_with_a_way_to_do_it(page, ask):
    proposal, following = ask(policy={**STANDARD, "undo_seconds": 30}), ask()

    answer = page.post(url(proposal), signature(proposal))
    text = page.get(answer["Location"]).content.decode()

    flash = text.split('id="flash"')[1].split("<main")[0]
    assert answer["Location"] == url(following)
    assert "take it back" in flash and f"{url(proposal)}acts/" in flash and 'value="undo"' in flash
    assert not Decision.objects.exists() and Signature.objects.count() <= 1


def test_the_line_after_signing_names_what_was_signed_with_nothing_hidden_in_it(page, ask):
    proposal = ask(args={"to": "ann\u202e", "memo": "<b>x</b>" * 40})

    page.post(url(proposal), signature(proposal))
    text = page.get("/").content.decode()

    flash = text.split('id="flash"')[1].split("<main")[0]
    assert "Signed: approved." in flash and "⟦U+202E" in flash and "\u202e" not in flash and "<b>" not in flash


def test_changed_since_seen_gives_the_form_back_for_what_it_is_now(page, ask):
    proposal = ask()
    seen = signature(proposal, type="edit", how="fields", reason="my careful words", **{"arg:/amount": "90"})
    source = audit.Actor.source(proposal.source)
    lifecycle.add_context(proposal.incident_id, context={"summary": "it was 25"}, sanitised=False, actor=source)

    answer = page.post(url(proposal), seen, headers=HTMX)
    now = Proposal.objects.get(pk=proposal.pk)

    text = answer.content.decode()
    assert answer.status_code == 409 and answer["HX-Retarget"] == "#item" and "it was 25" in text
    assert f'name="version" value="{now.version}"' in text and now.version > proposal.version
    assert "my careful words" in text and 'name="arg:/amount" value="90"' in text and 'value="edit" data-key="e" checked' not in text
