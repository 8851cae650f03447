"""Nothing configured may silently do nothing: each way of doing so is found, named, and no longer named once it is mended."""

import io
import json
from datetime import timedelta

import pytest
from django.core.management import call_command

from escalations import audit, clock, policies, upkeep
from escalations.models import (
    Absence,
    Calendar,
    Change,
    Channel,
    ClassifierVersion,
    EscalationPolicy,
    Heartbeat,
    Holiday,
    Lane,
    LaneGrant,
    MuteWindow,
    Role,
    RoutingRule,
    SlackWorkspace,
    Source,
    Stop,
    Trigger,
)
from escalations.states import RuleState
from escalations.timers.loop import Timers
from tests.factories import ApiKeyFactory, PersonFactory, SourceFactory, role

pytestmark = pytest.mark.django_db

LONG_AGO = timedelta(days=40)


@pytest.fixture
def staffed(settings):
    """Everything is as it should be: each role has a member, there are two administrators, and mail goes out."""
    settings.EMAIL_BACKEND = "django.core.mail.backends.smtp.EmailBackend"
    people = [PersonFactory(roles=[one.name], is_staff=number < 2) for number, one in enumerate(Role.objects.order_by("pk"))]
    RoutingRule.objects.update(changed_at=clock.now())
    return people


def names():
    return [one.name for one in upkeep.findings()]


def only(name):
    found = [one for one in upkeep.findings() if one.name == name]
    assert len(found) == 1, names()
    return found[0]


def test_a_company_that_works_has_nothing_to_mend(staffed):
    assert upkeep.findings() == []


def test_a_role_that_is_asked_and_has_nobody_is_named_with_what_asks_it(staffed):
    finance = role("finance")
    finance.user_set.clear()
    one = only("role without people")
    assert one.grave and (one.model, one.pk) == ("role", str(finance.pk))
    assert "“finance”" in one.what and "rule “Refunds over 100”" in one.what and "trigger high_stakes" in one.what

    finance.user_set.add(PersonFactory(is_active=False))
    assert names() == ["role without people"]
    finance.user_set.add(PersonFactory())
    assert names() == []


def test_categories_and_triggers_that_point_to_an_empty_role_are_named(staffed):
    nobody = Role.objects.create(name="nobody")
    Trigger.objects.filter(name="unfamiliar").update(role=nobody)
    policies.save_category(_category("refund", nobody), actor=audit.SYSTEM)
    what = only("role without people").what
    assert "trigger unfamiliar" in what and "category refund" in what
    Trigger.objects.filter(name="unfamiliar").update(enabled=False)
    assert "trigger" not in only("role without people").what


def _category(name, asked):
    category = policies.rules.Category.objects.get(name=name)
    category.role = asked
    return category


def test_a_policy_whose_steps_ask_nobody_is_named(staffed):
    role("manager").user_set.clear()
    found = {one.name: one for one in upkeep.findings()}
    assert found["policy without people"].what == "Policy “standard” asks manager, where nobody active is."
    assert found["policy without people"].grave


def test_a_role_whose_people_are_all_away_is_named_and_a_deputy_who_is_away_too(staffed):
    person = role("finance").user_set.get()
    now = clock.now()
    away = {"since": now - timedelta(hours=1), "until": now + timedelta(hours=1)}
    Absence.objects.create(person=person, **away)
    assert names() == ["role away"]
    other = role("support").user_set.get()
    Absence.objects.create(person=other, deputy=person, **away)
    assert sorted(names()) == ["deputy is away too", "role away", "role away"]


def test_a_role_nobody_can_be_told_about_is_named_until_there_is_a_way(staffed):
    finance = role("finance")
    finance.user_set.update(email="")
    assert only("role nobody can be told about").grave
    Role.objects.filter(pk=finance.pk).update(notify_email="money@example.com")
    assert names() == []
    Role.objects.filter(pk=finance.pk).update(notify_email="")
    Channel.objects.create(role=finance, sealed=b"x", label="ntfy://example.com")
    assert names() == []


def test_a_rule_that_matched_nothing_in_thirty_days_is_named_and_younger_ones_are_not(staffed):
    now = clock.now()
    RoutingRule.objects.filter(name="Deletions").update(changed_at=now - LONG_AGO)
    RoutingRule.objects.filter(name="Complaints").update(changed_at=now - LONG_AGO, matched_at=now - timedelta(days=29))
    RoutingRule.objects.filter(name="Bulk updates").update(changed_at=now - LONG_AGO, state=RuleState.DRAFT)
    assert "“Deletions”" in only("rule never matches").what
    RoutingRule.objects.filter(name="Deletions").update(matched_at=now - timedelta(days=31))
    assert "last on" in only("rule never matches").what


def test_an_auto_rule_whose_path_no_source_marks_lets_nothing_go_and_is_named(staffed):
    source = SourceFactory(authoritative_paths=["customer.tier"], owner=staffed[0])
    ApiKeyFactory(source=source)
    rule = RoutingRule(
        name="Verified", floor="auto", condition='incident.kind == "action" && customer.tier == "gold"', state=RuleState.LIVE
    )
    policies.save_rule(rule, actor=audit.SYSTEM)
    assert names() == []
    Source.objects.update(authoritative_paths=[])
    one = only("rule cannot be evaluated")
    assert one.grave and "lets nothing go alone" in one.what and one.pk == str(rule.pk)


def test_one_left_in_shadow_is_named_and_one_that_lets_go_what_lanes_earn_is_as_it_should_be(staffed):
    lane = RoutingRule(name="Lane", floor="auto", by="lane", condition='incident.kind == "alert"', state=RuleState.LIVE)
    policies.save_rule(lane, actor=audit.SYSTEM)
    RoutingRule.objects.filter(name="Deletions").update(state=RuleState.SHADOW, changed_at=clock.now() - LONG_AGO)
    assert names() == ["rule left in shadow"]


def test_a_grant_that_no_rule_heeds_or_nobody_watches_or_that_ends_soon_is_named(staffed):
    now = clock.now()
    source = SourceFactory(owner=PersonFactory())
    ApiKeyFactory(source=source)
    version = ClassifierVersion.objects.create(number=1, state="live")
    lane = Lane.objects.create(source=source, by="action", subject="refund", state="granted", checked_at=now)
    LaneGrant.objects.create(
        lane=lane, version=version, alpha=0.02, delta=0.05, threshold=0.9, audit_share=0.05, evidence={}, terms_digest="x",
        granted_by=PersonFactory(roles=["manager"]), reason="r", expires_at=now + timedelta(days=30),
    )
    assert names() == []
    Lane.objects.update(checked_at=now - timedelta(minutes=5))
    assert only("lane unwatched").grave
    Lane.objects.update(checked_at=now)
    RoutingRule.objects.filter(by="lane").update(state=RuleState.ARCHIVED)
    assert lane.get_absolute_url() in only("lane without a rule").fix
    RoutingRule.objects.filter(by="lane").update(state=RuleState.LIVE)
    with clock.frozen_at(now + timedelta(days=27)):
        Lane.objects.update(checked_at=clock.now())
        assert "The lane “refund” of " in only("grant ends soon").what


def test_a_trigger_that_can_find_nothing_is_named(staffed):
    trigger = Trigger.objects.get(name="irreversible")
    trigger.settings = {"verbs": [], "look_inside": False}
    policies.save_trigger(trigger, actor=audit.SYSTEM)
    assert "no verbs" in only("trigger is deaf").what
    Trigger.objects.filter(name="irreversible").update(enabled=False)
    assert names() == []
    Trigger.objects.filter(name="loop_detected").delete()
    assert only("trigger missing").grave


def test_without_a_default_policy_or_a_manager_nothing_can_be_routed_and_that_is_said(staffed):
    EscalationPolicy.objects.update(is_default=False)
    assert "no default policy" in names()
    Role.objects.filter(name="manager").update(decides_everything=False)
    assert "manager cannot decide" in names()


def test_channels_that_fail_or_reach_nobody_are_named(staffed):
    finance = role("finance")
    channel = Channel.objects.create(role=finance, sealed=b"x", label="slack", kind="slack", failing_since=clock.now(), last_error="404")
    assert sorted(names()) == ["channel fails", "channel without a workspace"]
    SlackWorkspace.objects.create(name="w", team_id="T1", sealed_signing_secret=b"x", sealed_bot_token=b"x")
    assert "404" in only("channel fails").what
    Channel.objects.filter(pk=channel.pk).update(disabled_at=clock.now())
    Channel.objects.create(person=PersonFactory(is_active=False), sealed=b"x", label="ntfy")
    assert names() == ["channel of nobody"]


def test_without_a_mail_server_nobody_hears_and_that_is_said(staffed, settings):
    settings.EMAIL_BACKEND = "django.core.mail.backends.console.EmailBackend"
    assert names() == ["no mail server"]


@pytest.fixture
def calendar():
    days = [policies.Day(clock.now().date().replace(month=12, day=25), "Christmas")]
    return policies.save_calendar(Calendar(name="vienna", hours={"mon": [["09:00", "17:00"]]}), days=days, actor=audit.SYSTEM)


def test_calendars_that_do_not_open_or_that_nothing_goes_by_are_named(staffed, calendar):
    with clock.frozen_at(clock.now().replace(month=6, day=10)):
        assert names() == ["calendar unused"]
        EscalationPolicy.objects.update(calendar=calendar)
        assert names() == []
        today = clock.now().date()
        Holiday.objects.bulk_create(Holiday(calendar=calendar, day=today + timedelta(days=number), name="x") for number in range(31))
        assert only("calendar does not open").grave
        Calendar.objects.update(hours={"mon": [["9", "5"]]})
        assert "calendar cannot be read" in names()


def test_holidays_that_end_with_the_year_are_named_when_it_is_time(staffed, calendar):
    EscalationPolicy.objects.update(calendar=calendar)
    year = clock.now().year
    with clock.frozen_at(clock.now().replace(month=10, day=31)):
        assert names() == []
    with clock.frozen_at(clock.now().replace(month=11, day=2)):
        RoutingRule.objects.update(changed_at=clock.now())
        assert str(year + 1) in only("holidays end").what
    Calendar.objects.update(country="AT")
    with clock.frozen_at(clock.now().replace(month=2, day=2)):
        assert str(year + 1) in only("holidays end").what


def test_sources_that_cannot_post_or_be_answered_are_named(staffed):
    source = SourceFactory(owner=staffed[0])
    assert names() == ["source without a key"]
    key = ApiKeyFactory(source=source, expires_at=clock.now() + timedelta(days=3))
    assert only("key expires").grave
    key.expires_at = None
    key.save()
    Source.objects.update(owner=None, endpoint_disabled_at=clock.now(), endpoint_disabled_why="410 Gone", may_chat=True)
    assert sorted(names()) == ["callback is off", "chat goes nowhere", "source without an owner"]
    Source.objects.update(disabled_at=clock.now())
    assert names() == []


def test_policies_that_nobody_can_satisfy_or_that_nothing_names_are_named(staffed):
    actor = audit.SYSTEM
    policy = EscalationPolicy(name="two")
    policies.save_policy(policy, steps=[policies.Step(role("manager"), timedelta(hours=1))], actor=actor)
    assert only("policy unused").pk == str(policy.pk)
    Trigger.objects.filter(name="high_stakes").update(policy=policy)
    assert names() == []
    EscalationPolicy.objects.filter(pk=policy.pk).update(quorum=3)
    assert "manager" in only("quorum nobody can reach").what
    EscalationPolicy.objects.filter(pk=policy.pk).update(quorum=1, fallback="approve", approve_asked_by=staffed[0], chat_up_to="low")
    assert sorted(names()) == ["chat for no source", "yes without anybody unconfirmed"]


def test_changes_that_wait_long_and_an_administrator_alone_are_named(staffed):
    change = Change.objects.create(kind="rule", subject="RoutingRule 1", name="Deletions", wanted={}, base="1", asked_by=staffed[0])
    assert names() == []
    Change.objects.update(asked_at=clock.now() - timedelta(days=8))
    one = only("change waits long")
    assert (one.model, one.pk) == ("change", str(change.pk)) and "8 days" in one.what
    staffed[1].is_staff = False
    staffed[1].save()
    assert only("no second administrator").grave


def test_a_stop_and_a_long_silence_are_named(staffed):
    now = clock.now()
    Stop.objects.create(reason="An agent went mad.", by=staffed[0])
    MuteWindow.objects.create(name="move", since=now - timedelta(days=1), until=now + timedelta(days=9))
    assert names() == ["everything is stopped", "silence is long"]  # the grave one first


@pytest.mark.parametrize("size", [1, 15])
def test_looking_costs_the_same_however_much_there_is(staffed, size, django_assert_num_queries):
    for number in range(size):
        asked = Role.objects.create(name=f"role {number}")
        PersonFactory(roles=[asked.name])
        made = policies.save_calendar(Calendar(name=f"c {number}", hours={"mon": [["09:00", "17:00"]]}), days=[], actor=audit.SYSTEM)
        policy = EscalationPolicy(name=f"p {number}", calendar=made)
        policies.save_policy(policy, steps=[policies.Step(asked, timedelta(hours=1))], actor=audit.SYSTEM)
        policies.save_rule(
            RoutingRule(name=f"r {number}", condition='incident.kind == "alert"', role=asked, policy=policy, priority=number), actor=audit.SYSTEM
        )
        ApiKeyFactory(source=SourceFactory(owner=staffed[0]))
        Channel.objects.create(role=asked, sealed=b"x", label="ntfy")
        Change.objects.create(kind="rule", subject=f"RoutingRule {number}", name="x", wanted={}, base="1", asked_by=staffed[0])
    # absences; roles; people, their groups; policies, steps; rules; triggers; categories; sources; keys; calendars, holidays; channels;
    # workspaces; changes; administrators; the stop; mute windows
    with django_assert_num_queries(20):
        upkeep.findings()


def test_what_was_found_is_kept_for_the_pages_and_grows_stale(staffed):
    assert upkeep.kept().at is None and upkeep.kept().stale
    role("finance").user_set.clear()
    assert upkeep.look() == 1
    kept = upkeep.kept()
    assert (kept.count, kept.grave, kept.stale, kept.findings) == (1, 1, False, upkeep.findings())
    with clock.frozen_at(clock.now() + timedelta(hours=1)):
        assert upkeep.kept().stale
    role("finance").user_set.add(PersonFactory())
    upkeep.look()
    assert Heartbeat.objects.get(name="configuration").detail == {"clean": True, "count": 0, "grave": 0, "findings": []}


def test_the_command_names_them_and_says_by_its_code_whether_one_is_grave(staffed):
    out = io.StringIO()
    call_command("check_configuration", stdout=out)
    assert out.getvalue() == "Nothing found.\n"
    role("finance").user_set.clear()
    with pytest.raises(SystemExit) as grave:
        call_command("check_configuration", stdout=out)
    assert grave.value.code == 1 and "! role without people: Nobody active belongs to “finance”" in out.getvalue()
    out = io.StringIO()
    with pytest.raises(SystemExit):
        call_command("check_configuration", "--json", stdout=out)
    assert json.loads(out.getvalue())[0]["name"] == "role without people"


def test_the_timers_look_every_ten_minutes_and_only_one_of_them(staffed):
    role("finance").user_set.clear()
    duties = [next(duty for duty in Timers().duties if duty.name == "looked after") for _ in range(2)]
    assert [duty.run() for duty in duties] == [1, None]
    assert duties[0].every == 600 and upkeep.kept().count == 1
