"""What looks like a secret, however it is written, and wherever a text is cut."""

import json

import pytest

from countersign.reporting import building, redact

SECRET = "hunter2secret"


def told(message):
    """Return the incident of an exception with this message, as JSON."""
    try:
        raise ValueError(message)
    except ValueError as error:
        return json.dumps(building.of_exception(building.caught(error), reference="r"))


@pytest.mark.parametrize("said", [
    "{b'password': b'%s'}", "<QueryDict: {'password': ['%s']}>", "password=SecretStr('%s')", "PGPASSWORD=%s psql", "newPassword: '%s'",
    "SECRET_KEY = '%s'", "secretKey: %s", "{'passwords': ['%s']}", "[(b'x-api-key', b'%s')]", "password%%3D%s", "AccountKey=%s;",
    'password="%s and no end', "dbpassword=%s", "passwd=(%s)",
])
def test_a_secret_is_hidden_however_it_is_written(said):
    assert SECRET not in redact.text(said % SECRET)


@pytest.mark.parametrize("said", [
    "max_tokens: 1200", "compass: north", "the password is too short", "Secretary: Ann", 'File "/app/auth.py", line 12, in charge',
])
def test_what_only_looks_like_one_can_be_read(said):
    assert redact.text(said) == said


@pytest.mark.parametrize("length", [*range(265, 295), *range(3_960, 3_998), 49_970, 49_985])
def test_no_cut_leaves_half_a_login(length):
    said = "x" * length + " postgres://app:hunter2hunter2hunter2@db/prod"
    assert "hunter2" not in told(said)
    assert "hunter2" not in json.dumps(redact.value({"note": said}))


@pytest.mark.parametrize("value", [
    {b"authorization": SECRET}, [("x-api-key", SECRET)], [[b"cookie", SECRET.encode()]], {"number": 4111111111111111},
])
def test_headers_in_pairs_and_bytes_are_hidden_by_their_names(value):
    shown = json.dumps(redact.value({"scope": value}))
    assert SECRET not in shown and "4111111111111111" not in shown
