"""Reading one proposal, and signing it, with htmx and without."""

from datetime import timedelta

import pytest

from escalations import lifecycle
from escalations.models import Classification, Decision, Proposal
from escalations.states import Kind
from tests.factories import WorkFactory

from .conftest import signature

HTMX = {"HX-Request": "true"}


def url(proposal):
    return f"/proposals/{proposal.pk}/"


def test_the_page_says_what_will_happen_from_the_args_and_not_from_the_prose(page, ask):
    proposal = ask(description="A tiny refund of $1", incident_context={"why": "just a cent"})

    answer = page.get(url(proposal))

    text = answer.content.decode()
    heading = text.split("<h1")[1].split("</h1>")[0]
    assert answer.status_code == 200
    assert "250" in heading and "1182" in heading
    assert "tiny" not in heading
    assert "said by the source, not checked" in text
    assert answer["Cache-Control"] == "no-store" and "HX-Request" in answer["Vary"]


def test_a_stranger_is_told_that_there_is_nothing(ask, stranger, signed_in):
    proposal = ask()
    client = signed_in(stranger)

    assert client.get(url(proposal)).status_code == 404
    assert client.post(url(proposal), signature(proposal)).status_code == 404
    assert client.post(f"{url(proposal)}acts/", {"act": "claim"}).status_code == 404
    assert client.get(f"/incidents/{proposal.incident_id}/").status_code == 404
    assert not Decision.objects.exists()


def test_signing_without_javascript_goes_on_to_the_next_in_the_queue(page, ask):
    first, second = ask(), ask()

    answer = page.post(url(first), signature(first))

    assert answer.status_code == 303
    assert answer["Location"] == url(second)
    assert Decision.objects.get().proposal == first
    assert "Signed: approved" in page.get(answer["Location"]).content.decode()


def test_signing_with_htmx_does_the_same_by_a_header(page, ask):
    first, second = ask(), ask()

    answer = page.post(url(first), signature(first), headers=HTMX)

    assert answer.status_code == 200
    assert answer["HX-Redirect"] == url(second)
    assert Decision.objects.get().type == "approve"


def test_the_last_one_leads_back_to_the_inbox_with_its_filters(page, ask):
    proposal = ask()

    answer = page.post(f"{url(proposal)}?kind=action", signature(proposal))

    assert answer["Location"] == "/?kind=action"


def test_what_another_holds_is_not_next(page, ask, colleague):
    first, held, free = ask(), ask(), ask()
    lifecycle.claim(held.pk, person=colleague)

    answer = page.post(url(first), signature(first))

    assert answer["Location"] == url(free)


def test_a_rejection_needs_a_reason_and_keeps_what_was_typed(page, ask):
    proposal = ask()

    plain = page.post(url(proposal), signature(proposal, type="reject", reason=" ", message="kept words"))
    fragment = page.post(url(proposal), signature(proposal, type="reject"), headers=HTMX)

    assert plain.status_code == fragment.status_code == 422
    assert "Say why not" in plain.content.decode() and "kept words" in plain.content.decode()
    assert "<html" in plain.content.decode() and "<html" not in fragment.content.decode()
    assert fragment.content.decode().count(" autofocus") == 1
    assert not Decision.objects.exists()


def test_no_decision_chosen_is_said(page, ask):
    proposal = ask()

    answer = page.post(url(proposal), signature(proposal, type=""))

    assert answer.status_code == 422
    assert "Choose a decision first" in answer.content.decode()


def test_a_decision_that_is_not_allowed_is_not_offered_and_not_taken(page, ask):
    proposal = ask(allowed_decisions=["approve"])

    text = page.get(url(proposal)).content.decode()
    answer = page.post(url(proposal), signature(proposal, type="respond", message="hello"))

    assert 'value="respond"' not in text and 'value="reject"' in text
    assert answer.status_code == 422


def test_what_changed_since_it_was_shown_is_not_signed(page, ask, colleague):
    proposal = ask()
    seen = signature(proposal, type="reject", reason="my careful words")
    lifecycle.comment(proposal.pk, person=colleague, text="look at the amount")
    lifecycle.ask_back(proposal.pk, person=colleague, text="why so much?")

    answer = page.post(url(proposal), {**seen, "version": proposal.version + 7}, headers=HTMX)

    text = answer.content.decode()
    assert answer.status_code == 409
    assert "changed since you saw it" in text
    assert "Asked the agent back" in text
    assert "my careful words" in text
    assert text.count(" autofocus") == 1
    assert not Decision.objects.exists()


@pytest.mark.parametrize("headers", [{}, HTMX])
def test_who_comes_second_is_told_who_was_first(page, ask, colleague, headers):
    proposal = ask()
    seen = signature(proposal, type="reject", reason="my careful words")
    lifecycle.decide(
        proposal.pk, person=colleague, type="approve", digest=proposal.args_digest, version=proposal.version, reason="fine by me"
    )

    answer = page.post(url(proposal), seen, headers=headers)

    text = answer.content.decode()
    assert answer.status_code == 409
    assert "Somebody was first" in text and "Carl Colleague" in text and "fine by me" in text
    assert "my careful words" in text
    assert Decision.objects.count() == 1


def test_args_edited_as_json_are_what_may_run(page, ask):
    proposal = ask()

    answer = page.post(url(proposal), signature(proposal, type="edit", args='{"order": 1182, "amount": 90}', reason="half"))

    decision = Decision.objects.get()
    assert answer.status_code == 303
    assert (decision.type, decision.args) == ("edit", {"order": 1182, "amount": 90})
    assert decision.signed_digest == proposal.args_digest != decision.args_digest


@pytest.mark.parametrize(
    ("typed", "said"),
    [
        ('{"order": 1182,\n "amount": }', "line 2, column"),
        ('{"a": 1, "a": 2}', "stands twice"),
        ('{"a": NaN}', "NaN"),
        ("[1]", "begin with {"),
        ('{"a": 9007199254740993}', "beyond 2^53"),
        ('{"a": 0.1000000000000000055511151231257827}', "send it as text"),
        ('{"a": ' * 70 + "1" + "}" * 70, "deeper than"),
        ('{"order": 1182, "amount": 250}', "Nothing was changed"),
    ],
)
def test_an_edit_that_cannot_be_signed_says_where_and_keeps_the_text(page, ask, typed, said):
    proposal = ask()

    answer = page.post(url(proposal), signature(proposal, type="edit", args=typed))

    text = answer.content.decode()
    assert answer.status_code == 422
    assert said in text
    assert typed[:9].replace('"', "&quot;") in text
    assert not Decision.objects.exists()


def test_an_edited_draft_is_signed_with_its_own_line_ends(page, ask):
    draft = {"to": "ann@customer.example", "subject": "Your order", "body": "Dear Ann,\nsorry.\n", "format": "text"}
    proposal = ask(incident_kind=Kind.DRAFT, action="", args=None, draft=draft)

    answer = page.post(
        url(proposal),
        signature(proposal, type="edit", to=draft["to"], subject="Your order 7", text="Dear Ann,\r\nwe are sorry.\r\n"),
    )

    assert answer.status_code == 303, answer.content.decode()
    assert (Decision.objects.first() or Proposal.objects.last()).draft == {
        **draft,
        "subject": "Your order 7",
        "body": "Dear Ann,\nwe are sorry.\n",
    }


def test_the_owner_of_the_source_reads_but_finds_the_form_shut(page, ask, reviewer):
    proposal = ask()
    proposal.source.owner = reviewer
    proposal.source.save()

    read = page.get(url(proposal))
    signed = page.post(url(proposal), signature(proposal))
    fragment = page.post(url(proposal), signature(proposal), headers=HTMX)

    assert "Nobody decides what they asked for themselves" in read.content.decode()
    assert '<fieldset id="f-type" disabled' in read.content.decode()
    assert signed.status_code == 403
    assert fragment["HX-Redirect"] == url(proposal)
    assert not Decision.objects.exists()


def test_an_incident_without_a_proposal_is_corrected_with_two_choices(page, ask):
    proposal = ask(
        incident_kind=Kind.EXCEPTION, author="system", action="acknowledge", args={"severity": "warning", "category": "bug"}
    )

    text = page.get(url(proposal)).content.decode()
    answer = page.post(url(proposal), signature(proposal, type="edit", severity="critical", category="outage"))

    assert "Acknowledge an exception as" in text
    assert answer.status_code == 303
    settled = Decision.objects.first() or Proposal.objects.order_by("revision").last()
    assert settled.args == {"severity": "critical", "category": "outage"}


def test_an_exception_is_shown_with_its_lines(page, ask):
    raised = {"type": "KeyError", "message": "'total'", "stacktrace": "Traceback:\n  File x, line 10", "retryable": False}
    proposal = ask(incident_kind=Kind.EXCEPTION, incident_payload={"exception": raised, "host": "web-3"})

    text = page.get(url(proposal)).content.decode()

    assert "Traceback:\n  File x, line 10" in text and "KeyError" in text and "false" in text
    assert "web-3" in text and "&quot;exception&quot;" not in text


def test_the_page_costs_the_same_however_long_its_history_is(page, ask, reviewer, django_assert_max_num_queries):
    proposal = ask(incident_fingerprint="fp", args={f"key{n}": n for n in range(300)})
    for number in range(10):
        lifecycle.comment(proposal.pk, person=reviewer, text=f"comment {number}")
    proposal.refresh_from_db()

    # session, person, roles, proposal, veil; count and preferences; the list beside it (3); the glance, then one for each section; whether
    # everything is stopped; how its queue went, and its place in it.
    with django_assert_max_num_queries(25):
        page.get(url(proposal))


def test_a_settled_proposal_shows_who_decided_and_no_form(page, ask):
    proposal = ask()
    page.post(url(proposal), signature(proposal, reason="all right"))

    text = page.get(url(proposal)).content.decode()

    assert "Rosa Reviewer" in text and "all right" in text
    assert "not acknowledged" in text
    assert "data-decision" not in text


def test_similar_decisions_are_shown_with_who_and_why(page, ask):
    before = ask(incident_fingerprint="same", args={"order": 7, "amount": 20})
    page.post(url(before), signature(before, type="reject", reason="never refund order 7"))
    now = ask(incident_fingerprint="same", source=before.source)

    text = page.get(url(now)).content.decode()

    assert "never refund order 7" in text and url(before) in text


def test_the_filters_of_the_queue_stay_with_the_reader(page, ask):
    proposal = ask(due_at=ask().due_at + timedelta(hours=1))

    text = page.get(f"{url(proposal)}?kind=action").content.decode()

    assert 'href="/?kind=action"' in text


def test_signing_in_again_after_an_act_comes_back_to_the_proposal(page, ask):
    proposal = ask()

    answer = page.get(f"{url(proposal)}acts/")

    assert answer.status_code == 303 and answer["Location"] == url(proposal)


def test_why_it_came_names_no_rule_where_there_is_none(page, ask):
    held = ask(rules=[{"name": "", "floor": "review", "why": "A person was asked about this line before."}])
    bare = ask(rules=[], triggers=[])

    text = page.get(url(held)).content.decode()
    assert "A person was asked about this line before." in text and "Rule “" not in text
    text = page.get(url(bare)).content.decode()
    assert "No rule speaks of this" in text and "A person must decide this." not in text


def test_an_engine_that_spoke_of_two_revisions_is_shown_once(page, ask):
    proposal = ask()
    for category in ("refund", "payment"):
        work = WorkFactory(incident=proposal.incident)
        Classification.objects.create(incident=proposal.incident, work=work, engine="rules", severity="info", category=category)

    assert [word.category for word in page.get(url(proposal)).context["d"].classifications] == ["payment"]


def test_a_question_is_read_at_the_head_of_its_page(page, ask):
    asked = ask(kind=Kind.QUESTION, author="system", action="acknowledge", args={"severity": "info", "category": "other"},
                incident_kind=Kind.QUESTION, incident_title="Which warehouse ships to Malta?")  # fmt: skip
    heading = page.get(url(asked)).content.decode().split("<header class=\"asked\">")[1].split("</header>")[0]

    assert "Which warehouse ships to Malta?" in heading
