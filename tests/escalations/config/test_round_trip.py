"""Whatever an administrator configured: exported, taken on a fresh database and confirmed, it is exported the same."""

from datetime import date, timedelta

import pytest
from django.db import transaction
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st
from hypothesis.extra.django import TestCase

from escalations import audit, clock, config, policies
from escalations.floors.text import has_hidden
from escalations.models import (
    Calendar,
    Category,
    Change,
    EscalationPolicy,
    Role,
    RoutingRule,
    Source,
    Trigger,
)
from escalations.states import ChangeState
from tests.factories import PersonFactory

TEXT = st.text(st.characters(exclude_categories=["Cs"], exclude_characters="\x00"), max_size=30)
NAME = TEXT.map(str.strip).filter(bool)
SEEN = NAME.filter(lambda name: not has_hidden(name))  # a rule's or policy's says what it shows
SLUG = st.text("abcxyz09-_", min_size=1, max_size=12)
MINUTES = st.integers(1, 600).map(lambda minutes: timedelta(minutes=minutes))
CONDITIONS = st.sampled_from([
    'incident.kind == "action" && proposal.action == "refund" && proposal.args.amount > 100',
    'incident.kind == "alert"',
    'source.name == "billing-agent" && proposal.args.note == "a # b: c\\n"',
])  # fmt: skip
RULE = st.fixed_dictionaries({
    "why": TEXT, "priority": st.integers(-5, 5), "condition": CONDITIONS, "floor": st.sampled_from(["auto", "review", "block"]),
    "state": st.sampled_from(["draft", "shadow", "live", "archived"]), "severity": st.sampled_from(["", "warning"]),
})  # fmt: skip
HOURS = st.dictionaries(
    st.sampled_from(["mon", "wed", "sun"]), st.sampled_from([[["09:00", "17:00"]], [["00:00", "12:00"], ["13:30", "24:00"]]]), min_size=1
)
DAYS = st.dictionaries(st.dates(date(2027, 1, 1), date(2027, 12, 31)), NAME, max_size=3)
WORLD = st.fixed_dictionaries({
    "roles": st.dictionaries(NAME, TEXT, max_size=3),
    "calendars": st.dictionaries(NAME, st.tuples(HOURS, DAYS, st.sampled_from(["", "AT"])), max_size=2),
    "policies": st.dictionaries(SEEN, st.tuples(st.lists(MINUTES, max_size=3), st.sampled_from(["reject", "park"]), TEXT), max_size=3),
    "categories": st.dictionaries(SLUG, st.tuples(TEXT, st.lists(NAME, max_size=3)), max_size=2),
    "triggers": st.fixed_dictionaries({"money_limit": st.integers(0, 10**9) | st.floats(0, 1e9), "money_words": st.lists(NAME, max_size=4)}),
    "sources": st.dictionaries(SLUG, st.tuples(TEXT, st.booleans(), st.lists(NAME, max_size=2)), max_size=2),
    "rules": st.dictionaries(SEEN, RULE, max_size=4),
})  # fmt: skip


def without_twins(named):
    """Names that differ only in their case are one to the verbs."""
    return {name: value for name, value in named.items() if [name.casefold()] == [one.casefold() for one in named if one.casefold() == name.casefold()]}


def build(world, owner):
    """Configure it as an administrator would, by the verbs."""
    actor = audit.SYSTEM
    for name, description in without_twins(world["roles"]).items():
        if not Role.objects.filter(name=name).exists():
            policies.save_role(Role(name=name, description=description), actor=actor)
    role = Role.objects.order_by("-pk").first()
    calendar = None
    for name, (hours, days, country) in without_twins(world["calendars"]).items():
        named = [policies.Day(day, text) for day, text in days.items()]
        calendar = policies.save_calendar(Calendar(name=name, hours=hours, country=country, time_zone="Europe/Vienna"), days=named, actor=actor)
    policy = None
    for name, (waits, fallback, description) in without_twins(world["policies"]).items():
        policy = EscalationPolicy(name=name, fallback=fallback, description=description, calendar=calendar, expires_after=timedelta(days=3))
        policies.save_policy(policy, steps=[policies.Step(role, wait) for wait in waits], actor=actor)
    for name, (description, reasons) in without_twins(world["categories"]).items():
        if not Category.objects.filter(name__iexact=name).exists():
            policies.save_category(Category(name=name, description=description, role=role, reject_reasons=reasons), actor=actor)
    trigger = Trigger.objects.get(name="high_stakes")
    trigger.settings, trigger.policy = trigger.settings | world["triggers"], policy
    policies.save_trigger(trigger, actor=actor)
    for name, (description, demo, irreversible) in without_twins(world["sources"]).items():
        policies.save_source(
            Source(name=name, description=description, is_demo=demo, known_irreversible=irreversible, owner=owner), actor=actor
        )
    for name, values in without_twins(world["rules"]).items():
        if not RoutingRule.objects.filter(name__iexact=name).exists():
            policies.save_rule(RoutingRule(name=name, role=role, policy=policy, **values), actor=actor)


@pytest.mark.django_db
class RoundTrip(TestCase):
    @settings(max_examples=15, deadline=None, suppress_health_check=list(HealthCheck))
    @given(WORLD)
    def test_an_export_taken_on_a_fresh_database_is_exported_the_same(self, world):
        ada, bob = PersonFactory(is_staff=True), PersonFactory(is_staff=True)
        with clock.frozen_at(clock.now()):
            with transaction.atomic():
                build(world, ada)
                there = config.as_it_stands()
                transaction.set_rollback(True)  # a database as setup leaves it, with the same people
            assert not Source.objects.exists()

            config.take(there.encode(), person=ada, archive_missing=True)
            for change in Change.objects.filter(state=ChangeState.WAITING).order_by("pk"):
                policies.confirm_change(change, person=bob)

            assert config.as_it_stands() == there
            assert config.take(there.encode(), person=ada, archive_missing=True) == []
