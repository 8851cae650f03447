"""A trigger's page says what it looks for, explains each setting, and tells what it caught last week and what people said."""

import json
from datetime import timedelta

import pytest
from django.contrib.admin.utils import quote
from django.urls import reverse

from escalations import clock, upkeep
from escalations.admin.trigger_form import PREFIX, form_of
from escalations.admin.trigger_help import EXPLAINED, LOOKS_FOR
from escalations.floors.triggers import DEFAULT_SETTINGS
from escalations.models import AuditEntry, Category, Change, Person, Role, Source, Trigger
from escalations.states import TRIGGERS, State
from escalations.upkeep import caught as looking
from tests.factories import IncidentFactory, PersonFactory, ProposalFactory, SourceFactory, role

pytestmark = pytest.mark.django_db


def page_of(row):
    """Return its address as the lists link to it: a name in an address is quoted there."""
    return reverse(f"admin:escalations_{row._meta.model_name}_change", args=[quote(row.pk)])


def form(client, trigger):
    """Return what a browser would post from the trigger's page when nothing was touched."""
    filled = client.get(page_of(trigger)).context["adminform"].form
    data = {}
    for bound in filled:
        value = bound.value()
        if value is True:
            data[bound.html_name] = "on"
        elif value is not False:
            data[bound.html_name] = "" if value is None else bound.field.prepare_value(value)
    return data


# -- help and settings


def test_every_trigger_and_every_setting_is_explained():
    assert set(LOOKS_FOR) == set(TRIGGERS)
    assert {name: set(keys) for name, keys in EXPLAINED.items()} == {name: set(keys) for name, keys in DEFAULT_SETTINGS.items()}
    assert all(len(text) > 60 for text in LOOKS_FOR.values())


@pytest.mark.parametrize("name", TRIGGERS)
def test_its_page_tells_what_it_looks_for_and_saving_it_untouched_changes_nothing(admin, name):
    trigger = Trigger.objects.get(name=name)
    data = form(admin, trigger)
    body = admin.get(page_of(trigger)).content.decode()
    assert LOOKS_FOR[name][:40] in body
    for key in DEFAULT_SETTINGS.get(name, {}):
        assert f'name="{PREFIX}{key}"' in body and EXPLAINED[name][key][0] in body

    assert admin.post(page_of(trigger), data).status_code == 302

    assert not AuditEntry.objects.filter(action="trigger.saved", actor="ada").exists() and not Change.objects.exists()
    assert Trigger.objects.get(name=name).settings == trigger.settings


def test_settings_are_edited_as_numbers_and_lines(admin):
    trigger = Trigger.objects.get(name="high_stakes")
    data = form(admin, trigger) | {
        f"{PREFIX}money_limit": "50", f"{PREFIX}limits": "refund.amount = 20\r\n\r\nrows=10.5", f"{PREFIX}vague_words": "total\r\n  worth \r\nworth\r\nvalue\r\nlimit\r\nnumber\r\nsize\r\nshares\r\nmax\r\nmaximum\r\nstake",
    }  # fmt: skip
    admin.post(page_of(trigger), data)
    wanted = Trigger.objects.get(name="high_stakes").settings
    assert wanted["money_limit"] == 50 and isinstance(wanted["money_limit"], int)
    assert wanted["limits"] == {"refund.amount": 20, "rows": 10.5}
    assert wanted["vague_words"][-1] == "stake" and wanted["vague_words"].count("worth") == 1


def test_a_tighter_limit_holds_at_once_and_a_looser_one_waits(admin):
    trigger = Trigger.objects.get(name="high_stakes")
    admin.post(page_of(trigger), form(admin, trigger) | {f"{PREFIX}money_limit": "50"})
    assert Trigger.objects.get(name="high_stakes").settings["money_limit"] == 50
    answer = admin.post(page_of(trigger), form(admin, trigger) | {f"{PREFIX}money_limit": "5000"}, follow=True)
    assert "waits for a second administrator" in answer.content.decode()
    assert "Proposed by" in admin.get(page_of(trigger)).content.decode()
    assert Trigger.objects.get(name="high_stakes").settings["money_limit"] == 50


def test_phrases_are_edited_by_subject(admin):
    trigger = Trigger.objects.get(name="sensitive_data")
    data = form(admin, trigger)
    data[f"{PREFIX}phrases"] += "\r\n[pets]\r\nthe name of (my|our) dog\r\n"
    admin.post(page_of(trigger), data)
    assert Trigger.objects.get(name="sensitive_data").settings["phrases"]["pets"] == ["the name of (my|our) dog"]


@pytest.mark.parametrize(
    ("name", "field", "value"),
    [
        ("high_stakes", "money_limit", "many"), ("high_stakes", "money_limit", "-1"), ("high_stakes", "money_limit", "NaN"),
        ("high_stakes", "money_limit", "inf"), ("high_stakes", "limits", "refund.amount 500"), ("high_stakes", "limits", "x = -1"),
        ("high_stakes", "money_words", "a\0b"), ("high_stakes", "money_words", "\n".join(map(str, range(2001)))),
        ("sensitive_data", "phrases", "no subject"), ("low_confidence", "below", "1.1"),
    ],
)  # fmt: skip
def test_settings_that_would_break_a_trigger_are_refused_at_their_field(admin, name, field, value):
    trigger = Trigger.objects.get(name=name)
    answer = admin.post(page_of(trigger), form(admin, trigger) | {f"{PREFIX}{field}": value})
    assert answer.status_code == 200 and f"{PREFIX}{field}" in answer.context["errors"].as_data().__repr__() + str(answer.context["adminform"].form.errors)
    assert Trigger.objects.get(name=name).settings == trigger.settings


def test_a_number_left_empty_stands_as_it_is_built_in():
    trigger = Trigger.objects.get(name="agent_failed")
    trigger.settings = {}
    data = {"description": "x", "enabled": "on", "role": trigger.role_id, "policy": "", f"{PREFIX}max_attempts": ""}
    made = form_of("agent_failed")(data, instance=trigger)
    assert made.is_valid() and made.instance.settings == {}


def test_no_trigger_is_made_by_hand_and_none_is_taken_away(admin):
    assert admin.post(reverse("admin:escalations_trigger_add"), {"name": "mine"}).status_code == 403
    assert admin.post(reverse("admin:escalations_trigger_delete", args=["high_stakes"])).status_code == 403


# -- what it caught


def catch(trigger="high_stakes", state=State.PENDING, **facts):
    settled = None if state == State.PENDING else clock.now()
    return ProposalFactory(triggers=[{"name": trigger, "why": "x", "where": ""}], state=state, settled_at=settled, **facts)


def test_what_it_caught_is_counted_by_what_people_said():
    for state in (State.APPROVED, State.APPROVED, State.EDITED, State.REJECTED, State.ANSWERED, State.EXPIRED, State.PENDING, State.WITHDRAWN):
        catch(state=state)
    catch("irreversible", State.REJECTED)
    catch(state=State.REJECTED, routed_at=clock.now() - timedelta(days=8))
    catch(state=State.REJECTED, incident=IncidentFactory(test=True))
    catch(state=State.APPROVED, role=None)  # a rule let it go: nobody was asked

    found = upkeep.caught_by("high_stakes")

    assert (found.looked, found.count, found.capped) == (9, 8, False)
    assert (found.approved, found.edited, found.rejected, found.answered) == (2, 1, 1, 1)
    assert (found.ran_out, found.waiting, found.gone, found.decided, found.rejected_percent) == (1, 1, 1, 5, 20)
    assert len(found.newest) == 8


def test_the_newest_twenty_are_shown_newest_first_and_a_busy_week_is_cut(monkeypatch):
    now = clock.now()
    made = [catch(routed_at=now - timedelta(minutes=number)) for number in range(25)]
    found = upkeep.caught_by("high_stakes")
    assert [one.pk for one in found.newest] == [one.pk for one in made[:20]] and found.count == 25

    monkeypatch.setattr(looking, "LOOKED", 10)
    monkeypatch.setattr(looking, "_CAUGHT", looking._CAUGHT.replace("LIMIT 10000", "LIMIT 10"))
    monkeypatch.setattr(looking, "_OLDEST", looking._OLDEST.replace("LIMIT 10000", "LIMIT 10"))
    found = upkeep.caught_by("high_stakes")
    assert (found.count, found.looked, found.capped) == (10, 10, True) and found.since == made[9].routed_at


@pytest.mark.parametrize("size", [1, 30])
def test_looking_costs_the_same_however_much_was_caught(size, django_assert_num_queries):
    for _ in range(size):
        catch(incident=IncidentFactory(source=SourceFactory()))
    with django_assert_num_queries(2):  # what was caught; the newest of it
        found = upkeep.caught_by("high_stakes")
        assert [one.source.name for one in found.newest] and [one.role.name for one in found.newest]


def test_the_page_shows_it_with_links_and_with_hostile_titles_harmless(admin):
    title = "<script>alert(1)</script> \u202egood"
    proposal = catch(incident=IncidentFactory(title=title), role=role("finance"), state=State.REJECTED)

    body = admin.get(page_of(Trigger.objects.get(name="high_stakes"))).content.decode()

    assert f'href="/proposals/{proposal.pk}/"' in body and "&lt;script&gt;" in body and "<script>alert" not in body and "\u202e" not in body
    assert "rejected <strong>100 %</strong>" in body
    assert "Nothing, of 1 that came to people" in admin.get(page_of(Trigger.objects.get(name="loop_detected"))).content.decode()


def test_a_category_has_such_a_page_too(admin):
    catch(category="refund", state=State.EDITED)
    catch(category="payment")
    category = Category.objects.get(name="refund")
    body = admin.get(page_of(category)).content.decode()
    assert "<strong>1</strong> of 2 that came to people" in body and "Last week 1 came to people" in body
    assert admin.get(reverse("admin:escalations_category_add")).status_code == 200


# -- what is configured and does nothing


def test_the_first_page_tells_what_was_found_and_the_other_what_is_now(admin, settings):
    settings.EMAIL_BACKEND = "django.core.mail.backends.smtp.EmailBackend"
    assert "Nobody has looked yet" in admin.get(reverse("admin:index")).content.decode()
    SourceFactory(name="quiet-agent", owner=Person.objects.get(username="ada"))
    upkeep.look()
    finance = Role.objects.get(name="finance")

    first = admin.get(reverse("admin:index")).content.decode()
    assert "Role without people" in first and "Source without a key</strong>. quiet-agent" in first and "Looked at" in first

    body = admin.get(reverse("admin:configuration")).content.decode()
    assert f'href="{page_of(Source.objects.get())}"' in body and f'href="{page_of(finance)}"' in body
    assert "quiet-agent has no key that is alive" in body
    for one in Role.objects.all():
        PersonFactory(roles=[one.name], is_staff=True)
    Source.objects.update(disabled_at=clock.now())
    assert "all that is configured does what it says" in admin.get(reverse("admin:configuration")).content.decode()
    with clock.frozen_at(clock.now() + timedelta(hours=1)):
        assert "Nobody has looked since" in admin.get(reverse("admin:index")).content.decode()


def test_only_administrators_see_what_does_nothing(client):
    client.force_login(PersonFactory())
    assert client.get(reverse("admin:configuration")).status_code in (302, 403)
    client.logout()
    assert client.get(reverse("admin:configuration")).status_code == 302


def test_settings_stay_json_in_the_record(admin):
    trigger = Trigger.objects.get(name="high_stakes")
    admin.post(page_of(trigger), form(admin, trigger) | {f"{PREFIX}money_limit": "50"})
    entry = AuditEntry.objects.filter(action="trigger.saved", actor="ada").get()
    assert json.loads(entry.body)["facts"]["changed"]["settings"]["new"]["money_limit"] == 50


def test_its_history_is_found_by_the_address_its_page_links_to(admin):
    trigger = Trigger.objects.get(name="high_stakes")
    admin.post(page_of(trigger), form(admin, trigger) | {f"{PREFIX}money_limit": "50"})
    body = admin.get(reverse("admin:escalations_trigger_history", args=[quote(trigger.pk)])).content.decode()
    assert "trigger.saved" in body
