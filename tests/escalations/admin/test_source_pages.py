"""Sources and people: a secret is shown once, what is taken away is taken at once."""

import re

import pytest
from django.urls import resolve, reverse

from escalations import audit, policies, vault
from escalations.models import ApiKey, AuditEntry, Person, PersonToken, Role, SigningSecret, Source
from tests.escalations.admin.conftest import PASSWORD, administrator

pytestmark = pytest.mark.django_db

SOURCE = {
    "name": "desk", "description": "", "owner": "", "callback_url": "https://agent.example/hook", "allowed_hosts": "",
    "authoritative_paths": "payload.total\r\n\r\n customer.tier \r\n", "known_irreversible": "", "requests_per_minute": 100,
}


@pytest.fixture
def desk(db):
    source = Source(name="desk")
    policies.save_source(source, actor=audit.SYSTEM)
    return source


def act(source, name, kind="source"):
    return reverse(f"admin:escalations_{kind}_act", args=[source.pk, name])


def change(row):
    return reverse(f"admin:escalations_{row._meta.model_name}_change", args=[row.pk])


def secret_in(answer):
    assert answer.status_code == 200 and "no-store" in answer["Cache-Control"]
    return re.search(r'class="secret">([^<]+)<', answer.content.decode())[1]


def test_a_new_source_shows_its_signing_secret_in_that_answer_only(admin):
    secret = secret_in(admin.post(reverse("admin:escalations_source_add"), SOURCE))
    source = Source.objects.get(name="desk")
    assert vault.unseal(SigningSecret.objects.get(source=source).sealed).decode() == secret
    assert source.authoritative_paths == ["payload.total", "customer.tier"]
    assert secret not in admin.get(change(source)).content.decode()
    assert secret not in str(dict(admin.session))
    assert not AuditEntry.objects.filter(body__contains=secret).exists()


@pytest.mark.parametrize(("more", "field"), [
    ({"callback_url": "http://agent.example/"}, "callback_url"),
    ({"callback_url": "https://user:pw@agent.example/"}, "callback_url"),
    ({"authoritative_paths": "title"}, "authoritative_paths"),
    ({"allowed_hosts": "not a host"}, "allowed_hosts"),
    ({"requests_per_minute": 0}, "requests_per_minute"),
    ({"requests_per_minute": 2**40}, "requests_per_minute"),
    ({"name": "two words"}, "name"),
])
def test_a_source_that_makes_no_sense_is_refused_at_its_field(admin, more, field):
    answer = admin.post(reverse("admin:escalations_source_add"), SOURCE | more)
    assert answer.status_code == 200
    assert field in answer.context["adminform"].form.errors


def test_a_key_is_issued_by_a_post_shown_once_and_works(admin, desk):
    page = act(desk, "issue-key")
    assert admin.get(page).status_code == 200 and not ApiKey.objects.exists()
    text = secret_in(admin.post(page, {"env": "test"}))
    _, key_id, secret = vault.parse_key(text)
    assert vault.matches(secret, ApiKey.objects.alive().get(key_id=key_id, env="test").secret_hash)
    shown = admin.get(change(desk)).content.decode()
    assert secret not in shown and key_id in shown


def test_a_third_key_is_refused_with_words(admin, desk):
    for _ in range(2):
        secret_in(admin.post(act(desk, "issue-key"), {"env": "live"}))
    answer = admin.post(act(desk, "issue-key"), {"env": "live"})
    assert answer.status_code == 200 and "Revoke one before" in answer.content.decode()
    assert ApiKey.objects.count() == 2


def test_a_revoked_key_is_dead_at_once_and_another_sources_key_is_out_of_reach(admin, desk):
    other = Source.objects.create(name="other")
    policies.issue_key(other, env="live", actor=audit.SYSTEM)
    secret_in(admin.post(act(desk, "issue-key"), {"env": "live"}))
    foreign, mine = other.keys.get(), desk.keys.get()
    assert admin.post(act(desk, "revoke-key"), {"key": foreign.pk}).status_code == 200
    assert ApiKey.objects.alive().count() == 2
    assert admin.post(act(desk, "revoke-key"), {"key": mine.pk}).status_code == 302
    assert list(ApiKey.objects.alive()) == [foreign]


def test_rotating_shows_the_new_secret_and_keeps_the_old_one_signing(admin, desk):
    secret = secret_in(admin.post(act(desk, "rotate-secret")))
    live = {vault.unseal(one.sealed).decode() for one in SigningSecret.objects.filter(retired_at=None)}
    assert secret in live and len(live) == 2
    assert admin.post(act(desk, "retire-secrets")).status_code == 302
    assert SigningSecret.objects.filter(retired_at=None).count() == 1


def test_a_disabled_source_offers_no_key_and_can_be_enabled(admin, desk):
    admin.post(act(desk, "disable"))
    assert act(desk, "issue-key") not in admin.get(change(desk)).content.decode()
    assert admin.post(act(desk, "issue-key"), {"env": "live"}).status_code == 302
    assert not ApiKey.objects.exists()
    admin.post(act(desk, "enable"))
    assert Source.objects.get(pk=desk.pk).disabled_at is None


@pytest.mark.parametrize("name", ["issue-key", "rotate-secret", "disable"])
def test_a_get_changes_nothing_and_a_post_from_elsewhere_is_refused(desk, ada, client, name):
    strict = client.__class__(enforce_csrf_checks=True)
    strict.force_login(ada)
    before = AuditEntry.objects.count()
    assert strict.get(act(desk, name)).status_code == 200
    assert strict.post(act(desk, name), {"env": "live"}).status_code == 403
    assert AuditEntry.objects.count() == before


def test_the_name_of_a_source_stays(admin, desk):
    assert admin.post(change(desk), SOURCE | {"name": "another"}).status_code == 302
    desk.refresh_from_db()
    assert desk.name == "desk" and desk.callback_url == SOURCE["callback_url"]


# -- people

PERSON = {"username": "bob", "first_name": "Bob", "last_name": "Stone", "email": "bob@example.com", "time_zone": "Europe/Vienna"}
NEW = PERSON | {"password": "a long and good one", "again": "a long and good one"}


def test_a_new_person_gets_roles_and_a_password_in_one_audited_edit(admin):
    role = Role.objects.get(name="finance")
    assert admin.post(reverse("admin:escalations_person_add"), NEW | {"roles": [role.pk]}).status_code == 302
    bob = Person.objects.get(username="bob")
    assert bob.check_password("a long and good one") and list(bob.roles()) == [role] and not bob.is_staff
    assert AuditEntry.objects.filter(action="person.saved", subject=f"Person {bob.pk}").count() == 1


@pytest.mark.parametrize(("more", "field"), [
    ({"again": "something else"}, "again"),
    ({"password": "short", "again": "short"}, "password"),
    ({"username": "ADA"}, "username"),
    ({"time_zone": "Mars/Base"}, "time_zone"),
])
def test_a_person_that_makes_no_sense_is_refused_at_its_field(admin, more, field):
    answer = admin.post(reverse("admin:escalations_person_add"), NEW | more)
    assert answer.status_code == 200
    assert field in answer.context["adminform"].form.errors


def test_roles_are_replaced_and_the_password_stays(admin):
    admin.post(reverse("admin:escalations_person_add"), NEW | {"roles": [Role.objects.get(name="finance").pk]})
    bob = Person.objects.get(username="bob")
    assert admin.post(change(bob), PERSON | {"roles": [Role.objects.get(name="support").pk]}).status_code == 302
    assert [role.name for role in bob.roles()] == ["support"]
    assert Person.objects.get(pk=bob.pk).check_password("a long and good one")


def test_a_deactivated_person_is_out_with_the_next_click(admin, client, settings):
    bob = administrator("bob")
    theirs = client.__class__()
    theirs.force_login(bob)
    policies.mint_token(bob, actor=audit.SYSTEM)
    assert theirs.get("/admin/").status_code == 200
    assert admin.post(act(bob, "deactivate", "person")).status_code == 302
    assert theirs.get("/admin/").status_code == 302
    assert not PersonToken.objects.alive().exists()
    assert not client.__class__().login(username="bob", password=PASSWORD)
    assert admin.post(act(bob, "reactivate", "person")).status_code == 302
    assert Person.objects.get(pk=bob.pk).is_active


def test_the_last_administrator_of_people_cannot_lock_everybody_out(admin, ada):
    answer = admin.post(act(ada, "deactivate", "person"))
    assert answer.status_code == 200 and "last administrator" in answer.content.decode()
    answer = admin.post(change(ada), PERSON | {"username": "ada", "is_staff": "on"})
    assert answer.status_code == 200 and "is_superuser" in answer.context["adminform"].form.errors


def test_a_new_password_ends_sessions_with_the_old_one(admin, client):
    bob = administrator("bob")
    theirs = client.__class__()
    theirs.force_login(bob)
    page = act(bob, "password", "person")
    assert admin.post(page, {"password": "another good one 1", "again": "another good one 2"}).status_code == 200
    assert admin.post(page, {"password": "another good one 1", "again": "another good one 1"}).status_code == 302
    assert theirs.get("/admin/").status_code == 302


def test_a_token_for_somebody_else_is_shown_once_and_they_are_told(admin):
    bob = administrator("bob", is_superuser=False)
    text = secret_in(admin.post(act(bob, "mint-token", "person"), {"days": 7}))
    _, key_id, _ = vault.parse_key(text)
    token = PersonToken.objects.alive().get(key_id=key_id)
    assert bob.notices.get().kind == "token_minted"
    assert admin.post(act(bob, "revoke-token", "person"), {"token": token.pk}).status_code == 302
    assert not PersonToken.objects.alive().exists()


def test_a_dsn_is_issued_by_a_post_shown_once_and_told_from_a_key(admin, desk, settings):
    settings.PUBLIC_URL = "https://countersign.example"
    assert admin.get(act(desk, "issue-dsn")).status_code == 200 and not ApiKey.objects.exists()
    dsn = secret_in(admin.post(act(desk, "issue-dsn"), {"env": "live"}))
    key = ApiKey.objects.get()
    assert re.fullmatch(rf"https://cs_live_{key.key_id}_[0-9A-Za-z]{{43}}@countersign\.example/{desk.pk}", dsn)
    shown = admin.get(change(desk)).content.decode()
    assert f"{key} (Sentry DSN)" in shown and dsn not in shown
    assert admin.post(act(desk, "revoke-key"), {"key": key.pk}).status_code == 302 and not ApiKey.objects.alive().exists()


def test_a_sources_page_says_which_address_each_client_is_given(admin, desk, settings):
    settings.PUBLIC_URL = "https://countersign.example/"

    page = admin.get(change(desk)).content.decode()

    for path in ("/api/v1/incidents", "/alertmanager/webhook", "/v2/enqueue", "/mcp", "/humanlayer/v1"):
        assert f"<code>https://countersign.example{path}</code>" in page
        resolve({"/humanlayer/v1": "/humanlayer/v1/function_calls"}.get(path, path))
    assert "Addresses for clients" not in admin.get(reverse("admin:escalations_source_add")).content.decode()
