"""The reporter keeps what it promises to its host: bounded, redacted, never slow, never broken, nothing lost that could be kept."""

import json
import os
import pickle
import sys
import threading
import time

import httpx
import pytest
from hosting import PATIENCE, until

from countersign.reporting import Reporter, redact
from countersign.reporting.spool import Spool
from countersign.reporting.worker import LARGEST, fitted


class Server:
    """Countersign as far as a reporter sees it: takes posts, says later what became of them, can be down or slow."""

    def __init__(self):
        self.posts, self.keys, self.looks = [], [], 0
        self.answer = {"escalate": "human", "severity": "warning"}
        self.status, self.headers = 201, {}
        self.down = False
        self.hold = None
        self.came = threading.Condition()

    def __call__(self, request):
        if self.hold is not None:
            self.hold.wait(PATIENCE)
        if self.down:
            raise httpx.ConnectError("refused", request=request)
        if request.method == "GET":
            self.looks += 1
            return httpx.Response(200, json={"id": request.url.path.rsplit("/", 1)[1], **self.answer})
        if self.status != 201:
            return httpx.Response(self.status, json={"code": "x"}, headers=self.headers)
        with self.came:
            self.posts.append(json.loads(request.content))
            self.keys.append(request.headers["idempotency-key"])
            self.came.notify_all()
        return httpx.Response(201, json={"id": f"i-{len(self.posts)}", "escalate": None, "severity": None, "review_url": "http://x/1"})

    def got(self, count):
        with self.came:
            assert self.came.wait_for(lambda: len(self.posts) >= count, PATIENCE), self.posts
        return self.posts


@pytest.fixture
def server():
    return Server()


@pytest.fixture
def new(server, tmp_path):
    made = []

    def make(**options):
        options = {"service": "billing", "spool": tmp_path / "spool", "wait": PATIENCE, **options}
        reporter = Reporter("http://countersign", "cs_live_x_y", transport=httpx.MockTransport(server), **options)
        made.append(reporter)
        return reporter

    yield make
    server.down = True
    if server.hold is not None:
        server.hold.set()
    for one in made:
        one.close()


class CardDeclined(Exception):
    retryable = False


def charge(number="A-1"):
    password = "hunter2-local"  # noqa: F841 - what must never be told
    try:
        raise KeyError("gateway")
    except KeyError as error:
        raise CardDeclined(f"card declined for {number}") from error


def failed(*args):
    try:
        charge(*args)
    except CardDeclined as error:
        return error


def test_an_exception_becomes_an_incident_and_its_caller_is_told_the_level(new, server):
    receipt = new(environment="production", release="1.4").report(failed(), request={"method": "POST", "path": "/refunds"})
    (post,) = server.posts
    assert post["kind"] == "exception" and post["title"] == "CardDeclined: card declined for A-1"
    assert post["environment"] == "production" and post["external_id"] == receipt.reference
    exception = post["payload"]["exception"]
    assert exception["type"].endswith("CardDeclined") and exception["retryable"] is False
    assert [one["type"] for one in exception["causes"]] == ["KeyError"] and "in charge" in exception["stacktrace"]
    assert "because of KeyError in charge" in post["context"]["summary"] and post["context"]["request"]["path"] == "/refunds"
    assert post["payload"]["reported"]["service"] == "billing" and post["payload"]["reported"]["release"] == "1.4"
    assert (receipt.incident, receipt.level, receipt.message) == ("i-1", "warning", "routed for human review")
    assert receipt.as_json() == {
        "error": "Internal Server Error", "reference": receipt.reference, "incident": "i-1", "level": "warning",
        "message": "routed for human review",
    }


def test_what_was_passed_on_at_once_is_said_to_be_escalated(new, server):
    server.answer = {"escalate": "auto", "severity": "critical"}
    receipt = new().report(failed())
    assert (receipt.level, receipt.message) == ("critical", "escalated automatically")


def test_nobody_is_told_that_a_person_was_asked_before_it_is_known(new, server):
    server.answer = {"escalate": None, "severity": None}
    receipt = new(wait=0.2).report(failed())
    assert receipt.level is None and receipt.message in ("recorded, being triaged", "recorded here, will be reported")


def test_the_same_failure_has_the_same_fingerprint_whatever_its_message_and_another_has_another(new, server):
    reporter = new(wait=0)
    reporter.report(failed("A-1"))
    reporter.report(failed("B-2"))
    try:
        int("x")
    except ValueError as error:
        reporter.report(error)
    one, two, other = (post["fingerprint"] for post in server.got(3))
    assert one == two != other


def test_no_local_variable_and_no_secret_leaves_the_host(new, server):
    secrets = "token=abcdef123456 Bearer abcdef1234567890 postgres://me:pw1@db/x cs_live_abc_def 4111 1111 1111 1111 AKIAABCDEFGHIJKLMNOP"
    new().report(
        failed(secrets), payload={"headers": {"Authorization": "Basic Zm9vOmJhcg==", "x-api-key": "k-1"}, "cents": 1250},
        context={"attempts": [{"tool": "pay", "arguments": {"card_number": "5500000000000004", "order": "A-1"}}]},
    )
    (post,) = server.posts
    told = json.dumps(post)
    for secret in ("abcdef123456", "pw1", "cs_live_abc", "4111 1111", "AKIAABC", "Zm9v", "k-1", "5500000000000004", "hunter2-local = "):
        assert secret not in told
    assert '"hunter2-local"' not in json.dumps(post["payload"].get("locals", "")) and "'hunter2-local'" not in told
    assert post["payload"]["cents"] == 1250 and post["context"]["attempts"][0]["arguments"]["order"] == "A-1"


def test_reporting_does_not_wait_for_a_server_that_does_not_answer(new, server):
    server.hold = threading.Event()
    reporter = new(wait=0.2)
    reporter.submit(failed())  # its thread is held by the server now
    began = time.monotonic()
    receipt = reporter.report(failed())
    # The promise is 0.2 s; the machine this runs on may be busy with everything else.
    assert time.monotonic() - began < PATIENCE / 2
    assert receipt.state == "queued" and receipt.incident is None and receipt.message == "recorded here, will be reported"


def test_with_the_server_known_to_be_down_nobody_waits_at_all(new, server):
    server.down = True
    reporter = new(wait=600)
    assert reporter.report(failed("A-1")).state == "kept"
    reporter._worker._open_again = time.monotonic() + 600
    assert reporter.report(ValueError("x")).state == "kept"  # would be here in ten minutes


def test_what_could_not_be_sent_is_kept_and_sent_once_it_can_be_by_another_process_too(new, server):
    server.down = True
    first = new()
    kept = [first.report(failed(number)) for number in ("A-1", "A-2", "A-3")]
    assert first.flush(PATIENCE)  # a disk is not waited for either
    assert [one.state for one in kept] == ["kept"] * 3 and first.stats()["kept"] == 3
    first.close()
    server.down = False
    second = new()
    second.report(ValueError("later"))
    titles = [post["title"] for post in server.got(4)]
    assert titles == ["ValueError: later", *[f"CardDeclined: card declined for A-{number}" for number in (1, 2, 3)]]
    assert [f"report:{one.reference}" for one in kept] == server.keys[1:], "the key goes with it: sent twice is one incident"
    until(lambda: second.stats()["kept"] == 0)


def test_a_spool_stays_within_its_bounds_and_gives_up_the_oldest(tmp_path):
    spool = Spool(tmp_path / "s", most=3, most_bytes=10_000)
    for number in range(5):
        assert spool.put(f"k{number}", {"n": number})
    assert [key for _, key, _ in spool.oldest()] == ["k2", "k3", "k4"] and spool.lost == 2
    assert not spool.put("large", {"n": "x" * 20_000})
    assert spool.put("half", {"n": "x" * 9_955}), "one may push out all others"
    assert [key for _, key, _ in spool.oldest()] == ["half"]
    assert sum(path.stat().st_size for path in spool.folder.iterdir()) <= 10_000


def test_a_spool_survives_garbage_and_a_folder_that_is_not_ours(tmp_path):
    spool = Spool(tmp_path / "s", most=10, most_bytes=10_000)
    spool.put("good", {"n": 1})
    (spool.folder / "0-bad.report.json").write_text("{half")
    (spool.folder / "1-odd.report.json").write_text("[1]")
    assert [key for _, key, _ in spool.oldest()] == ["good"]
    (tmp_path / "open").mkdir()
    os.chmod(tmp_path / "open", 0o777)
    assert not Spool(tmp_path / "open", most=10, most_bytes=10_000).put("k", {}), "anybody could have put it there"
    (tmp_path / "link").symlink_to(spool.folder)
    assert list(Spool(tmp_path / "link", most=10, most_bytes=10_000).oldest()) == []
    (tmp_path / "file").write_text("")
    assert not Spool(tmp_path / "file" / "below", most=10, most_bytes=10_000).put("k", {})


def test_what_is_kept_can_be_read_by_its_owner_alone(new, server, tmp_path):
    server.down = True
    new().report(failed())
    (path,) = (tmp_path / "spool").iterdir()
    assert path.stat().st_mode & 0o077 == 0 and path.parent.stat().st_mode & 0o077 == 0


@pytest.mark.parametrize("status", [401, 403, 404, 429, 500, 503])
def test_a_refusal_that_may_end_keeps_the_report(new, server, status):
    server.status = status
    assert new().report(failed()).state == "kept"


def test_a_server_that_asks_for_time_gets_it(new, server):
    server.status, server.headers = 429, {"retry-after": "900"}
    reporter = new()
    reporter.report(failed())
    assert reporter._worker._open_again > time.monotonic() + 600


def test_a_report_that_would_be_refused_again_is_not_kept(new, server):
    server.status = 422
    reporter = new()
    assert reporter.report(failed()).message == "not reported"
    assert reporter.stats() == {"sent": 0, "dropped": 0, "refused": 1, "kept": 0, "alike": 0}


def test_the_same_failure_over_and_over_is_told_some_times_and_then_counted(new, server):
    reporter = new(alike=3, queued=1000)
    receipts = [reporter.report(failed(str(number))) for number in range(50)]
    assert len(server.posts) == 3 and reporter.stats()["alike"] == 47
    assert receipts[-1].incident == "i-3", "whoever is not told separately is told of the last one"


def test_an_exception_reported_twice_is_one_report_and_can_still_be_pickled(new, server):
    reporter = new()
    error = failed()
    assert reporter.report(error).reference == reporter.report(error).reference and len(server.posts) == 1
    assert pickle.loads(pickle.dumps(ValueError("plain"))).args == ("plain",)
    assert isinstance(pickle.loads(pickle.dumps(error)), CardDeclined)


def test_a_full_queue_drops_and_counts(new, server):
    server.hold = threading.Event()
    reporter = new(queued=2, wait=0, alike=1000)
    for number in range(10):
        reporter.report(ValueError(number), fingerprint=str(number))
    assert reporter.stats()["dropped"] >= 7


@pytest.mark.parametrize("not_an_error", [KeyboardInterrupt(), SystemExit(), GeneratorExit(), None])
def test_what_is_no_error_is_not_reported(new, server, not_an_error):
    reporter = new()
    assert reporter.report(not_an_error).state == "dropped"
    reporter.flush()
    assert not server.posts


def test_a_host_whose_objects_break_when_looked_at_is_not_broken(new, server):
    class Bad(Exception):
        def __str__(self):
            raise RuntimeError("no")

        __repr__ = __str__

    class Worse:
        def __repr__(self):
            raise RuntimeError("no")

    receipt = new().report(Bad(), payload={"worse": Worse(), ("a", 1): {1, 2}, "nan": float("nan"), "deep": deep(50)})
    assert receipt.state == "sent" and server.posts[0]["payload"]["worse"] == "<Worse>"
    assert new(before_send=lambda incident: 1 / 0).report(failed()).state == "dropped"


def deep(levels):
    return [deep(levels - 1)] if levels else "x"


def test_a_host_may_change_or_drop_a_report_last(new, server):
    reporter = new(before_send=lambda incident: None if "B-2" in incident["title"] else {**incident, "title": "changed"})
    assert reporter.report(failed("A-1")).state == "sent" and server.posts[0]["title"] == "changed"
    assert reporter.report(failed("B-2")).state == "dropped" and len(server.posts) == 1


def test_recursion_chains_in_a_circle_and_groups_are_told_of_within_bounds(new, server):
    def down(level):
        return down(level + 1)

    try:
        down(0)
    except RecursionError as error:
        new(wait=PATIENCE).report(error)
    one, two = ValueError("one"), ValueError("two")
    one.__context__, two.__context__ = two, one
    new().report(one)
    assert len(server.posts[0]["payload"]["exception"]["stacktrace"]) < 50_000
    assert [cause["message"] for cause in server.posts[1]["payload"]["exception"]["causes"]] == ["two"]
    if sys.version_info >= (3, 11):
        new().report(ExceptionGroup("several", [ValueError("a"), TypeError("b")]))  # noqa: F821
        assert [cause["type"] for cause in server.posts[2]["payload"]["exception"]["causes"]] == ["ValueError", "TypeError"]


def test_a_report_is_never_larger_than_what_is_taken():
    large = {"kind": "exception", "payload": {"exception": {"type": "X"}, "more": "x" * 300_000}, "context": {"summary": "s", "attempts": ["y" * 300_000]}}
    small = fitted(large)
    assert len(json.dumps(small)) < LARGEST and small["payload"]["exception"] == {"type": "X"} and small["context"] == {"summary": "s"}


def test_a_host_that_hands_over_half_its_memory_costs_little():
    told = redact.value({"rows": [{"text": "x" * 100_000} for _ in range(10_000)], "ids": list(range(100_000))})
    assert len(json.dumps(told)) < 400_000


def test_hiding_takes_its_time_by_length_and_no_more():
    """Texts made to keep a regular expression busy, of the longest that is read: an exponential one would not end."""
    for said in ("token=", 'token="', "_pass_", "eyJa.", "4111-", "http://a:", "-----BEGIN A ", "AB12 ", "api_key ", '\\"'):
        assert len(redact.text(said * (redact.LONGEST // len(said)))) <= redact.LONGEST * 2


def test_without_an_address_it_does_nothing(monkeypatch):
    monkeypatch.delenv("COUNTERSIGN_URL", raising=False)
    monkeypatch.delenv("COUNTERSIGN_KEY", raising=False)
    reporter = Reporter()
    assert not reporter.enabled and reporter.report(failed()).message == "not reported"
