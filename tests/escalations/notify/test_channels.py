"""Channels besides mail: each fails by itself, visibly, and what it was to carry is not lost."""

import json
import signal
import threading
from contextlib import contextmanager
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer

import pytest
from django.core import mail

from escalations import audit, notify, outbox, policies, vault
from escalations.models import Channel, Notice, NoticeWishes
from escalations.notify import sending
from escalations.senders import SendFailed, apprise
from escalations.states import Sending
from tests.factories import PersonFactory, ProposalFactory

pytestmark = pytest.mark.django_db


class Room:
    """A chat room on this machine: takes what is posted, or fails as it is told."""

    def __init__(self):
        self.posts, self.status, self.headers, self.release = [], 200, {}, threading.Event()
        self.release.set()
        room = self

        class Handler(BaseHTTPRequestHandler):
            def do_POST(self):
                said = json.loads(self.rfile.read(int(self.headers["Content-Length"])))
                room.release.wait(30)
                room.posts.append(said)
                self.send_response(room.status)
                for name, value in room.headers.items():
                    self.send_header(name, value)
                self.send_header("Content-Length", "0")
                self.end_headers()

            do_GET = do_POST

            def log_message(self, *args):
                pass

        self.server = ThreadingHTTPServer(("127.0.0.1", 0), Handler)
        self.server.daemon_threads = True
        self.url = f"json://127.0.0.1:{self.server.server_port}/room"
        threading.Thread(target=self.server.serve_forever, daemon=True).start()

    def close(self):
        self.release.set()
        self.server.shutdown()
        self.server.server_close()


@contextmanager
def a_room():
    room = Room()
    try:
        yield room
    finally:
        room.close()


@pytest.fixture
def room():
    with a_room() as room:
        yield room


@pytest.fixture(autouse=True)
def loopback(settings):
    settings.DEBUG = True


def channel(url, **whose):
    return Channel.objects.create(sealed=vault.seal(url.encode()), label="a room", **whose)


def open_one(kind="escalated", *, to, **proposal):
    return outbox.open_notice(kind, proposal=ProposalFactory(role=to, **proposal), role=to, step=1)


def test_a_role_s_channel_and_its_people_are_told_of_the_same(room, finance):
    person, where = PersonFactory(roles=["finance"]), channel(room.url, role=finance)
    open_one(to=finance, title="Refund for Mia")

    assert notify.run_batch() == 2

    assert [message.to for message in mail.outbox] == [[person.email]]
    assert room.posts[0]["title"] == "Escalated to finance: Refund for Mia"
    assert "/proposals/" in room.posts[0]["message"] and "Opening the page decides nothing" in room.posts[0]["message"]
    where.refresh_from_db()
    assert where.last_sent_at is not None and where.failing_since is None


def test_a_person_s_own_channel_instead_of_mail(room, finance):
    person = PersonFactory(roles=["finance"])
    channel(room.url, person=person)
    NoticeWishes.objects.create(person=person, by_mail=False)
    open_one(to=finance)
    notify.run_batch()
    assert len(room.posts) == 1 and mail.outbox == []


def test_only_what_a_channel_is_for_goes_there(room, finance):
    channel(room.url, role=finance, notices=["critical"])
    open_one(to=finance)
    open_one("critical", to=finance)
    notify.run_batch()
    assert [post["title"].split(",")[0] for post in room.posts] == ["Critical"]


def test_a_stranger_s_words_call_nobody_and_hide_nothing(room, finance):
    channel(room.url, role=finance)
    open_one(to=finance, title="<!channel> @everyone <script>x</script> pay \u202egnp 4111 1111 1111 1111 http://evil.example")
    notify.run_batch()
    said = room.posts[0]["title"] + room.posts[0]["message"]
    for bad in ("<", "@everyone", "\u202e", "1111", "://evil"):
        assert bad not in said


@pytest.mark.parametrize("status", [404, 500])
def test_a_channel_that_fails_is_named_left_alone_for_a_while_and_tried_again(status, room, finance, time):
    where = channel(room.url, role=finance)
    room.status = status
    notice = open_one(to=finance)[0]

    notify.run_batch()

    where.refresh_from_db()
    notice.refresh_from_db()
    assert where.failing_since is not None and where.last_error == f"answered {status}"
    assert (notice.state, notice.attempts, notice.error) == (Sending.WAITING, 1, f"answered {status}")

    began, asked = where.failing_since, len(room.posts)
    other = open_one(to=finance)[0]  # a new one does not knock at a door that is shut
    notify.run_batch()
    other.refresh_from_db()
    assert (len(room.posts), other.attempts) == (asked, 0)

    room.status = 200
    time(seconds=sending.WAITS[0])
    notify.run_batch()
    where.refresh_from_db()
    assert began is not None and where.failing_since is None and where.last_error == ""
    assert set(Notice.objects.values_list("state", flat=True)) == {Sending.SENT}


def test_one_that_answers_too_late(room, finance, settings):
    where = channel(f"{room.url}?rto=0.2", role=finance)
    room.release.clear()
    open_one(to=finance)
    notify.run_batch()
    where.refresh_from_db()
    assert where.last_error == "no answer in time"


def test_one_that_is_not_there_at_all(finance):
    where = channel("json://127.0.0.1:9/nobody", role=finance)
    open_one(to=finance)
    notify.run_batch()
    where.refresh_from_db()
    assert where.last_error == "it was not taken, or cannot be reached"


def test_a_channel_that_hangs_costs_neither_mails_nor_other_channels_anything(room, finance, monkeypatch):
    monkeypatch.setattr(apprise, "SECONDS", 3.0)
    person = PersonFactory(roles=["finance"])
    room.release.clear()
    slow = channel(f"{room.url}?rto=60", role=finance)
    with a_room() as other:
        quick = channel(other.url, role=finance)
        open_one(to=finance)
        notify.run_batch()
        slow.refresh_from_db()
        quick.refresh_from_db()
        assert len(other.posts) == 1 and [message.to for message in mail.outbox] == [[person.email]]
        assert slow.last_error == "no answer within 3 s" and quick.failing_since is None
    assert Notice.objects.get(channel=slow).state == Sending.WAITING


def test_a_wrong_address_is_given_up_and_its_person_told_by_mail_after_all(finance):
    person = PersonFactory(roles=["finance"])
    where = channel("nonsense://x", person=person)
    NoticeWishes.objects.create(person=person, by_mail=False)
    open_one(to=finance)
    notify.run_batch()
    notify.run_batch()
    where.refresh_from_db()
    assert where.last_error == "Apprise cannot read this address"
    assert [message.to for message in mail.outbox] == [[person.email]]
    assert sorted(Notice.objects.values_list("state", flat=True)) == [Sending.GIVEN_UP, Sending.SENT]


def test_what_waits_for_a_channel_that_is_switched_off_is_told_by_mail(room, finance):
    person = PersonFactory(roles=["finance"])
    where = channel(room.url, person=person)
    NoticeWishes.objects.create(person=person, by_mail=False)
    open_one(to=finance)
    policies.disable_channel(where, actor=audit.SYSTEM)
    notify.run_batch()
    notify.run_batch()
    assert room.posts == [] and [message.to for message in mail.outbox] == [[person.email]]


def test_a_test_goes_at_once_even_where_it_failed_a_moment_ago(room, finance):
    where = channel(room.url, role=finance)
    room.status = 500
    open_one(to=finance)
    notify.run_batch()
    room.status = 200
    policies.try_channel(where, actor=audit.SYSTEM)
    notify.run_batch()
    where.refresh_from_db()
    assert room.posts[-1]["title"] == "A test from Countersign" and where.failing_since is None


def test_without_a_process_the_mails_go_all_the_same(finance, monkeypatch):
    PersonFactory(roles=["finance"])
    channel("json://127.0.0.1:9/x", role=finance)

    def none_left(*args, **options):
        raise OSError("no more processes")

    monkeypatch.setattr(apprise.subprocess, "Popen", none_left)
    open_one(to=finance)
    notify.run_batch()
    assert len(mail.outbox) == 1 and Channel.objects.get().last_error == "its process could not be started"


# -- what the process may reach


@pytest.mark.parametrize(
    ("url", "why"),
    [
        ("jsons://127.0.0.1/x", "127.0.0.1 is this machine itself"),
        ("jsons://localhost/x", "is this machine itself"),
        ("jsons://10.1.2.3/x", "10.1.2.3 is not a public address"),
        ("jsons://169.254.169.254/latest/meta-data", "169.254.169.254 is not a public address"),
        ("jsons://0x7f000001/x", "127.0.0.1 is this machine itself"),
        ("rsyslog://127.0.0.1", "127.0.0.1 is this machine itself"),
        ("mailtos://user:pass@192.168.1.1?to=a@b.example", "192.168.1.1 is not a public address"),
        ("json://example.com/x", "it is not encrypted; write jsons://"),
        ("workflows://host.example/workflow/sig?template=/etc/passwd", "it would read a file of this machine"),
        ("syslog://", "syslog speaks to this machine only"),
        ("dbus://", "dbus speaks to this machine only"),
        ("file:///etc/passwd", "file speaks to this machine only"),
        ("exec://ls", "exec speaks to this machine only"),
    ],
)
def test_nothing_is_sent_to_where_nothing_of_ours_may_go(url, why, settings):
    settings.DEBUG = False
    with apprise.Round([apprise.Post("1", url, "t", "b")]) as going:
        outcome = going.outcomes()["1"]
    assert isinstance(outcome, SendFailed) and why in outcome.reason


def test_the_process_holds_no_secret_of_ours(monkeypatch):
    monkeypatch.setenv("SECRET_KEY", "s")
    started = {}
    plain = apprise.subprocess.Popen

    def look(command, **options):
        started.update(options)
        return plain(command, **options)

    monkeypatch.setattr(apprise.subprocess, "Popen", look)
    apprise.check("ntfys://ntfy.sh/x", own=True)
    assert set(started["env"]) <= {"LANG", "PYTHONDONTWRITEBYTECODE", "SSL_CERT_FILE"}


@pytest.mark.parametrize("url", ["jsons://hooks.example.com/x", "mailtos://a:b@example.com", "rsyslog://logs.example.com", "smtp2go://a@b/c"])
def test_a_person_may_name_only_services_made_for_people(url):
    with pytest.raises(SendFailed, match="for administrators"):
        apprise.check(url, own=True)


@pytest.mark.parametrize(
    ("url", "label"),
    [
        ("ntfys://token@ntfy.example.com/topic", "ntfy (ntfy.example.com)"),
        ("slack://TokenA12345/TokenB1234567/TokenC123456789012345678901/#chan", "Slack"),
        ("tgram://123456789:abcdefg_hijklmnop/12315544/", "Telegram"),
        ("pagerduty://integrationkey@apikey", "Pager Duty"),
        ("pagerduty://integrationkey@api.key", "Pager Duty"),
        ("pbul://o.AbCdEfGhIjKlMnOpQrStUvWxYz012345", "Pushbullet"),
        ("signl4://se.cret", "SIGNL4"),
        ("ntfys://secret.topic", "ntfy"),
        ("https://ntfy.sh/topic", "ntfy (ntfy.sh)"),
    ],
)
def test_a_label_has_no_secret_in_it(url, label):
    assert apprise.check(url, own=True) == label


class Hose:
    """A server that answers every request with `piece`, for ever; `pause` seconds between two."""

    def __init__(self, piece, pause):
        self.served, ended = threading.Event(), threading.Event()
        self.ended, hose = ended, self

        class Handler(BaseHTTPRequestHandler):
            def do_POST(self):
                self.rfile.read(int(self.headers["Content-Length"]))
                self.send_response(200)
                self.end_headers()
                hose.served.set()
                try:
                    while not ended.wait(pause):
                        self.wfile.write(piece)
                except OSError:
                    pass

            def log_message(self, *args):
                pass

        self.server = ThreadingHTTPServer(("127.0.0.1", 0), Handler)
        self.server.daemon_threads = True
        self.url = f"json://127.0.0.1:{self.server.server_port}/hose"
        threading.Thread(target=self.server.serve_forever, daemon=True).start()

    def close(self):
        self.ended.set()
        self.server.shutdown()
        self.server.server_close()


@contextmanager
def a_hose(piece, pause=0.0):
    hose = Hose(piece, pause)
    try:
        yield hose
    finally:
        hose.close()


def test_an_answer_without_an_end_fails_early_and_costs_the_others_nothing(room):
    with a_hose(b"x" * 65_536) as hose, apprise.Round([apprise.Post("1", hose.url, "t", "b"), apprise.Post("2", room.url, "t", "b")]) as going:
        outcomes = going.outcomes()
    assert outcomes["1"].reason == "its answer is too long" and outcomes["2"] is None


def test_a_process_whose_worker_was_killed_ends_although_its_channel_never_does():
    with a_hose(b"x", 0.2) as hose:
        post = {"id": "1", "url": f"{hose.url}?rto=600", "title": "t", "body": "b", "kind": "info"}
        process = apprise._start({"loopback": True, "seconds": 1.5, "posts": [post]})
        try:
            assert hose.served.wait(10)
            assert process.wait(10) == -signal.SIGALRM
        finally:
            process.kill()
            process.wait()
            process.stdout.close()
