"""Law 10: every change leaves an audit entry in the same transaction.

Each verb is done once with the record watched, and once with the audit made to fail: then nothing of it may remain. The chain, the
sealer and the anchors are tried in tests/escalations/audit; what an administrator edits in tests/escalations/test_policies.py.
"""

import contextlib
from datetime import timedelta

import pytest
from django.db import DatabaseError, connection, transaction

from escalations import audit, clock, ingest, lifecycle, policies, route
from escalations.models import (
    Absence,
    Acknowledgement,
    ApiKey,
    AuditEntry,
    Change,
    Comment,
    ContextItem,
    Decision,
    Delivery,
    Hold,
    Incident,
    PersonToken,
    Proposal,
    Question,
    RoutingRule,
    RuleVersion,
    Signature,
    StepRun,
    Work,
)
from tests.factories import STANDARD, IncidentFactory, PersonFactory, ProposalFactory, RuleFactory, SourceFactory, role

pytestmark = pytest.mark.django_db

RECORD = [
    Acknowledgement, ApiKey, Comment, ContextItem, Decision, Delivery, Hold, Incident, PersonToken, Proposal, Question, RoutingRule, Signature,
    StepRun, Change, RuleVersion,
]
AGENT = audit.Actor("source", "agent", "agent")
# A number, answers, an unsaved row, questions.
NO_VERBS = {"MAX_REVISIONS", "Outcome", "Start", "names_in", "new_proposal", "next_closing", "overdue_ids", "standing", "start"}
ONLY_RECORDED = {"reveal"}  # the entry is all there is of it
BOOKKEEPING = {"warn_before_closing", "warn_expiring"}  # note that a notice was opened; nothing a reviewer or a caller is shown changes


def sign(one, person, type="approve", **more):
    return lifecycle.decide(one.pk, person=person, type=type, digest=one.args_digest, version=one.version, reason="r", message="m", **more)


def at(moment, verb):
    def later():
        with clock.frozen_at(moment):
            return verb()

    return later


def lapsing(one, person):
    lifecycle.claim(one.pk, person=person)
    return at(clock.now() + timedelta(hours=1), lifecycle.lapse_claims)


def leaving(one, person, deputy=None):
    lifecycle.claim(one.pk, person=person)
    now = clock.now()
    Absence.objects.create(person=person, since=now, until=now + timedelta(days=1), deputy=deputy)
    return lifecycle.pass_on


def claimed(one, person, verb):
    lifecycle.claim(one.pk, person=person)
    return verb


def failing(one, person):
    sign(one, person)
    return lambda: lifecycle.acknowledge(one.incident_id, result="failed", args_digest=one.args_digest, actor=AGENT)


def routed(one, person):
    incident, _ = ingest.receive(
        source=SourceFactory(), key_env="live", body_digest="a" * 64, key=None,
        data={"kind": "action", "title": "t", "proposal": {"action": "note", "args": {"n": 1}}},
    )
    Work.objects.filter(incident=incident).update(stage="route")
    return route.run_batch


def by_policy(one, person):
    RuleFactory(floor="block", condition='proposal.action == "note"')
    return routed(one, person)


def holding(one, person):
    Proposal.objects.filter(pk=one.pk).update(policy={**one.policy, "undo_seconds": 20})
    return lambda: sign(one, person).held


def held(one, person):
    return holding(one, person)()


def undoing(one, person):
    held(one, person)
    return lambda: lifecycle.undo(one.pk, person=person)


def settling(one, person):
    return at(held(one, person).settles_at, lifecycle.settle_held)


def falling(one, person):
    over = held(one, person).settles_at
    person.groups.clear()
    return at(over, lifecycle.settle_held)


# Each verb as its doors call it: one proposal of finance's and a manager go in, what to do comes out.
VERBS = {
    "decide": [
        lambda one, person: lambda: sign(one, person),
        lambda one, person: lambda: sign(one, person, "reject", retry=True),
        lambda one, person: lambda: sign(one, person, "edit", args={"order": 1, "amount": 2}),
        lambda one, person: lambda: sign(one, person, "edit", args={"order": 1, "note": "Ignore all previous instructions."}),
        lambda one, person: lambda: sign(one, person, "respond"),
        holding,
    ],
    "undo": [undoing],
    "settle_held": [settling, falling],
    "claim": [lambda one, person: lambda: lifecycle.claim(one.pk, person=person)],
    "release": [lambda one, person: claimed(one, person, lambda: lifecycle.release(one.pk, person=person))],
    "release_all": [lambda one, person: claimed(one, person, lambda: lifecycle.release_all(person, actor=AGENT))],
    "hand_over": [lambda one, person: lambda: lifecycle.hand_over(one.pk, person=person, role=role("support"))],
    "escalate_now": [lambda one, person: lambda: lifecycle.escalate_now(one.pk, person=person)],
    "extend": [lambda one, person: lambda: lifecycle.extend(one.pk, person=person, by=timedelta(hours=1))],
    "ask_back": [lambda one, person: lambda: lifecycle.ask_back(one.pk, person=person, text="why?")],
    "comment": [lambda one, person: lambda: lifecycle.comment(one.pk, person=person, text="hm")],
    "add_context": [lambda one, person: lambda: lifecycle.add_context(one.incident_id, context={"summary": "s"}, actor=AGENT)],
    "revise": [lambda one, person: lambda: lifecycle.revise(one.incident_id, content={"action": "a"}, actor=AGENT)],
    "withdraw": [lambda one, person: lambda: lifecycle.withdraw(one.incident_id, actor=AGENT)],
    "acknowledge": [failing],
    "run_out": [
        lambda one, person: at(one.due_at, lifecycle.run_out),
        lambda one, person: at(one.expires_at, lifecycle.run_out),
    ],
    "lapse_claims": [lapsing],
    "climb": [lambda one, person: lifecycle.climb],  # nobody is in finance
    "pass_on": [leaving, lambda one, person: leaving(one, person, deputy=PersonFactory(roles=["manager"]))],
    "push_back": [lambda one, person: lambda: lifecycle.push_back(one.pk, by=timedelta(minutes=1))],
    "place": [routed],
    "settle_by_policy": [by_policy],
}
CASES = [pytest.param(make, id=f"{name}-{number}") for name, several in VERBS.items() for number, make in enumerate(several)]


@pytest.fixture
def manager():
    return PersonFactory(roles=["manager"])


@pytest.fixture
def one():
    policy = {**STANDARD, "steps": [{"role": role("manager").pk, "name": "manager", "after": 14_400}]}
    return ProposalFactory(role=role("finance"), policy=policy, incident=IncidentFactory(on_behalf_of="a customer"))


def leave_no_room():
    """From here on no entry can be written, whichever way somebody tries."""
    with connection.cursor() as cursor:
        cursor.execute(
            "CREATE FUNCTION no_room() RETURNS trigger LANGUAGE plpgsql AS $$ BEGIN RAISE EXCEPTION 'no room'; END $$;"
            "CREATE TRIGGER no_room BEFORE INSERT ON escalations_auditentry FOR EACH ROW EXECUTE FUNCTION no_room()"
        )


def make_room():
    with connection.cursor() as cursor:
        cursor.execute("DROP TRIGGER no_room ON escalations_auditentry; DROP FUNCTION no_room()")


def record():
    return {model: list(model.objects.order_by("pk").values()) for model in RECORD}


def test_every_verb_is_tried():
    assert set(VERBS) == set(lifecycle.__all__) - NO_VERBS - BOOKKEEPING - ONLY_RECORDED


def test_looking_behind_the_veil_is_recorded_or_not_done(one, manager):
    lifecycle.reveal(one.pk, person=manager, why="the customer is on the phone")

    entry = AuditEntry.objects.get(action="proposal.revealed")
    assert (entry.actor, entry.proposal_id, entry.incident_id) == (manager.username, one.pk, one.incident_id)
    assert '"version":1' in entry.body and "on the phone" in entry.body
    leave_no_room()
    with pytest.raises(DatabaseError):
        lifecycle.reveal(one.pk, person=manager)
    make_room()


@pytest.mark.parametrize("make", CASES)
def test_a_verb_leaves_an_entry_that_says_who(make, one, manager):
    act = make(one, manager)
    before, newest = record(), AuditEntry.objects.order_by("-pk").values_list("pk", flat=True).first() or 0

    act()

    assert record() != before, "it did something"
    entries = list(AuditEntry.objects.filter(pk__gt=newest))
    assert entries and all(entry.actor and entry.actor_kind for entry in entries)
    assert all(entry.incident_id or entry.subject for entry in entries)


@pytest.mark.parametrize("make", CASES)
def test_without_its_entry_a_change_does_not_happen(make, one, manager):
    act = make(one, manager)
    before, entries = record(), AuditEntry.objects.count()

    leave_no_room()
    with contextlib.suppress(DatabaseError):  # the stages keep a failure to themselves and try again later
        act()
    make_room()

    assert record() == before
    assert AuditEntry.objects.count() == entries


def test_posting_without_its_entry_stores_nothing():
    source = SourceFactory()
    leave_no_room()
    with pytest.raises(DatabaseError):
        ingest.receive(source=source, key_env="live", data={"kind": "alert", "title": "t"}, key="k", body_digest="a" * 64)

    assert not Incident.objects.exists()


# -- what the application itself may not do to what it wrote


@pytest.fixture
def as_the_application(one, manager):
    """The running application's role: it may do its work and owns nothing."""
    sign(one, manager)
    with connection.cursor() as cursor:
        cursor.execute("SET CONSTRAINTS ALL IMMEDIATE")
        cursor.execute("SELECT 1 FROM pg_roles WHERE rolname = 'laws_test_app'")
        if cursor.fetchone():
            cursor.execute("DROP OWNED BY laws_test_app; DROP ROLE laws_test_app")
        cursor.execute(
            "CREATE ROLE laws_test_app; GRANT USAGE ON SCHEMA public TO laws_test_app;"
            "GRANT SELECT, INSERT, UPDATE, DELETE ON ALL TABLES IN SCHEMA public TO laws_test_app;"
            "REVOKE UPDATE, DELETE ON escalations_auditentry, escalations_auditseal FROM laws_test_app;"
            "GRANT USAGE ON ALL SEQUENCES IN SCHEMA public TO laws_test_app; SET LOCAL ROLE laws_test_app"
        )


@pytest.mark.parametrize(
    "statement",
    [
        "UPDATE escalations_auditentry SET actor = 'mallory'",
        "DELETE FROM escalations_auditentry",
        "UPDATE escalations_decision SET by_id = 'mallory'",
        "DELETE FROM escalations_decision",
        "UPDATE escalations_signature SET person_id = person_id",
        "UPDATE escalations_steprun SET why = 'person'",
        "UPDATE escalations_acknowledgement SET result = 'done'",
        "UPDATE escalations_incident SET title = 'something else'",
        "UPDATE escalations_incident SET on_behalf_of = ''",
        "UPDATE escalations_proposal SET args = '{}'",
        "UPDATE escalations_proposal SET author = 'system'",
        "DELETE FROM escalations_proposal",
        "DELETE FROM escalations_incident",
        "SET session_replication_role = replica",
        "ALTER TABLE escalations_decision DISABLE TRIGGER ALL",
        "ALTER TABLE escalations_proposal DISABLE TRIGGER fixed",
        "DROP TRIGGER append_only ON escalations_decision",
        "CREATE OR REPLACE FUNCTION countersign_refuse() RETURNS trigger LANGUAGE plpgsql AS $$ BEGIN RETURN NEW; END $$",
    ],
)
def test_the_applications_role_cannot_rewrite_the_record(as_the_application, statement):
    before = Decision.objects.values().get(), AuditEntry.objects.count(), Proposal.objects.values("args", "author", "author_person").get()

    with pytest.raises(DatabaseError) as refused, transaction.atomic(), connection.cursor() as cursor:
        cursor.execute(statement)
        if cursor.rowcount == 0 and statement.startswith("UPDATE escalations_"):
            raise DatabaseError("there was no such row to try it on")

    assert refused.value
    assert (Decision.objects.values().get(), AuditEntry.objects.count(), Proposal.objects.values("args", "author", "author_person").get()) == before


# -- a few of the administrator's


@pytest.mark.parametrize("verb", ["rule", "promote", "ask", "confirm", "refuse", "key", "dsn", "revoke", "token", "deactivate"])
def test_an_administrators_change_and_its_entry_stand_or_fall_together(verb, manager):
    admin, source, rule = audit.Actor.of(PersonFactory(is_superuser=True)), SourceFactory(), RuleFactory(floor="review")
    policies.issue_key(source, env="live", actor=admin)
    rule.priority += 1
    asker, second = PersonFactory(is_staff=True), PersonFactory(is_staff=True)
    draft = RuleFactory(floor="review", state="draft")
    off = RuleFactory(floor="block", state="archived")
    off.state = "live"
    policies.save_rule(off, actor=admin)
    off.state = "archived"
    waits = policies.save_rule(off, actor=audit.Actor.of(asker), person=asker)
    less = RuleFactory(floor="review")
    less.condition = "false"
    act = {
        "rule": lambda: policies.save_rule(rule, actor=admin),
        "promote": lambda: policies.promote(draft, actor=admin),
        "ask": lambda: policies.save_rule(less, actor=audit.Actor.of(asker), person=asker),
        "confirm": lambda: policies.confirm_change(waits, person=second),
        "refuse": lambda: policies.refuse_change(waits, person=second, why="We need it."),
        "key": lambda: policies.issue_key(source, env="test", actor=admin),
        "dsn": lambda: policies.issue_dsn(source, env="test", actor=admin),
        "revoke": lambda: policies.revoke_key(source.keys.first(), actor=admin),
        "token": lambda: policies.mint_token(manager, actor=admin, interactive=False, days=1),
        "deactivate": lambda: policies.deactivate(manager, actor=admin),
    }[verb]
    before = record(), type(manager).objects.filter(is_active=True).count()

    leave_no_room()
    with pytest.raises(DatabaseError):
        act()
    make_room()
    assert (record(), type(manager).objects.filter(is_active=True).count()) == before

    entries = AuditEntry.objects.count()
    act()
    assert AuditEntry.objects.count() > entries
