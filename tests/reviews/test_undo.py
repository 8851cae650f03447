"""Signing on a page where it can still be taken back: what the signer, a colleague and the next page say."""

from datetime import timedelta

import pytest

from escalations import audit, clock, lifecycle
from escalations.models import AuditEntry, Comment, Decision, Hold, Notice
from tests.factories import STANDARD, PersonFactory, SourceFactory, role

from .conftest import signature

UNDO = {**STANDARD, "undo_seconds": 20}
AGENT = audit.Actor("source", "agent", "agent")


def url(proposal):
    return f"/proposals/{proposal.pk}/"


def act(page, proposal, name, **said):
    return page.post(f"{url(proposal)}acts/", {"act": name, **said})


def text_of(answer):
    return answer.content.decode()


def test_after_signing_the_next_page_offers_to_undo_and_nothing_was_settled(page, ask):
    proposal = ask(policy=UNDO)
    following = ask()

    answer = page.post(url(proposal), signature(proposal), follow=True)

    text = text_of(answer)
    assert answer.redirect_chain[-1][0].startswith(url(following))
    assert "Signed: approved" in text and "settles in" in text and text.count('value="undo"') == 1
    assert Hold.objects.exists() and not Decision.objects.exists()


def test_its_own_page_says_what_was_signed_and_offers_to_undo_but_not_to_sign_or_to_act(page, ask):
    proposal = ask(policy=UNDO)
    page.post(url(proposal), signature(proposal, type="reject", reason="too <much>"))

    text = text_of(page.get(url(proposal)))

    assert "You signed this: <b>Reject</b>" in text and "too &lt;much&gt;" in text
    assert text.count('value="undo"') == 1 and 'name="digest"' not in text
    assert 'value="hand_over"' not in text and 'value="comment"' in text


def test_a_colleague_reads_who_signed_until_when_and_has_no_button(page, ask, colleague, signed_in):
    proposal = ask(policy=UNDO)
    page.post(url(proposal), signature(proposal))

    theirs = signed_in(colleague)
    text = text_of(theirs.get(url(proposal)))
    refused = [act(theirs, proposal, name, **more) for name, more in (
        ("undo", {}), ("claim", {}), ("take_over", {}), ("hand_over", {"role": role("support").pk}), ("extend", {"hours": 1}),
        ("ask_back", {"text": "?"}), ("escalate", {}),
    )]
    signing = theirs.post(url(proposal), signature(proposal, type="reject", reason="an essay"))

    assert 'name="act" value="claim"' not in text
    assert "<b>Rosa Reviewer</b> signed this" in text and 'value="undo"' not in text and 'name="digest"' not in text
    assert {answer.status_code for answer in refused} == {409}
    assert signing.status_code == 409 and "Rosa Reviewer signed this" in text_of(signing) and "an essay" in text_of(signing)
    assert Hold.objects.exists()


def test_undo_leads_back_to_the_form_with_what_was_signed_in_it_once(page, ask):
    proposal = ask(policy=UNDO)
    page.post(url(proposal), signature(proposal, type="edit", args='{"order": 1182, "amount": 99}', reason="half is enough"))
    assert Hold.objects.get().args == {"order": 1182, "amount": 99}

    answer = act(page, proposal, "undo")
    text = text_of(page.get(answer["Location"]))

    assert answer.status_code == 303 and not Hold.objects.exists() and not Decision.objects.exists()
    assert "Taken back" in text and "half is enough" in text and "99" in text and "checked" in text
    assert page.get(answer["Location"])["Location"] == url(proposal)  # once; after that it is the page as ever
    again = page.post(answer["Location"], signature(proposal, reason="after all"))
    assert again.status_code == 303 and Hold.objects.get().type == "approve"


def test_undo_keeps_the_filters_of_the_list(page, ask):
    proposal = ask(policy=UNDO)
    page.post(f"{url(proposal)}?kind=action", signature(proposal))

    answer = page.post(f"{url(proposal)}acts/?kind=action", {"act": "undo"})

    assert answer["Location"].endswith("acts/?kind=action")


def test_too_late_to_undo_says_that_it_settled_as_signed(page, ask):
    proposal = ask(policy=UNDO)
    page.post(url(proposal), signature(proposal))
    with clock.frozen_at(clock.now() + timedelta(minutes=1)):
        lifecycle.settle_held()

        answer = act(page, proposal, "undo")

    assert answer.status_code == 409 and "Rosa Reviewer was first: approve" in text_of(answer)


def test_the_strip_is_on_every_page_until_it_settled_and_costs_nothing_before(page, ask, reviewer):
    proposal = ask(policy=UNDO)
    assert 'id="held"' not in text_of(page.get("/settled/"))
    page.post(url(proposal), signature(proposal))

    for where in ("/", "/settled/", "/tokens/"):
        assert "settles in" in text_of(page.get(where)), where
    with clock.frozen_at(clock.now() + timedelta(minutes=1)):
        lifecycle.settle_held()
    assert 'id="held"' not in text_of(page.get("/settled/"))
    assert page.session["held"] == []


def test_what_fell_is_told_once_on_the_next_page(page, ask):
    proposal = ask(policy=UNDO)
    page.post(url(proposal), signature(proposal))
    lifecycle.add_context(proposal.incident_id, context={"summary": "x"}, actor=AGENT)

    assert "Your signature does not stand any more" in text_of(page.get("/"))
    assert "Your signature does not stand any more" not in text_of(page.get("/"))


def test_the_strip_is_looked_at_again_by_htmx_and_a_plain_visitor_goes_home(page, ask):
    proposal = ask(policy=UNDO)
    page.post(url(proposal), signature(proposal))

    part = page.get("/held/", HTTP_HX_REQUEST="true")
    elsewhere = page.get(f"/held/?on={proposal.pk}", HTTP_HX_REQUEST="true")

    assert "settles in" in text_of(part) and "<html" not in text_of(part)
    assert "settles in" not in text_of(elsewhere)
    assert page.get("/held/").status_code == 303
    assert page.get("/held/?on=x", HTTP_HX_REQUEST="true").status_code == 200


def test_the_panel_becomes_the_outcome_when_it_settled(page, ask):
    proposal = ask(policy=UNDO)
    page.post(url(proposal), signature(proposal))
    asking = {"HTTP_HX_REQUEST": "true", "HTTP_HX_TARGET": "decision"}
    assert "You signed this" in text_of(page.get(f"{url(proposal)}acts/", **asking))

    with clock.frozen_at(clock.now() + timedelta(minutes=1)):
        lifecycle.settle_held()

    text = text_of(page.get(f"{url(proposal)}acts/", **asking))
    assert 'id="decision"' in text and "Rosa Reviewer" in text and "You signed this" not in text and "<html" not in text


def test_a_group_is_held_row_by_row_and_taken_back_together(page, ask):
    source = SourceFactory(name="billing-agent")
    rows = [ask(source=source, incident_fingerprint="fp", policy=UNDO) for _ in range(3)]
    picks = [f"{one.pk}|{one.version}|{one.args_digest}" for one in rows]

    answer = page.post("/groups/?source=billing-agent&fingerprint=fp", {"pick": picks, "type": "reject", "reason": "no"})

    assert "3 of 3 signed" in text_of(answer) and {one.method for one in Hold.objects.all()} == {"group"}
    assert Hold.objects.count() == 3 and "Undo all 3" in text_of(page.get("/"))
    assert page.post("/held/").status_code == 303
    assert not Hold.objects.exists() and AuditEntry.objects.filter(action="proposal.undone").count() == 3
    assert not Decision.objects.exists()


def test_nobody_undoes_anothers_by_the_whole(page, ask, colleague, signed_in):
    proposal = ask(policy=UNDO)
    page.post(url(proposal), signature(proposal))

    signed_in(colleague).post("/held/")

    assert Hold.objects.exists()


# -- comments that call on somebody


def test_a_named_colleague_is_told_and_the_name_stands_out(page, ask, colleague):
    proposal = ask()

    assert act(page, proposal, "comment", text="@carl, is this the customer of last week? <b>").status_code == 303

    assert Comment.objects.get().mentions == [colleague.pk]
    assert Notice.objects.get(kind="mentioned").person == colleague
    text = text_of(page.get(url(proposal)))
    assert '<b class="mention" title="Carl Colleague">@carl</b>, is this' in text and "&lt;b&gt;" in text
    assert '<option value="@carl">Carl Colleague</option>' in text


def test_a_name_picked_from_the_list_is_written_to_the_comment(page, ask, colleague):
    act(page, ask(), "comment", text="please look", tell="@carl")

    assert Comment.objects.get().text == "please look\n@carl" and Comment.objects.get().mentions == [colleague.pk]


def test_who_cannot_read_it_is_refused_by_name_and_the_text_kept(page, ask, stranger):
    PersonFactory(username="gone", roles=["finance"], is_active=False)
    proposal = ask()

    for name in ("sam", "gone", "nobody"):
        answer = act(page, proposal, "comment", text=f"@{name} look at this", tell="@carl")
        assert answer.status_code == 400 or answer.status_code == 422
        assert f"@{name}" in text_of(answer) and "can read this" in text_of(answer)
        assert 'value="@carl"' in text_of(answer)
    assert not Comment.objects.exists() and not Notice.objects.exists()


# -- what stays when an act is refused


@pytest.mark.parametrize(
    ("name", "said", "kept"),
    [
        ("hand_over", {"why": "looks odd"}, "looks odd"), ("extend", {"hours": "900", "why": "a holiday"}, "a holiday"),
        ("ask_back", {"text": " "}, "Ask billing-agent back"), ("comment", {"text": "@nobody see"}, "@nobody see"),
    ],
)
def test_what_was_typed_stays_in_its_form_which_is_open(page, ask, name, said, kept):
    text = text_of(act(page, ask(source=SourceFactory(name="billing-agent")), name, **said))

    assert kept in text and 'id="act-problems"' in text


def test_the_role_that_was_chosen_stays_chosen(page, ask, colleague, signed_in):
    proposal = ask(policy=UNDO)
    shown = text_of(page.get(url(proposal)))
    signed_in(colleague).post(url(proposal), signature(proposal))

    answer = act(page, proposal, "hand_over", role=role("support").pk, why="w")

    assert answer.status_code == 409 and "Carl Colleague signed this" in text_of(answer)
    assert "finance" in shown and "security (nobody)" in shown


def test_the_page_of_a_refused_act_still_signs(page, ask):
    proposal = ask()
    act(page, proposal, "hand_over")

    assert page.post(f"{url(proposal)}acts/", signature(proposal)).status_code == 303
    assert Decision.objects.get().type == "approve"


# -- behind the veil


def test_revealing_is_recorded_with_why_and_shows_the_values(page, ask):
    proposal = ask(args={"order": 1, "amount": 5, "note": "password: hunter2secret"})
    before = text_of(page.get(url(proposal)))
    assert "hunter2secret" not in before and 'value="reveal"' in before

    answer = act(page, proposal, "reveal", why="the customer is on the phone")

    assert answer.status_code == 303
    entry = AuditEntry.objects.get(action="proposal.revealed")
    assert entry.actor == "rosa" and "on the phone" in entry.body
    after = text_of(page.get(url(proposal)))
    assert "hunter2secret" in after and 'value="reveal"' not in after
