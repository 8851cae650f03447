"""Monitoring as it is: Prometheus Alertmanager (by its webhook and by its PagerDuty receiver), two PagerDuty clients, the CloudEvents SDK."""

import json
import shutil
import subprocess
from collections.abc import Iterator
from contextlib import contextmanager
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

import httpx
import pytest

from tests.clients.conftest import PATIENCE, install, run
from tests.clients.tls import in_front_of
from tests.e2e.company import free_port, until

HERE = Path(__file__).parent
LABELS = {"alertname": "DiskFull", "cluster": "eu", "severity": "page"}


def lines(done: subprocess.CompletedProcess[str]) -> list[dict[str, Any]]:
    assert done.returncode == 0, done.stderr[-3000:]
    return [json.loads(line) for line in done.stdout.splitlines()]


@pytest.fixture
def told(company):
    """Call with a source and a filter: all its incidents, as its key is told of them, newest first."""

    def ask(source: dict[str, str], **query: str) -> list[dict[str, Any]]:
        answer = httpx.get(
            f"{company.url}/api/v1/incidents", params={"limit": "100", **query}, headers={"authorization": f"Bearer {source['key']}"}, timeout=30,
        )
        listed: list[dict[str, Any]] = answer.json()["items"]
        return listed

    return ask


# -- Alertmanager


@pytest.fixture(scope="session")
def alertmanager(environments: Path) -> list[str]:
    """The command that runs it as the distribution packs it: the one that is installed, or the package's, unpacked. Skips, loudly."""
    if found := shutil.which("prometheus-alertmanager"):
        return [found]
    if not all(shutil.which(one) for one in ("apt-get", "dpkg-deb", "unshare")):
        pytest.skip("PROMETHEUS-ALERTMANAGER IS NOT INSTALLED, and cannot be fetched without apt-get, dpkg-deb and unshare")
    folder = environments / "alertmanager"
    program = folder / "usr/bin/prometheus-alertmanager"
    if not program.exists():
        folder.mkdir(exist_ok=True)
        fetch = f"cd '{folder}' && (apt-get -q download prometheus-alertmanager || (apt-get -q update && apt-get -q download prometheus-alertmanager))"
        install(["sh", "-c", f"{fetch} && dpkg-deb -x ./prometheus-alertmanager_*.deb ."], folder, ("prometheus-alertmanager",))
    # It reads its templates from /usr/share: it is given the package's there, and nobody else sees that.
    for alone in (["unshare", "-rm"], ["unshare", "-m"]):
        command = [*alone, "sh", "-c", f"mount --bind '{folder}/usr/share' /usr/share && exec \"$@\"", "sh", str(program)]
        if subprocess.run([*command, "--version"], capture_output=True, check=False).returncode == 0:
            return command
    pytest.skip("PROMETHEUS-ALERTMANAGER IS NOT INSTALLED, and this machine lets nobody mount its templates")


class Manager:
    """A running Alertmanager; `fire` and `end` are what Prometheus would send it."""

    def __init__(self, url: str) -> None:
        self.url = url

    def ready(self) -> bool:
        try:
            return httpx.get(f"{self.url}/-/ready", timeout=5).status_code == 200
        except httpx.HTTPError:
            return False

    def fire(self, *instances: str) -> None:
        self._post([self._alert(one) for one in instances])

    def end(self, *instances: str) -> None:
        now = datetime.fromtimestamp(int(subprocess.check_output(["date", "+%s"])), UTC)
        self._post([{**self._alert(one), "endsAt": now.isoformat()} for one in instances])

    def _alert(self, instance: str) -> dict[str, Any]:
        return {
            "labels": {**LABELS, "instance": instance}, "annotations": {"summary": "Disk is full", "runbook_url": "http://rb/1"},
            "generatorURL": "http://prom.local/graph",
        }  # fmt: skip

    def _post(self, alerts: list[dict[str, Any]]) -> None:
        assert httpx.post(f"{self.url}/api/v2/alerts", json=alerts, timeout=30).status_code == 200

    def sent(self, integration: str) -> int:
        """Return how many notifications left by that integration; a failed one fails the test."""
        counted = {"alertmanager_notifications_total": 0.0, "alertmanager_notifications_failed_total": 0.0}
        for line in httpx.get(f"{self.url}/metrics", timeout=30).text.splitlines():
            name, _, rest = line.partition("{")
            if name in counted and f'integration="{integration}"' in rest:
                counted[name] += float(rest.rpartition(" ")[2])
        assert not counted["alertmanager_notifications_failed_total"]
        return int(counted["alertmanager_notifications_total"])


@contextmanager
def running(program: list[str], folder: Path, receiver: str) -> Iterator[Manager]:
    """Run it with one receiver, quick to send and quick to repeat."""
    config = folder / "alertmanager.yml"
    config.write_text(
        "route: {receiver: countersign, group_by: [alertname, cluster], group_wait: 1s, group_interval: 1s, repeat_interval: 2s}\n"
        f"receivers:\n- name: countersign\n  {receiver}\n"
    )
    manager = Manager(f"http://127.0.0.1:{free_port()}")
    with (folder / "log.txt").open("wb") as log:
        process = subprocess.Popen(
            [*program, f"--config.file={config}", f"--storage.path={folder / 'data'}", f"--web.listen-address={manager.url[7:]}",
             "--cluster.listen-address="], stdout=log, stderr=log,
        )  # fmt: skip
    try:
        until(manager.ready, PATIENCE, "Alertmanager is ready")
        yield manager
    finally:
        process.terminate()
        process.wait(30)


def test_alertmanager_opens_each_alert_once_and_withdraws_what_resolves(alertmanager, tmp_path, company, new_source, desk, told):
    source = new_source("prometheus")
    receiver = (
        f'webhook_configs: [{{url: "{company.url}/alertmanager/webhook", send_resolved: true, '
        f'http_config: {{authorization: {{type: Bearer, credentials: "{source["key"]}"}}}}}}]'
    )
    with running(alertmanager, tmp_path, receiver) as manager:
        manager.fire("db1", "db2")
        first = desk.next("prometheus", title="DiskFull: Disk is full (db1)")
        second = desk.next("prometheus", title="DiskFull: Disk is full (db2)")
        assert (first["kind"], first["severity"], first["pattern"]) == ("alert", "critical", "exception")
        desk.decide(first, "approve")

        until(lambda: manager.sent("webhook") >= 3, PATIENCE, "it repeats itself")
        assert {one["id"] for one in told(source)} == {first["id"], second["id"]}
        assert desk.next("prometheus", id=second["id"])["proposal"]["version"] == second["proposal"]["version"]

        manager.end("db1", "db2")
        until(lambda: not told(source, status="waiting"), PATIENCE, "what resolved is withdrawn")

    states = {one["id"]: one["proposal"]["state"] for one in told(source)}
    assert states == {first["id"]: "approved", second["id"]: "withdrawn"}


def test_alertmanagers_pagerduty_receiver_triggers_and_resolves(alertmanager, tmp_path, company, new_source, desk, told):
    source = new_source("prometheus-as-pagerduty")
    receiver = f'pagerduty_configs: [{{url: "{company.url}/v2/enqueue", routing_key: "{source["key"]}", severity: error, send_resolved: true}}]'
    with running(alertmanager, tmp_path, receiver) as manager:
        manager.fire("db1")
        incident = desk.next("prometheus-as-pagerduty")
        assert incident["kind"] == "alert" and "DiskFull" in incident["title"]

        until(lambda: manager.sent("pagerduty") >= 3, PATIENCE, "it repeats itself")
        assert [one["id"] for one in told(source)] == [incident["id"]]

        manager.end("db1")
        until(lambda: not told(source, status="waiting"), PATIENCE, "what resolved is withdrawn")

    [over] = told(source)
    assert over["proposal"]["state"] == "withdrawn"


# -- PagerDuty's own clients


@pytest.fixture
def secure(company, tmp_path):
    """The company behind TLS, without which the newest client does not speak."""
    with in_front_of(company.url, tmp_path) as (url, trusted):
        yield url, str(trusted)


@pytest.mark.parametrize("package", ["pagerduty", "pdpyras"])
def test_a_pagerduty_client_triggers_acknowledges_and_resolves(package, environment, company, secure, new_source, desk, told):
    python = environment(package)
    source = new_source(f"worker-{package}")
    url, trusted = secure if package == "pagerduty" else (company.url, "")
    given = {"PD_URL": url, "PD_KEY": source["key"], "PD_CA": trusted}
    program = HERE / "pagerduty_program.py"

    said = lines(run(python, program, package, "trigger", "trigger", "acknowledge", "unnamed", "wrong", **given))

    steps = {one["step"]: one["said"] for one in said if "step" in one}
    assert steps["trigger"] == steps["acknowledge"] == "crash-1" and len(steps["unnamed"]) == 32
    assert steps["wrong"] == "refused: 400 invalid event"
    incident = desk.next(source["source"], title="payment worker crashed")
    assert (incident["kind"], incident["severity"]) == ("alert", "critical")
    assert len(told(source)) == 2

    lines(run(python, program, package, "resolve", **given))
    states = {one["title"]: (one["status"], (one["proposal"] or {}).get("state")) for one in told(source)}
    assert states["payment worker crashed"] == ("settled", "withdrawn")
    assert states["a worker is slow"][0] != "settled"


# -- the CloudEvents SDK


def test_the_cloudevents_sdk_posts_events_in_both_modes_and_each_is_one_incident(environment, company, new_source, desk, told):
    python = environment("cloudevents", "requests")
    source = new_source("payments")

    said = lines(run(python, HERE / "cloudevents_program.py", CE_URL=f"{company.url}/api/v1/incidents", CE_TOKEN=source["key"]))

    assert [(one["step"], one["status"], one["replayed"]) for one in said] == [
        ("binary", 201, None), ("structured", 201, "true"), ("old binary", 201, None), ("old structured", 201, "true"),
    ]  # fmt: skip
    assert len({one["id"] for one in said}) == 2 == len(told(source))
    assert {one["title"] for one in said} == {
        "com.acme.payment.failed (order/A-1): card declined", "com.acme.payment.failed (café): card declined",
    }  # fmt: skip
    incident = desk.next("payments", title="com.acme.payment.failed (order/A-1): card declined")
    assert (incident["kind"], incident["pattern"]) == ("alert", "exception")
