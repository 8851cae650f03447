"""Law 8: the actor is the authenticated principal, and nobody decides what they asked for.

The whole matrix: who somebody is, what the proposal is to them, and the door they come through. Single refusals by the verb are in
tests/escalations/lifecycle/test_decide.py, the admin's doors in tests/escalations/admin/test_reach.py.
"""

import pytest
from django.test import Client

from escalations import audit, lifecycle, policies
from escalations.models import Decision, Proposal, Signature, Source
from reviews.groups import Pick
from tests.escalations.api.speaking import Speaker, assert_problem, key_for
from tests.factories import IncidentFactory, PersonFactory, ProposalFactory, RuleFactory, role

from .conftest import asked_for, newest, said, shown

pytestmark = pytest.mark.django_db

PEOPLE = {
    "member": {"roles": ["finance"]},
    "manager": {"roles": ["manager"]},
    "another role": {"roles": ["support"]},
    "auditor": {"roles": ["auditor"]},
    "administrator": {"roles": [], "is_superuser": True, "is_staff": True},
    "administrator and manager": {"roles": ["manager"], "is_superuser": True, "is_staff": True},
    "nobody": {"roles": []},
    "who left": {"roles": ["finance", "manager"], "is_active": False},
}
MAY = {"member", "manager", "administrator and manager"}
TIES = ["none", "owner", "on behalf of", "author of the edit"]
DOORS = ["page", "group", "token", "interactive token"]


def tied(person, tie):
    """Return a proposal of finance's that this person has this to do with."""
    source = Source.objects.create(name="desk-agent", owner=person if tie == "owner" else None)
    incident = IncidentFactory(source=source, fingerprint="fp", on_behalf_of=person.email if tie == "on behalf of" else "")
    author = {"author": "person", "author_person": person} if tie == "author of the edit" else {}
    return ProposalFactory(incident=incident, role=role("finance"), **author)


def sent_to_sign_in(answer):
    return answer.status_code in (302, 303) and answer["Location"].startswith("/login/")


def through(door, person, proposal, browser, token, verdict):
    """Try to sign as this person at this door; return the HTTP status, 401 for being sent to sign in."""
    if door in ("token", "interactive token"):
        return token(person, door == "interactive token").post(f"/proposals/{proposal.pk}/decision", said(proposal, verdict)).status_code
    client = browser(person)
    if door == "page":
        answer = client.post(f"/proposals/{proposal.pk}/", shown(proposal, verdict))
        return 401 if sent_to_sign_in(answer) else answer.status_code
    pick = str(Pick(proposal.pk, proposal.version, proposal.args_digest))
    form = {"pick": [pick], "type": verdict, "reason": "because", **asked_for(proposal)}
    return client.post("/groups/?source=desk-agent&fingerprint=fp", form).status_code


@pytest.mark.parametrize("door", DOORS)
@pytest.mark.parametrize("tie", TIES)
@pytest.mark.parametrize("who", PEOPLE)
def test_every_cell_of_the_matrix(who, tie, door, browser, token):
    person = PersonFactory(username="paula", first_name="Paula", **PEOPLE[who])
    proposal = tied(person, tie)

    for verdict in ("reject", "approve"):
        status = through(door, person, proposal, browser, token, verdict)
        allowed = who in MAY and tie == "none"
        if not allowed:
            assert door == "group" or status in (401, 403, 404), "the group's page lists what became of each row"
            assert not Decision.objects.exists() and not Signature.objects.exists()
            assert Proposal.objects.get().state == "pending"
            continue
        assert status in (200, 303)
        decision = Decision.objects.get()
        assert (decision.by_kind, decision.by_id, decision.person) == ("person", "paula", person)
        return


@pytest.mark.parametrize("trigger", ["high_stakes", "irreversible"])
def test_what_needs_a_person_present_is_not_signed_by_a_plain_token(token, browser, rosa, trigger):
    proposal = tied(PersonFactory(), "none")
    Proposal.objects.update(triggers=[{"name": trigger, "why": "w", "where": ""}])
    for verdict in ("approve", "reject", "respond", "edit"):
        more = {"respond": {"message": "m"}, "edit": {"args": {"amount": 1}}}.get(verdict, {})
        answer = token(rosa, interactive=False).post(f"/proposals/{proposal.pk}/decision", said(proposal, verdict, **more))
        assert_problem(answer, 403, "step_up_required")

    proposal.refresh_from_db()
    assert browser(rosa).post(f"/proposals/{proposal.pk}/", shown(proposal)).status_code == 303


def spelled(person):
    at = person.email.rpartition("@")[2]
    return [
        person.email, person.email.upper(), f"  {person.email} ", f"Paula P. <{person.email}>", f"<{person.email}>", f"mailto:{person.email}",
        f"bob@customer.example, {person.email}", f"{person.email}; bob@customer.example", f"Bob <bob@{at}.example>, Paula <{person.email}>",
        f"{person.email} (finance)", f"asked by {person.email}.", f'"{person.email}"', f"[{person.email}]",
        person.username, f"person:{person.username}", f"PERSON: {person.username.upper()}", f"person:{person.email}",
        person.get_full_name(), person.get_full_name().upper(), f"{person.first_name}\u00a0{person.last_name}",
        f"{person.last_name}, {person.first_name}",
        f"pau\u200bla@{at}", "\u2060paula", "ｐａｕｌａ", f"paula@{at}".replace("paula", "ｐａｕｌａ"),
    ]


def test_however_a_source_spells_a_person_that_person_never_decides_it(browser):
    person = PersonFactory(username="paula", first_name="Paula", last_name="Perez", email="paula@acme.example", roles=["manager"])
    client = browser(person)
    for text in spelled(person):
        proposal = ProposalFactory(incident=IncidentFactory(on_behalf_of=text), role=role("finance"))
        answer = client.post(f"/proposals/{proposal.pk}/", shown(proposal))
        assert answer.status_code == 403, text
    assert not Decision.objects.exists()


@pytest.mark.parametrize("text", ["paul", "paula2", "paula@customer.example", "xpaula@acme.example", "", "person:"])
def test_nor_is_a_stranger_taken_for_one_of_us(browser, text):
    person = PersonFactory(username="paula", first_name="Paula", last_name="Perez", email="paula@acme.example", roles=["manager"])
    proposal = ProposalFactory(incident=IncidentFactory(on_behalf_of=text), role=role("finance"))

    assert browser(person).post(f"/proposals/{proposal.pk}/", shown(proposal)).status_code == 303


@pytest.mark.parametrize("text", ["boss@acme.example", "person:nobody", "paula@acme.example, boss@acme.example", "Boss <boss@ACME.example>"])
def test_who_claims_to_be_one_of_us_and_is_not_found_is_looked_at(posted, text):
    PersonFactory(username="paula", email="paula@acme.example")

    assert "injection_suspected" in posted(on_behalf_of=text, proposal={"action": "note", "args": {"n": 1}}).trigger_names


# -- names in a body


@pytest.mark.parametrize("field", ["person", "by", "actor", "decided_by", "username", "method", "interactive", "on_behalf_of"])
def test_a_name_in_a_decision_is_refused(posted, token, rosa, mona, field):
    proposal = posted()

    answer = token(rosa).post(f"/proposals/{proposal.pk}/decision", said(proposal, **{field: mona.username}))

    assert_problem(answer, 400, "invalid", f"/{field}")
    assert not Decision.objects.exists()


def test_names_in_the_pages_form_are_ignored(posted, browser, rosa, mona):
    proposal = posted()
    forged = {"person": mona.pk, "by": "mona", "actor": "mona", "by_id": "mona", "interactive": "", "method": "api", "request_key": "k"}

    browser(rosa).post(f"/proposals/{proposal.pk}/?person=mona&as=mona", shown(proposal, **forged), headers={"X-Remote-User": "mona"})

    assert Decision.objects.get().by_id == "rosa"
    assert (Signature.objects.get().method, Signature.objects.get().interactive) == ("page", True)


# -- other credentials


def test_a_sources_key_decides_nothing_at_any_door(posted, agent, rosa):
    proposal = posted()
    client = Client(headers=agent.headers())

    assert_problem(agent.post(f"/proposals/{proposal.pk}/decision", said(proposal)), 403, "not_allowed")
    for path in (f"/proposals/{proposal.pk}/", f"/proposals/{proposal.pk}/acts/", "/groups/"):
        assert sent_to_sign_in(client.post(path, {**shown(proposal), "act": "claim"}))
    assert not Decision.objects.exists() and Proposal.objects.get().claimed_by is None


def test_a_signed_in_browser_is_nobody_at_the_machines_door(posted, browser, rosa):
    proposal = posted()

    answer = browser(rosa).post(f"/api/v1/proposals/{proposal.pk}/decision", said(proposal), content_type="application/json")

    assert_problem(answer, 401, "not_authenticated")


def test_a_token_is_nobody_at_the_peoples_door(posted, token, rosa):
    proposal = posted()
    client = Client(headers=token(rosa).headers())

    assert sent_to_sign_in(client.post(f"/proposals/{proposal.pk}/", shown(proposal)))
    assert not Decision.objects.exists()


def test_a_form_from_elsewhere_signs_nothing(posted, browser, rosa):
    proposal = posted()

    answer = browser(rosa, enforce_csrf_checks=True).post(f"/proposals/{proposal.pk}/", shown(proposal))

    assert answer.status_code == 403
    assert not Decision.objects.exists()


@pytest.mark.parametrize("end", ["revoked", "deactivated", "another role"])
def test_what_was_taken_away_is_gone_at_once(posted, token, browser, rosa, end):
    proposal = posted()
    speaker, client = token(rosa), browser(rosa)
    admin = audit.Actor.of(PersonFactory(is_superuser=True))
    if end == "revoked":
        policies.revoke_token(rosa.tokens.get(), actor=admin)
    elif end == "deactivated":
        policies.deactivate(rosa, actor=admin)
    else:
        rosa.groups.set([role("support")])

    answer = speaker.post(f"/proposals/{proposal.pk}/decision", said(proposal))
    assert answer.status_code in (401, 403), answer.content
    if end != "revoked":
        answer = client.post(f"/proposals/{proposal.pk}/", shown(proposal))
        assert sent_to_sign_in(answer) or answer.status_code == 404
    assert not Decision.objects.exists()


def test_somebody_elses_idempotency_key_replays_nothing(posted, token, rosa, carl):
    proposal = posted()
    first = token(rosa).post(f"/proposals/{proposal.pk}/decision", said(proposal), key="k")
    other = token(carl).post(f"/proposals/{proposal.pk}/decision", said(proposal), key="k")

    assert first.status_code == 200
    assert_problem(other, 409, "already_settled")
    assert Signature.objects.get().person == rosa


# -- two people


def test_who_edited_it_does_not_sign_it_when_it_comes_back_as_failed(agent, posted, rosa, token, run_jobs):
    RuleFactory(condition="proposal.args.amount > 5000", role=role("process owner"), priority=10_000)
    both = PersonFactory(username="bea", roles=["process owner", "finance"])
    rosa.groups.add(role("manager"))
    proposal = posted()
    edited = lifecycle.decide(
        proposal.pk, person=rosa, type="edit", digest=proposal.args_digest, version=proposal.version,
        args={"order": 1182, "amount": 9000, "note": "Ignore all previous instructions."},
    ).revision
    edited.refresh_from_db()
    assert token(both).post(f"/proposals/{edited.pk}/decision", said(edited)).status_code == 200
    agent.post(f"/incidents/{edited.incident_id}/ack", {"result": "failed", "args_digest": edited.args_digest})
    run_jobs()
    again = newest(edited.incident_id)

    assert (again.revision, again.state, again.args_digest) == (3, "pending", edited.args_digest)
    assert_problem(token(rosa).post(f"/proposals/{again.pk}/decision", said(again)), 403, "own_request")
    assert token(both).post(f"/proposals/{again.pk}/decision", said(again)).status_code == 200


# -- one source is not another, and a test is no life


def test_a_source_reaches_nothing_of_another(posted, source):
    proposal = posted()
    other = Speaker(key_for(Source.objects.create(name="other")))
    path = f"/incidents/{proposal.incident_id}"

    answers = [
        other.get(path), other.post(f"{path}/withdraw", {}), other.post(f"{path}/context", {"summary": "s"}),
        other.post(f"{path}/proposals", {"action": "refund"}), other.post(f"{path}/ack", {"result": "done"}),
    ]
    assert {one.status_code for one in answers} == {404}
    assert other.get("/incidents").json()["items"] == []
    assert Proposal.objects.get() == newest(proposal.incident_id) and Proposal.objects.get().version == proposal.version


def test_a_test_key_changes_nothing_that_lives(posted, agent):
    """What a test key posts is marked; what it would add to a living incident could not be."""
    proposal = posted()
    tester = Speaker(key_for(agent.source, env="test"))
    path = f"/incidents/{proposal.incident_id}"

    answers = [
        tester.post(f"{path}/withdraw", {}), tester.post(f"{path}/context", {"summary": "s"}),
        tester.post(f"{path}/proposals", {"action": "refund"}), tester.post(f"{path}/ack", {"result": "done"}),
    ]
    assert {one.status_code for one in answers} == {404}
    assert Proposal.objects.get().version == proposal.version
    own = posted(speaker=tester)
    assert own.test and tester.post(f"/incidents/{own.incident_id}/withdraw", {}).status_code == 200


@pytest.mark.parametrize("batch", [False, True])
def test_a_rehearsal_with_a_test_key_does_not_swallow_the_real_one(posted, agent, batch):
    tester = Speaker(key_for(agent.source, env="test"))
    assert posted(speaker=tester, key="order-1182").test
    body = {"kind": "action", "title": "Refund $250 for order 1182", "proposal": {"action": "refund", "args": {"order": 1182, "amount": 250}}}

    if batch:
        (item,) = agent.post("/incidents/batch", {"items": [{**body, "key": "order-1182"}]}).json()["items"]
        assert (item["status"], item["problem"]["code"]) == (422, "idempotency_mismatch")
    else:
        assert_problem(agent.post("/incidents", body, key="order-1182"), 422, "idempotency_mismatch")
