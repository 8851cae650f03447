"""A replay is asked for where the rule stands, watched while it runs, and read; nothing of it saves the rule."""

from datetime import timedelta

import pytest

from escalations import audit, clock, policies, replay
from escalations.admin.trigger_form import form_of as form_of_trigger
from escalations.models import Change, Replay, RoutingRule, Trigger
from tests.escalations.replay.world import AUTO, incident, routed, rule, says
from tests.factories import PersonFactory, SourceFactory

pytestmark = pytest.mark.django_db

HOSTILE = "<script>alert(1)</script>\u202eevil"


@pytest.fixture
def source():
    return SourceFactory(name="billing-agent")


@pytest.fixture
def decided(source):
    """Five notes: two approved, one rejected, one edited, one still open."""
    person = PersonFactory(roles=["manager"])
    proposals = routed(*[incident(source) for _ in range(5)])
    for one, verdict in zip(proposals, ("approve", "approve", "reject", "edit"), strict=False):
        says(person, one, verdict, **({"args": {"n": 0}} if verdict == "edit" else {}))
    return proposals


def form_of(saved, **changes):
    """A rule's form as a browser posts it."""
    fields = {
        "name": saved.name, "why": saved.why, "state": saved.state, "priority": saved.priority, "condition": saved.condition, "said_in": "text",
        "floor": saved.floor, "by": saved.by, "threshold": "", "role": "", "policy": "", "severity": "", "category": "",
        "seen": saved.version, "replay_days": "7",
    }
    return fields | changes


def ask_for(admin, kind, pk, data):
    return admin.post(f"/admin/escalations/replay/ask/{kind}/?of={pk}", data)


def test_a_rule_is_tried_as_the_form_has_it_and_not_saved(admin, decided, run_jobs):
    saved = rule(state="draft", condition="false")

    answer = ask_for(admin, "rule", saved.pk, form_of(saved, condition=AUTO))
    run_jobs()

    row = Replay.objects.get()
    assert (answer.status_code, answer.url) == (302, f"/admin/escalations/replay/{row.pk}/change/")
    page = admin.get(answer.url).content.decode()
    assert (row.state, row.result["matched"], row.subject) == ("done", 5, f"RoutingRule {saved.pk}")
    assert "<strong>2 of 4</strong>" in page, "of those people decided, not approved as proposed"
    assert "50.0 %" in page
    assert "6.8 %" in page
    assert "93.2 %" in page
    assert "Would-be mistakes (2)" in page
    for one in decided[2:4]:
        assert f"/admin/escalations/proposal/{one.pk}/change/" in page
    saved.refresh_from_db()
    assert (saved.condition, saved.version, saved.state) == ("false", 1, "draft")
    assert row.until - row.since <= timedelta(days=7)


def test_a_rule_that_was_never_saved_can_be_tried(admin, decided, run_jobs):
    answer = ask_for(admin, "rule", "", form_of(RoutingRule(name="new", condition=AUTO, floor="auto", state="draft")))
    run_jobs()

    assert answer.status_code == 302
    assert Replay.objects.get().result["matched"] == 5
    assert not RoutingRule.objects.filter(name="new").exists()


def test_what_could_not_be_saved_comes_back_with_what_is_wrong(admin):
    saved = rule(state="draft")

    answer = ask_for(admin, "rule", saved.pk, form_of(saved, condition="nonsense =="))

    assert answer.status_code == 200
    page = answer.content.decode()
    assert f'action="/admin/escalations/routingrule/{saved.pk}/change/"' in page, "the form goes on to where it came from"
    assert "nonsense ==" in page
    assert not Replay.objects.exists()
    saved.refresh_from_db()
    assert saved.condition == AUTO


def test_a_trigger_is_tried_with_the_settings_of_the_form(admin, source, run_jobs):
    rule()
    routed(incident(source, args={"amount": 50}))
    before = Trigger.objects.get(pk="high_stakes")

    page = admin.get("/admin/escalations/trigger/high_stakes/change/").content.decode()
    form = form_of_trigger("high_stakes")(instance=before)
    shown = {name: form[name].field.prepare_value(form[name].value()) for name in form.fields}
    answer = ask_for(admin, "trigger", "high_stakes", {name: value or "" for name, value in shown.items()} | {"setting_money_limit": "10"})
    run_jobs()

    assert "/admin/escalations/replay/ask/trigger/?of=high_stakes" in page
    assert answer.status_code == 302
    assert Replay.objects.get().result["changes"]["floor"] == {"auto → review": 1}
    assert Trigger.objects.get(pk="high_stakes").settings == before.settings


def test_a_change_that_waits_can_be_tried_before_it_is_confirmed(admin, ada, decided, run_jobs):
    saved = rule(state="draft")
    change = policies.promote(saved, actor=audit.Actor.of(ada), person=ada, why="they are small")
    assert isinstance(change, Change)

    page = admin.get(f"/admin/escalations/change/{change.pk}/change/").content.decode()
    answer = ask_for(admin, "change", change.pk, {"replay_days": "30"})
    run_jobs()

    assert f"/admin/escalations/replay/ask/change/?of={change.pk}" in page
    assert answer.status_code == 302
    assert Replay.objects.get().result["matched"] == 5
    change.refresh_from_db()
    assert change.state == "waiting"


def test_a_replay_is_called_off_by_a_post(admin, source):
    now = clock.now()
    row = replay.ask("rule", replay.wanted_of(rule(state="draft")), "", now - timedelta(days=1), now, PersonFactory())

    assert admin.get(f"/admin/escalations/replay/{row.pk}/cancel/").status_code == 405
    page = admin.get(f"/admin/escalations/replay/{row.pk}/change/").content.decode()
    assert 'http-equiv="refresh"' in page, "it goes on without JavaScript"
    assert admin.post(f"/admin/escalations/replay/{row.pk}/cancel/").status_code == 302

    row.refresh_from_db()
    assert row.state == "cancelled"
    assert 'data-state="cancelled"' in admin.get(f"/admin/escalations/replay/{row.pk}/progress/").content.decode()


@pytest.mark.parametrize("path", ["{pk}/change/", "{pk}/progress/", "{pk}/cancel/", "ask/rule/"])
def test_these_pages_are_for_administrators(client, path):
    now = clock.now()
    row = replay.ask("rule", replay.wanted_of(rule(state="draft")), "", now - timedelta(days=1), now, PersonFactory())
    client.force_login(PersonFactory(roles=["manager"]))
    url = f"/admin/escalations/replay/{path.format(pk=row.pk)}"

    answer = client.post(url) if path.split("/")[-2] in ("cancel", "rule") else client.get(url)

    assert answer.status_code in (302, 403)
    row.refresh_from_db()
    assert row.state == "waiting"


@pytest.mark.parametrize("query", ["rule/?of=999999", "rule/?of=x", "trigger/?of=nothing", "trigger/", "change/?of=1", "change/?of=%00", "source/?of=1"])
def test_what_is_not_there_cannot_be_tried(admin, query):
    assert admin.post(f"/admin/escalations/replay/ask/{query}").status_code == 404


def test_hostile_words_are_shown_and_do_nothing(admin, source, run_jobs):
    person = PersonFactory(roles=["manager"])
    bad = routed(incident(source))[0]
    type(bad).objects.filter(pk=bad.pk).update(title=HOSTILE)
    says(person, bad, "reject")
    saved = rule(name=HOSTILE.replace("\u202e", ""), state="draft")  # a rule's name holds nothing hidden
    ask_for(admin, "rule", saved.pk, form_of(saved))
    run_jobs()

    page = admin.get(f"/admin/escalations/replay/{Replay.objects.get().pk}/change/").content.decode()

    assert "<script>alert(1)" not in page
    assert "\u202e" not in page


def test_a_rules_page_shows_what_shadow_said_and_its_replays(admin, source, run_jobs):
    saved = rule(state="shadow")
    person = PersonFactory(roles=["manager"])
    proposals = routed(*[incident(source) for _ in range(3)])
    says(person, proposals[0], "approve")
    says(person, proposals[1], "reject")
    ask_for(admin, "rule", saved.pk, form_of(saved))
    run_jobs()

    page = admin.get(f"/admin/escalations/routingrule/{saved.pk}/change/").content.decode()

    assert "In shadow" in page
    assert "People have decided 2 of them, and approved <strong>1</strong> as proposed" in page
    assert "3 would go alone, 1 of 2 decided otherwise" in page


@pytest.mark.parametrize("size", [2, 20])
def test_its_page_costs_the_same_whatever_it_found(admin, source, size, run_jobs, django_assert_num_queries):
    person = PersonFactory(roles=["manager"])
    for one in routed(*[incident(source) for _ in range(size)]):
        says(person, one, "reject")
    saved = rule(state="draft")
    ask_for(admin, "rule", saved.pk, form_of(saved))
    run_jobs()
    url = f"/admin/escalations/replay/{Replay.objects.get().pk}/change/"
    admin.get(url)

    with django_assert_num_queries(QUERIES):
        admin.get(url)


# session, person, the stop, the inbox's count and what else the frame of every page asks; the replay, how many items, the items
QUERIES = 9
