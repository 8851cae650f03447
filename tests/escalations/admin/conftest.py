"""People who administer, and how to talk to the pages."""

import pytest

from escalations.models import Person

PASSWORD = "correct horse battery"


def administrator(username, **more):
    given = {"is_staff": True, "is_superuser": True} | more
    return Person.objects.create_user(username, f"{username}@example.com", PASSWORD, **given)


@pytest.fixture
def ada(db):
    return administrator("ada")


@pytest.fixture
def admin(client, ada):
    """A client signed in as an administrator of everything."""
    client.force_login(ada)
    return client
