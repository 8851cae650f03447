"""A person's own tokens."""

from escalations.models import PersonToken
from tests.factories import PersonFactory, PersonTokenFactory


def test_a_token_is_minted_after_the_password_and_shown_once(signed_in):
    person = PersonFactory(roles=["finance"], password="correct horse battery")
    client = signed_in(person)

    minted = client.post("/tokens/", {"password": "correct horse battery", "days": "7"})

    token = PersonToken.objects.get()
    assert minted.status_code == 200
    assert f"cs_person_{token.key_id}_" in minted.content.decode() and 'id="minted"' in minted.content.decode()
    assert 'id="minted"' not in client.get("/tokens/").content.decode()
    assert token.person == person and not token.interactive


def test_a_wrong_password_mints_nothing(signed_in):
    client = signed_in(PersonFactory(password="correct horse battery"))

    answer = client.post("/tokens/", {"password": "wrong", "days": "7"})

    assert answer.status_code == 422
    assert "That is not your password" in answer.content.decode()
    assert not PersonToken.objects.exists()


def test_a_token_lives_ninety_days_at_most(signed_in):
    client = signed_in(PersonFactory(password="correct horse battery"))

    assert client.post("/tokens/", {"password": "correct horse battery", "days": "91"}).status_code == 422


def test_only_ones_own_tokens_are_seen_and_revoked(signed_in):
    person = PersonFactory()
    mine, other = PersonTokenFactory(person=person), PersonTokenFactory()
    client = signed_in(person)

    assert other.key_id not in client.get("/tokens/").content.decode()
    assert client.post("/tokens/", {"revoke": other.key_id}).status_code == 404
    assert client.post("/tokens/", {"revoke": mine.key_id}).status_code == 303

    mine.refresh_from_db()
    other.refresh_from_db()
    assert mine.revoked_at and not other.revoked_at
