"""The demo company: believable incidents of every kind, which go in by the door everybody uses and come out routed."""

import json

import pytest

from escalations import demo, vault
from escalations.demo.billing import BILLING
from escalations.demo.desk import DESK
from escalations.models import ApiKey, Incident, Person, Proposal, Source, Work
from escalations.states import Kind, State, Status


@pytest.mark.django_db
def test_the_company_has_people_who_can_sign_in_and_sources_that_can_post():
    made = demo.install()
    json.dumps(made)
    assert len(made["people"]) == 3 and len(made["sources"]) == 2
    for one in made["people"]:
        person = Person.objects.get(username=one["username"])
        assert person.check_password(one["password"]) and len(one["password"]) >= 16
    roles = {one["username"]: one["roles"] for one in made["people"]}
    assert "finance" in roles["rosa"] and roles["milan"] == ["manager"] and Person.objects.get(username="ada").is_superuser
    for one in made["sources"]:
        _, key_id, secret = vault.parse_key(one["key"])
        assert vault.matches(secret, ApiKey.objects.alive().get(key_id=key_id, source__name=one["name"]).secret_hash)
        assert one["signing_secret"].startswith("whsec_")
    assert Source.objects.filter(is_demo=True).count() == 1


@pytest.mark.django_db
def test_the_incidents_are_of_every_kind_and_wait_for_the_worker():
    made = demo.install()
    assert 30 <= made["incidents"] == Incident.objects.count() == Work.objects.filter(stage="classify").count()
    assert set(Incident.objects.values_list("kind", flat=True)) == set(Kind.values)
    assert set(Incident.objects.values_list("status", flat=True)) == {Status.RECEIVED}
    titles = [incident["title"] for incident in BILLING + DESK]
    assert len(titles) == len(set(titles))


@pytest.mark.django_db(transaction=True)
def test_the_pipeline_sends_them_to_the_people_the_company_has_for_them(run_jobs):
    demo.install()
    run_jobs()
    assert not Incident.objects.filter(status=Status.RECEIVED).exists()
    asked = dict(Proposal.objects.filter(state=State.PENDING).values_list("incident__title", "role__name"))
    assert asked["Refund €249.00 for order 20390"] == "finance"
    assert asked["Delete 412 customers without orders"] == "process owner"
    assert asked["Give the intern the role billing-admin"] == "security"
    assert asked["Close the account of customer c-5520"] == "process owner"
    assert asked["Export personal data of customer c-3391"] == "specialist"
    assert asked["Statement on the recall of the bunk bed Pico"] == "specialist"
    assert asked["Customer threatens with a lawyer after a hurt finger"] == "specialist"
    fired = {
        proposal.incident.title: proposal.trigger_names
        for proposal in Proposal.objects.select_related("incident").filter(state=State.PENDING)
    }
    assert "injection_suspected" in fired["Answer a review on the shop page"]
    assert "sensitive_data" in fired["Charge a card that was sent by mail"]
    assert "user_request" in fired["Customer insists on talking to a person about an instalment plan"]
    assert "agent_failed" in fired["KeyError: 'vat_rate' while writing an invoice"]
    alone = set(Proposal.objects.filter(decision__by_kind="policy").values_list("incident__title", flat=True))
    assert {"Nightly price import finished", "BasketExpired: a basket of 3 days was emptied"} <= alone
    assert all(Incident.objects.get(title=title).source.is_demo for title in alone)
