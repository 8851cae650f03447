"""The operators' command line: what it prints, what it refuses, and a file replayed to a server that really listens."""

import gzip
import io
import json
import os
from pathlib import Path

import pytest
from django.core.management import CommandError, call_command

from escalations import vault
from escalations.management.replaying import Unreadable, incident_of, key_of, read_records
from escalations.models import ApiKey, AuditEntry, Incident, Person, PersonToken, Source

SHARED = Path(os.environ.get("COUNTERSIGN_SHARED_DATA") or Path(__file__).resolve().parents[3] / "shared" / "data")


def run(*args, **options):
    out, err = io.StringIO(), io.StringIO()
    call_command(*args, stdout=out, stderr=err, **options)
    return out.getvalue()


def run_json(*args):
    """Return the one JSON object on standard output."""
    return json.loads(run(*args, "--json"))


# -- add_source


@pytest.mark.django_db
def test_add_source_prints_a_key_that_works_and_a_secret_that_signs():
    said = run_json("add_source", "billing-agent")
    assert set(said) == {"source", "key", "signing_secret"}
    prefix, key_id, secret = vault.parse_key(said["key"])
    assert prefix == "cs_live"
    assert vault.matches(secret, ApiKey.objects.alive().get(key_id=key_id).secret_hash)
    assert said["signing_secret"].startswith("whsec_")
    assert AuditEntry.objects.filter(action="key.issued", actor="system").exists()


@pytest.mark.django_db
def test_add_source_issues_a_dsn_where_it_is_asked_for(settings):
    settings.PUBLIC_URL = "https://countersign.example"

    dsn = run_json("add_source", "shop", "--dsn")["dsn"]

    source = Source.objects.get(name="shop")
    assert dsn.startswith("https://cs_live_") and dsn.endswith(f"@countersign.example/{source.pk}")
    assert sorted(scope for key in source.keys.all() for scope in key.scopes) == ["events:write", "incidents:read", "incidents:write"]
    assert "dsn" not in run_json("add_source", "other")


@pytest.mark.django_db
def test_add_source_takes_a_callback_an_owner_and_a_test_key(settings):
    settings.DEBUG = True  # plain http to this machine
    run("add_person", "ada")
    said = run_json("add_source", "agent", "--callback", "http://127.0.0.1:9000/hook", "--owner", "ada", "--env", "test")
    source = Source.objects.get(name="agent")
    assert (source.owner.username, source.callback_url) == ("ada", "http://127.0.0.1:9000/hook")
    assert said["key"].startswith("cs_test_")


@pytest.mark.django_db
@pytest.mark.parametrize("args", [
    ["two words"], ["agent", "--owner", "nobody"], ["agent", "--callback", "ftp://x"], ["agent", "--callback", "http://example.com/"],
    ["TAKEN"],
])
def test_add_source_refuses_in_one_line_and_leaves_nothing(args):
    run("add_source", "taken")
    with pytest.raises(CommandError) as error:
        run("add_source", *args)
    assert "\n" not in str(error.value)
    assert Source.objects.count() == 1


# -- add_person


@pytest.mark.django_db
def test_add_person_makes_up_a_password_and_mints_a_token():
    said = run_json("add_person", "rosa", "--role", "finance", "queue manager", "--role", "support", "--token", "--interactive")
    rosa = Person.objects.get(username="rosa")
    assert said["person"] == "rosa" and rosa.check_password(said["password"])
    assert {role.name for role in rosa.roles()} == {"finance", "queue manager", "support"}
    token = PersonToken.objects.alive().get(key_id=vault.parse_key(said["token"])[1])
    assert token.interactive and token.person == rosa
    assert rosa.notices.filter(kind="token_minted").exists()
    assert not (rosa.is_staff or rosa.is_superuser)


@pytest.mark.django_db
def test_add_person_reads_a_password_from_standard_input_and_does_not_print_it(monkeypatch):
    monkeypatch.setattr("sys.stdin", io.StringIO("correct horse battery\n"))
    said = run_json("add_person", "ada", "--admin", "--password", "-")
    ada = Person.objects.get(username="ada")
    assert ada.check_password("correct horse battery") and ada.is_superuser
    assert "password" not in said and "token" not in said


@pytest.mark.django_db
@pytest.mark.parametrize(("args", "said"), [
    (["rosa"], "already"), (["ROSA"], "already"), (["bob", "--role", "king"], "No role called king"),
    (["bob", "--password", "secret"], "takes only -"), (["bob", "--interactive"], "add --token"), (["bob", "--token", "--days", "400"], "90"),
    (["b b"], "username"),
])
def test_add_person_refuses_in_words_and_leaves_nothing(args, said):
    run("add_person", "rosa")
    with pytest.raises(CommandError) as error:
        run("add_person", *args)
    assert said in str(error.value)
    assert list(Person.objects.values_list("username", flat=True)) == ["rosa"]


# -- replay_file

RECORDS = [
    {"id": "r-1", "source": "bench/x", "group": "g", "label": {"should_approve": True}, "kind": "action", "title": "send_money",
     "payload": {"suite": "banking", "model": "some-model"}, "ts": None,
     "context": {"request": "Pay the bill", "attempts": [{"tool": "read", "arguments": {"a": 1}, "result": "98.70", "step": 2}], "why": "due"},
     "proposal": {"action": "send_money", "arguments": {"amount": 98.7}}},
    {"id": "r-2", "kind": "message", "title": "Where is my card?", "payload": {"text": "Where is my card?"}, "context": {}, "proposal": None},
    {"id": "r-3", "kind": "log", "title": "parity error", "payload": {"system": "BGL"}, "context": {}, "proposal": None},
    {"id": "r-4", "kind": "exception", "title": "t" * 900, "payload": {"exception_type": "UAF", "frames": ["a", "b"]}, "proposal": None},
    {"id": "r 5 é", "kind": "action", "title": "said and not wanted", "payload": {}, "context": {}, "proposal": None},
]


@pytest.fixture
def file(tmp_path):
    path = tmp_path / "records.jsonl.gz"
    path.write_bytes(gzip.compress("\n".join(json.dumps(record) for record in RECORDS).encode()))
    return path


def test_what_would_give_the_answer_away_is_not_posted():
    posted = json.dumps(incident_of(RECORDS[0]))
    for hidden in ("r-1", "bench/x", "should_approve", "some-model", '"group"', "step"):
        assert hidden not in posted


def test_kinds_arguments_and_crashes_are_called_what_the_contract_calls_them():
    first, second, third, fourth, fifth = (incident_of(record) for record in RECORDS)
    assert first["proposal"] == {"action": "send_money", "args": {"amount": 98.7}}
    assert (second["kind"], third["kind"], fifth["kind"]) == ("question", "alert", "question")
    assert fourth["payload"]["exception"]["type"] == "UAF" and fourth["payload"]["exception"]["stacktrace"] == "a\nb"
    assert len(fourth["title"]) == 500 and fourth["body"] == "t" * 900


def test_a_file_that_is_none_is_refused_with_its_line(tmp_path):
    path = tmp_path / "bad.jsonl"
    path.write_text('{"id": "1", "kind": "log"}\n{"id":\n')
    with pytest.raises(Unreadable, match="line 2"):
        read_records(path)
    with pytest.raises(Unreadable):
        read_records(tmp_path / "nowhere.jsonl")
    assert len(read_records(path, limit=1)) == 1


@pytest.mark.django_db(transaction=True)
def test_a_file_is_posted_to_a_running_server_once_however_often_it_is_replayed(file, live_server):
    first = run_json("replay_file", str(file), "--source", "replay", "--url", live_server.url)
    assert first == {"posted": 5, "created": 5, "replayed": 0, "failed": 0}
    second = run_json("replay_file", str(file), "--source", "replay", "--url", live_server.url)
    assert second == {"posted": 5, "created": 0, "replayed": 5, "failed": 0}
    assert Incident.objects.filter(source__name="replay").count() == 5
    assert set(Incident.objects.values_list("key", flat=True)) == {key_of(record) for record in RECORDS}
    assert not ApiKey.objects.alive().exists(), "a key it issued for itself does not stay"


@pytest.mark.django_db(transaction=True)
def test_a_given_key_is_used_and_kept(file, live_server):
    said = run_json("add_source", "replay")
    totals = run_json("replay_file", str(file), "--source", "replay", "--url", live_server.url, "--key", said["key"], "--limit", "2")
    assert totals["created"] == 2
    assert ApiKey.objects.alive().count() == 1


@pytest.mark.django_db(transaction=True)
def test_a_wrong_key_is_told_and_ends_with_a_failure(file, live_server, capsys):
    with pytest.raises(SystemExit):
        run("replay_file", str(file), "--source", "replay", "--url", live_server.url, "--key", "cs_live_000000000000_" + "0" * 43)
    assert not Incident.objects.exists()


@pytest.mark.django_db
def test_a_server_that_does_not_answer_is_one_clear_line(file):
    with pytest.raises(CommandError, match="Is the server running"):
        run("replay_file", str(file), "--source", "replay", "--url", "http://127.0.0.1:9", "--limit", "1")
    assert not ApiKey.objects.alive().exists()


@pytest.mark.django_db(transaction=True)
@pytest.mark.parametrize("name", ["agentdojo_actions", "banking77", "ossfuzz_crashes", "bgl_alert_stream", "sentry_events"])
def test_the_evaluation_files_can_be_replayed(name, live_server):
    path = SHARED / f"{name}.jsonl.gz"
    if not path.exists():
        pytest.skip(f"{path} is absent: the evaluation data is not part of a checkout (COUNTERSIGN_SHARED_DATA says where it lies)")
    totals = run_json("replay_file", str(path), "--source", "replay", "--url", live_server.url, "--limit", "20")
    assert totals == {"posted": 20, "created": 20, "replayed": 0, "failed": 0}
