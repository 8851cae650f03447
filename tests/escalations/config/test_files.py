"""The configuration goes into a file and comes back: all or nothing, in words, and what lowers a floor waits for somebody else."""

import io
import json

import pytest
import yaml
from django.core.management import CommandError, call_command

from escalations import audit, config, policies
from escalations.models import (
    AuditEntry,
    Calendar,
    Category,
    Change,
    EscalationPolicy,
    Person,
    Role,
    RoutingRule,
    Source,
    Trigger,
)
from escalations.states import ChangeState, RuleState
from tests.factories import PersonFactory

pytestmark = pytest.mark.django_db


@pytest.fixture
def ada():
    return PersonFactory(username="ada", is_staff=True)


@pytest.fixture
def bob():
    return PersonFactory(username="bob", is_staff=True)


def take(text, person, **options):
    return config.take(("countersign: 1\n" + text).encode(), person=person, **options)


def told(done):
    return "\n".join(line for one in done for line in one.lines())


def document():
    return yaml.safe_load(config.as_it_stands())


# -- export


def test_the_file_has_every_section_in_one_order_and_is_the_same_twice():
    text = config.as_it_stands()
    assert text == config.as_it_stands()
    found = document()
    assert list(found) == ["countersign", "roles", "calendars", "policies", "categories", "triggers", "sources", "rules"]
    assert list(found["roles"]) == sorted(found["roles"])
    priorities = [rule["priority"] for rule in found["rules"].values()]
    assert priorities == sorted(priorities, reverse=True)
    assert found["policies"]["standard"] == {
        "description": found["policies"]["standard"]["description"], "default": True,
        "steps": [{"role": "manager", "after": "4h", "repeat": 1}], "expires_after": "12h", "fallback": "reject", "valid_for": "1d",
        "undo_seconds": 0, "quorum": 1, "calendar": None, "chat_up_to": "",
    }  # fmt: skip


def test_the_file_has_no_secrets_no_people_and_nothing_archived(ada):
    source = Source(name="billing-agent", owner=ada, callback_url="https://example.com/hook?token=hush")
    secret = policies.save_source(source, actor=audit.SYSTEM)
    key = policies.issue_key(source, env="live", actor=audit.SYSTEM)
    PersonFactory(username="zoe", email="zoe@example.com")
    RoutingRule.objects.filter(name="Deletions").update(state=RuleState.ARCHIVED)

    text = config.as_it_stands()

    assert "owner: ada" in text and "zoe@" not in text and "Deletions" not in text
    assert "hush" not in text and "the callback_url of billing-agent" in text
    assert secret not in text and key.text not in text and key.key_id not in text


def test_the_command_writes_it_and_leaves_an_entry(tmp_path):
    out = io.StringIO()
    call_command("export_config", stdout=out)
    call_command("export_config", output=str(tmp_path / "countersign.yaml"))
    assert out.getvalue() == config.as_it_stands() == (tmp_path / "countersign.yaml").read_text()
    assert AuditEntry.objects.filter(action="config.exported").count() == 2
    with pytest.raises(CommandError, match="cannot be written"):
        call_command("export_config", output=str(tmp_path / "not" / "there"))


@pytest.mark.parametrize("size", [1, 20])
def test_an_export_costs_the_same_however_much_there_is(size, django_assert_num_queries):
    for number in range(size):
        role = Role.objects.create(name=f"role {number}")
        policies.save_calendar(
            Calendar(name=f"c {number}", hours={"mon": [["09:00", "17:00"]]}), days=[], actor=audit.SYSTEM
        )
        policy = EscalationPolicy(name=f"p {number}")
        policies.save_policy(policy, steps=[policies.Step(role, policy.expires_after / 2)], actor=audit.SYSTEM)
        Source.objects.create(name=f"s-{number}", owner=PersonFactory(), callback_url="https://example.com/?x")
    # roles; calendars, holidays; policies, steps with roles; categories; triggers; sources; rules; callbacks with a query
    with django_assert_num_queries(11):
        config.as_it_stands()


# -- import


def test_what_was_exported_changes_nothing(ada):
    assert config.take(config.as_it_stands().encode(), person=ada) == []
    assert not AuditEntry.objects.filter(action="config.imported").exists()


def test_a_retuned_file_is_applied_by_the_verbs_and_told_in_words(ada):
    done = take(
        """
roles:
  treasury:
    description: Large sums.
    notify_email: treasury@example.com
calendars:
  vienna:
    time_zone: Europe/Vienna
    hours: {mon: "09:00-12:00, 13:00-17:00", fri: 09:00-15:00}
    holidays: {2030-12-24: Closed}
policies:
  slow:
    steps:
      - {role: treasury, after: 90m}
      - {role: manager, after: 4h, repeat: 1}
    expires_after: 1d
    undo_seconds: 20
    calendar: vienna
categories:
  refund: {role: treasury, reject_reasons: [Paid already, Not theirs]}
triggers:
  high_stakes: {role: treasury, policy: slow, settings: {money_limit: 50}}
sources:
  billing-agent: {owner: ada, known_irreversible: [refund]}
rules:
  Refunds over 100:
    priority: 710
    role: treasury
  Large transfers:
    condition: incident.kind == "action" && proposal.args.amount > 5000
    role: treasury
    state: shadow
""",
        ada,
    )

    rule = RoutingRule.objects.get(name="Refunds over 100")
    assert (rule.priority, rule.role.name, rule.version) == (710, "treasury", 2)
    assert rule.versions.first().why == "Import of the configuration."
    assert RoutingRule.objects.get(name="Large transfers").state == RuleState.SHADOW
    policy = EscalationPolicy.objects.get(name="slow")
    assert [(step.role.name, str(step.after), step.repeat) for step in policy.steps.all()] == [
        ("treasury", "1:30:00", 0), ("manager", "4:00:00", 1),
    ]  # fmt: skip
    assert policy.undo_seconds == 20 and policy.calendar.hours["fri"] == [["09:00", "15:00"]]
    assert Category.objects.get(name="refund").reject_reasons == ["Paid already", "Not theirs"]
    assert Source.objects.get(name="billing-agent").owner == ada
    text = told(done)
    assert "rule “Refunds over 100” changes\n  priority: 700 becomes 710\n  role: finance becomes treasury" in text
    assert "role “treasury” is new" in text and "policy “slow” is new" in text
    entry = AuditEntry.objects.filter(action="config.imported").get()
    assert entry.actor == "ada" and json.loads(entry.body)["facts"]["changed"] == len(done)
    assert AuditEntry.objects.filter(action="rule.saved", actor="ada").count() == 2


def test_taken_again_it_changes_nothing_more(ada):
    text = "rules: {Refunds over 100: {priority: 710}}\ncalendars: {c: {hours: {mon: 09:00-10:00}, country: AT}}\n"
    assert len(take(text, ada)) == 2
    assert take(text, ada) == []


def test_a_rehearsal_tells_the_same_and_changes_nothing(ada):
    before, entries = config.as_it_stands(), AuditEntry.objects.count()
    text = "roles: {treasury: {}}\nrules: {Refunds over 100: {role: treasury}}\n"

    rehearsed = take(text, ada, rehearse=True)

    assert config.as_it_stands() == before and AuditEntry.objects.count() == entries
    assert told(rehearsed) == told(take(text, ada))


def test_what_lets_the_machine_do_more_waits_for_a_second_administrator(ada, bob):
    text = """
triggers:
  high_stakes: {settings: {money_limit: 5000}}
rules:
  Small refunds:
    condition: incident.kind == "action" && proposal.action == "refund" && proposal.args.amount <= 20
    floor: auto
    state: live
  Deletions: {state: archived}
"""
    done = take(text, ada)

    assert all(one.waits for one in done) and len(done) == 3
    assert told(done).count(": waits for a second administrator") == 3
    assert "a second administrator has to confirm this:" in told(done)
    assert RoutingRule.objects.get(name="Small refunds").state == RuleState.DRAFT
    assert RoutingRule.objects.get(name="Deletions").state == RuleState.LIVE
    assert Trigger.objects.get(name="high_stakes").settings["money_limit"] == 100

    again = take(text, ada)
    assert {one.act for one in again} == {"stays"} and "asked by" in told(again)
    assert Change.objects.count() == 3

    for change in Change.objects.filter(state=ChangeState.WAITING):
        policies.confirm_change(change, person=bob)
    assert RoutingRule.objects.get(name="Small refunds").state == RuleState.LIVE
    assert take(text, ada) == []


def test_a_source_that_would_be_believed_more_waits_and_a_stricter_one_does_not(ada):
    take("sources: {shop: {authoritative_paths: [customer.tier], known_irreversible: [refund]}}", ada)
    rule = RoutingRule(name="Gold", floor="auto", condition='incident.kind == "action" && customer.tier == "gold"', state=RuleState.LIVE)
    policies.save_rule(rule, actor=audit.SYSTEM)
    done = take("sources: {agent: {authoritative_paths: [customer.tier]}, shop: {known_irreversible: []}}", ada)
    assert [one.waits for one in done] == [True, True]
    assert Source.objects.get(name="shop").known_irreversible == ["refund"]
    assert not take("sources: {shop: {known_irreversible: [refund, wire]}}", ada)[0].waits


def test_a_yes_without_anybody_is_asked_for_and_not_in_force(ada):
    text = "policies: {lenient: {fallback: approve, steps: [{role: manager, after: 1h}]}}"
    done = take(text, ada)
    assert done[0].waits
    policy = EscalationPolicy.objects.get(name="lenient")
    assert policies.effective_fallback(policy) == "reject" and policy.approve_asked_by == ada


@pytest.mark.parametrize(
    ("text", "line", "says"),
    [
        ("rules:\n  Refunds over 100:\n    prority: 1\n", 4, "prority: This is not known here"),
        ("ruls: {}\n", 2, "the sections are"),
        ("rules:\n  Refunds over 100:\n    priority: high\n", 4, "a whole number"),
        ("rules:\n  Refunds over 100:\n    floor: maybe\n", 4, "one of auto, review, block"),
        ("rules:\n  Refunds over 100:\n    why: 1.10\n", 4, "in quotes"),
        ("rules:\n  Refunds over 100:\n    role: nobody\n", 4, "There is no role called “nobody”"),
        ("rules:\n  Refunds over 100:\n\n    condition: incident.kind ==\n", 5, "condition"),
        ("rules:\n  Mine:\n    floor: review\n", 3, "needs condition"),
        ("rules:\n  ' ':\n    floor: review\n", 3, "no name"),
        ("rules:\n  REFUNDS OVER 100:\n    condition: 'true'\n", 3, "Another rule has this name"),
        ("rules: [a]\n", 2, "a mapping"),
        ("rules:\n  Refunds over 100: 3\n", 3, "a mapping"),
        ("triggers:\n  mine: {}\n", 3, "no such trigger"),
        ("triggers:\n  high_stakes:\n    settings:\n      money: 3\n", 4, "not a setting"),
        ("triggers:\n  user_request:\n    enabled: false\n", 4, "cannot be turned off"),
        ("triggers:\n  high_stakes:\n    enabled: no\n", 4, "true or false"),
        ("triggers:\n  high_stakes:\n    role:\n", 4, "names the role"),
        ("policies:\n  standard:\n    default: false\n", 4, "there is always one"),
        ("policies:\n  standard:\n    expires_after: 12\n", 4, "a duration like"),
        ("policies:\n  standard:\n    quorum: 9\n", 4, "less than or equal to 5"),
        ("policies:\n  x:\n    steps:\n      - {role: manager}\n", 5, "A step names"),
        ("policies:\n  x:\n    steps:\n      - {role: ghosts, after: 1h}\n", 4, "no role called “ghosts”"),
        ("calendars:\n  x: {}\n", 3, "needs hours"),
        ("calendars:\n  x:\n    hours: {}\n", 4, ""),
        ("calendars:\n  x:\n    time_zone: Mars/Base\n    hours: {mon: 09:00-10:00}\n", 4, "time zone"),
        ("calendars:\n  x:\n    hours: {mon: 09:00-10:00, MON: 09:00-10:00}\n", 4, "no day"),
        ("sources:\n  two words: {}\n", 3, "slug"),
        ("sources:\n  s:\n    owner: ghost\n", 4, "Nobody signs in"),
        ("sources:\n  s:\n    callback_url: http://example.com\n", 4, "https"),
        ("sources:\n  s:\n    authoritative_paths: [args.amount]\n", 4, ""),
        ("roles:\n  manager:\n    decides_everything: false\n", 4, "Late work"),
        ("roles:\n  manager:\n    clearance: [all]\n", 4, "none of"),
        ("categories:\n  refund:\n    role: 7\n", 4, "in quotes"),
    ],
)  # fmt: skip
def test_what_is_wrong_is_refused_with_its_line_and_nothing_is_written(ada, text, line, says):
    before, entries = config.as_it_stands(), AuditEntry.objects.count()
    with pytest.raises(config.Refused) as refused:
        take(text, ada)
    first = refused.value.problems[0]
    assert (first.line, says in str(first)) == (line, True), str(first)
    assert config.as_it_stands() == before and AuditEntry.objects.count() == entries


def test_all_problems_are_told_at_once_in_the_order_of_their_lines(ada):
    with pytest.raises(config.Refused) as refused:
        take("rules:\n  A:\n    condition: '1'\n    role: ghosts\n  B:\n    condition: proposal.args.x ==\ncategories:\n  new one: {}\n", ada)
    assert [problem.line for problem in refused.value.problems] == [5, 7, 9]


def test_one_wrong_thing_keeps_everything_else_out(ada):
    with pytest.raises(config.Refused):
        take("roles: {treasury: {}}\nrules: {Refunds over 100: {role: ghosts}}", ada)
    assert not Role.objects.filter(name="treasury").exists()


@pytest.mark.parametrize("text", ["", "a: 1", "countersign: 2", "countersign: true", "[]", "countersign: 1\nrules: &a {}\nx: *a"])
def test_what_is_no_configuration_is_refused(ada, text):
    with pytest.raises(config.Refused):
        config.take(text.encode(), person=ada)


def test_another_policy_becomes_the_default_in_one_file(ada):
    done = take("policies:\n  standard: {default: false}\n  other: {default: true, steps: [{role: manager, after: 1h}]}\n", ada)
    assert EscalationPolicy.objects.get(is_default=True).name == "other"
    assert [one.name for one in done] == ["other"]  # the other one lost it to this one


def test_an_archived_policy_does_not_come_back_under_its_name(ada):
    policy = EscalationPolicy(name="old")
    policies.save_policy(policy, steps=[], actor=audit.SYSTEM)
    policies.archive_policy(policy, actor=audit.SYSTEM)
    with pytest.raises(config.Refused, match="archived"):
        take("policies: {old: {undo_seconds: 3}}", ada)


def test_absent_things_stay_unless_asked_to_be_put_away(ada, bob):
    policies.save_policy(EscalationPolicy(name="unused"), steps=[], actor=audit.SYSTEM)
    policies.save_source(Source(name="old-agent"), actor=audit.SYSTEM)
    rule = RoutingRule(name="draft", condition="true", state=RuleState.DRAFT)
    policies.save_rule(rule, actor=audit.SYSTEM)
    text = "policies: {standard: {}}\nrules: {Deletions: {}}\n"
    assert take(text, ada) == []

    done = take(text, ada, archive_missing=True)

    acts = {(one.section, one.name): one for one in done}
    assert acts["policy", "unused"].act == "put away" and not acts["policy", "unused"].waits
    assert acts["rule", "Refunds over 100"].waits
    rule.refresh_from_db()
    assert rule.state == RuleState.ARCHIVED
    assert ("source", "old-agent") not in acts  # the file has no sources: it says nothing of them
    assert take("sources: {}", ada, archive_missing=True)[0].act == "put away"
    assert Source.objects.get(name="old-agent").disabled_at is not None
    assert take("sources: {}", ada, archive_missing=True) == []


def test_what_something_still_names_stays_and_that_is_said(ada):
    policies.save_policy(EscalationPolicy(name="used"), steps=[], actor=audit.SYSTEM)
    take("rules: {Deletions: {policy: used}}", ada)
    done = take("policies: {standard: {}}", ada, archive_missing=True)
    assert [one.act for one in done] == ["stays"] and "Still named by: Deletions" in told(done)


# -- the command


def test_the_command_tells_and_says_by_its_code_whether_something_would_change(ada, tmp_path):
    file = tmp_path / "countersign.yaml"
    file.write_text("countersign: 1\nrules: {Refunds over 100: {priority: 710}}\n")
    out = io.StringIO()

    with pytest.raises(SystemExit) as would:
        call_command("import_config", str(file), "--by", "ada", "--dry-run", stdout=out)
    assert would.value.code == 2 and "priority: 700 becomes 710" in out.getvalue() and "Nothing was changed." in out.getvalue()
    assert RoutingRule.objects.get(name="Refunds over 100").priority == 700

    call_command("import_config", str(file), "--by", "ada", stdout=out)
    assert RoutingRule.objects.get(name="Refunds over 100").priority == 710

    out = io.StringIO()
    call_command("import_config", str(file), "--by", "ada", "--dry-run", stdout=out)  # no exit code
    assert out.getvalue() == "Everything stands as the file says.\n"


@pytest.mark.parametrize("username", ["nobody", "rosa", "gone"])
def test_only_an_active_administrator_may_answer_for_an_import(username, tmp_path):
    PersonFactory(username="rosa")
    PersonFactory(username="gone", is_staff=True, is_active=False)
    assert Person.objects.filter(username="rosa").exists()
    with pytest.raises(CommandError, match="No active administrator"):
        call_command("import_config", str(tmp_path / "x"), "--by", username)


def test_a_refusal_names_the_lines_and_a_missing_file_is_told(ada, tmp_path):
    file = tmp_path / "countersign.yaml"
    file.write_text("countersign: 1\nrules:\n  Refunds over 100: {priority: x}\n")
    with pytest.raises(CommandError, match="(?s)Nothing was changed.*line 3: rule “Refunds over 100”, priority: This is a whole number"):
        call_command("import_config", str(file), "--by", "ada")
    with pytest.raises(CommandError, match="cannot be read"):
        call_command("import_config", str(tmp_path / "not there"), "--by", "ada")
