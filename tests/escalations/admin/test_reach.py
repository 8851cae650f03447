"""Who comes in, and what is not there."""

import pytest
from django.contrib import admin as django_admin
from django.contrib.auth.models import Permission
from django.db import transaction
from django.urls import NoReverseMatch, reverse

from escalations import audit
from escalations.models import AuditEntry, Delivery, Incident, Person
from tests.escalations.admin.conftest import PASSWORD, administrator
from tests.factories import IncidentFactory, ProposalFactory

pytestmark = pytest.mark.django_db

ALL = sorted(model._meta.model_name for model in django_admin.site._registry)


def listing(name):
    return reverse(f"admin:escalations_{name}_changelist")


def test_only_our_own_models_are_registered():
    assert {model._meta.app_label for model in django_admin.site._registry} <= {"escalations", "reviews"}


@pytest.mark.parametrize("path", [
    "django_q/schedule/", "django_q/schedule/add/", "django_q/success/", "django_q/failure/", "django_q/ormq/", "auth/group/",
    "admin/logentry/", "sessions/session/", "axes/accessattempt/",
])
def test_nobody_reaches_the_queues_own_pages_whatever_their_permissions(client, path):
    everything = administrator("eve")
    everything.user_permissions.set(Permission.objects.all())
    client.force_login(everything)
    assert client.get(f"/admin/{path}").status_code == 404
    assert client.post(f"/admin/{path}", {"name": "x", "func": "os.system", "schedule_type": "O"}).status_code == 404
    with pytest.raises(NoReverseMatch):
        reverse("admin:django_q_schedule_add")


def test_a_stranger_is_sent_to_the_one_sign_in_page(client):
    answer = client.get("/admin/", follow=True)
    assert answer.redirect_chain[-1][0].startswith(reverse("login"))


def test_who_is_signed_in_lands_where_they_wanted_to_go_and_nowhere_else(admin):
    assert admin.get("/admin/login/", {"next": listing("source")})["Location"] == listing("source")
    assert admin.get("/admin/login/", {"next": "https://evil.example/"})["Location"] == "/admin/"


def test_somebody_who_only_decides_does_not_come_in(client):
    client.force_login(Person.objects.create_user("rosa", password="x" * 20))
    assert client.get("/admin/", follow=True).status_code == 403
    assert client.get(listing("routingrule"), follow=True).status_code == 403


def test_an_administrator_who_is_no_superuser_edits_rules_but_not_people(client):
    client.force_login(administrator("staff", is_superuser=False))
    assert client.get(listing("routingrule")).status_code == 200
    assert client.get(listing("source")).status_code == 200
    for name in ("person", "role"):
        assert client.get(listing(name)).status_code == 403
        assert client.get(reverse(f"admin:escalations_{name}_add")).status_code == 403
    body = client.get("/admin/").content.decode()
    assert listing("person") not in body and listing("routingrule") in body


@pytest.mark.parametrize("name", ALL)
def test_every_list_opens_and_nothing_on_it_can_be_deleted(admin, name):
    answer = admin.get(listing(name))
    assert answer.status_code == 200
    assert "delete_selected" not in answer.content.decode()


@pytest.mark.parametrize("name", ["routingrule", "trigger", "category", "escalationpolicy", "source", "person", "role", "incident"])
def test_a_delete_by_hand_is_refused(admin, ada, name):
    from_db = next(model for model in django_admin.site._registry if model._meta.model_name == name)
    if name == "source":
        from_db.objects.create(name="desk")
    if name == "incident":
        IncidentFactory()
    row = from_db.objects.first()
    assert admin.post(reverse(f"admin:escalations_{name}_delete", args=[row.pk]), {"post": "yes"}).status_code == 403
    assert from_db.objects.filter(pk=row.pk).exists()


@pytest.mark.parametrize("name", ["incident", "proposal", "decision", "signature", "classification", "auditentry", "auditseal", "notice"])
def test_the_record_can_be_read_and_not_written(admin, name):
    assert admin.get(reverse(f"admin:escalations_{name}_add")).status_code == 403


def test_an_incident_is_shown_with_its_hidden_characters_and_cannot_be_changed(admin):
    incident = IncidentFactory(title="refund \u202e<script>", payload={"x": "<b>\u200b"})
    page = reverse("admin:escalations_incident_change", args=[incident.pk])
    body = admin.get(page).content.decode()
    assert "<script>\n" not in body and "<b>" not in body.split("json")[-1]
    assert "U+202E" in body and "U+200B" in body
    assert admin.post(page, {"title": "nothing"}).status_code == 403
    assert Incident.objects.get(pk=incident.pk).title == "refund \u202e<script>"


def test_a_proposal_is_found_by_its_own_id_and_by_its_incidents(admin):
    proposal, other = ProposalFactory(), ProposalFactory()
    for wanted in (proposal.pk, proposal.incident_id):
        body = admin.get(listing("proposal"), {"q": str(wanted)}).content.decode()
        assert str(proposal.pk) in body and str(other.pk) not in body
    for nonsense in ("nothing", "0" * 40, "1", "\x00", "99999999999999999999999"):
        for name in ("proposal", "auditentry", "decision"):
            assert admin.get(listing(name), {"q": nonsense}).status_code == 200


def test_a_list_of_many_incidents_takes_the_same_few_queries(admin, django_assert_max_num_queries):
    source = IncidentFactory().source
    for _ in range(30):
        ProposalFactory(incident=IncidentFactory(source=source))
    for name in ("incident", "proposal"):  # one more than the pages of Django: what this person judges again
        with django_assert_max_num_queries(8) as queries:
            assert admin.get(listing(name)).status_code == 200
        assert not any("COUNT" in query["sql"] and "LIMIT" not in query["sql"] for query in queries.captured_queries)


def test_a_delivery_can_be_sent_again_by_a_button_and_only_by_a_post(admin, ada):
    proposal = ProposalFactory()
    source = proposal.source
    source.callback_url = "https://agent.example/hook"
    source.save()
    delivery = Delivery.objects.create(
        source=source, incident=proposal.incident, type="incident.settled", state="given_up", url=source.callback_url, next_try_at=None
    )
    page = reverse("admin:escalations_delivery_act", args=[delivery.pk, "replay"])
    assert page in admin.get(reverse("admin:escalations_delivery_change", args=[delivery.pk])).content.decode()
    assert admin.get(page).status_code == 200
    assert Delivery.objects.get(pk=delivery.pk).state == "given_up"
    assert admin.post(page).status_code == 302
    assert Delivery.objects.get(pk=delivery.pk).state == "waiting"


def test_the_history_of_a_proposal_is_what_the_audit_record_says_of_it(admin):
    proposal, other = ProposalFactory(), ProposalFactory()
    with transaction.atomic():
        for one, why in ((proposal, "mine"), (other, "not mine")):
            audit.record("proposal.commented", actor=audit.SYSTEM, incident_id=one.incident_id, proposal_id=one.pk, text=f"it is {why}")
    body = admin.get(reverse("admin:escalations_proposal_history", args=[proposal.pk])).content.decode()
    assert "it is mine" in body and "it is not mine" not in body


def test_changing_ones_own_password_is_on_the_record_and_the_password_is_not(admin, ada):
    page = reverse("admin:password_change")
    assert admin.get(page).status_code == 200
    new = "quite another battery"
    data = {"old_password": "wrong", "new_password1": new, "new_password2": new}
    assert admin.post(page, data).status_code == 200
    assert admin.post(page, data | {"old_password": PASSWORD}).status_code == 302
    ada.refresh_from_db()
    assert ada.check_password(new)
    entry = AuditEntry.objects.filter(action="person.saved").latest("pk")
    assert entry.actor == "ada" and "password" in entry.body and new not in entry.body
    assert admin.get("/admin/").status_code == 200, "the session that changed it goes on"
