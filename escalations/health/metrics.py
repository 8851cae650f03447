"""The figures, in Prometheus' text format. Every query is bounded: by what is open, by an hour, or by a number of rows."""

from collections.abc import Iterable, Iterator, Sequence
from typing import Any

from django.db import connection
from prometheus_client import CollectorRegistry, generate_latest
from prometheus_client.core import GaugeMetricFamily
from prometheus_client.registry import Collector

from escalations import audit

RECENT = 1000  # rows the quantiles are taken from
QUANTILES = (0.5, 0.95, 0.99)

# What is open: partial indexes hold exactly these rows.
QUEUES = """
SELECT role.name, count(*), extract(epoch FROM clock_timestamp() - min(proposal.routed_at)),
       count(*) FILTER (WHERE proposal.due_at <= clock_timestamp())
FROM escalations_proposal AS proposal JOIN auth_group AS role ON role.id = proposal.role_id
WHERE proposal.state = 'pending' AND proposal.routed_at IS NOT NULL GROUP BY role.name
"""
WORK = """
SELECT stage, count(*), extract(epoch FROM clock_timestamp() - min(created_at))
FROM escalations_work WHERE stage <> 'done' GROUP BY stage
"""
SENDING = """
SELECT '{name}', count(*), count(*) FILTER (WHERE attempts > 0),
       coalesce(extract(epoch FROM clock_timestamp() - min(created_at)), 0)
FROM {table} WHERE state = 'waiting'
"""
GIVEN_UP = """
SELECT count(*) FROM (SELECT FROM escalations_deliveryattempt AS try JOIN escalations_delivery AS delivery
    ON delivery.id = try.delivery_id AND delivery.state = 'given_up'
    WHERE try.id > (SELECT coalesce(max(id), 0) FROM escalations_deliveryattempt) - 10000 GROUP BY delivery.id) AS one
"""
# By the index on decided_at.
DECISIONS = """
SELECT type, by_kind, count(*) FROM escalations_decision
WHERE decided_at > clock_timestamp() - interval '1 hour' GROUP BY type, by_kind
"""
UNACKNOWLEDGED = """
SELECT count(*) FROM escalations_decision AS decision
WHERE decision.decided_at BETWEEN clock_timestamp() - interval '24 hours' AND clock_timestamp() - interval '5 minutes'
  AND decision.args_digest IS NOT NULL
  AND NOT EXISTS (SELECT FROM escalations_acknowledgement AS ack WHERE ack.decision_id = decision.id)
"""
# By the primary key, newest first.
LATENESS = f"""
SELECT extract(epoch FROM fired_at - due_at) FROM (SELECT * FROM escalations_steprun ORDER BY id DESC LIMIT {RECENT}) AS recent
WHERE why = 'clock' AND fired_at > clock_timestamp() - interval '1 hour'
"""
MODEL = f"""
SELECT latency_ms / 1000.0, error <> ''
FROM (SELECT * FROM escalations_classification ORDER BY id DESC LIMIT {2 * RECENT}) AS recent
WHERE engine = 'llm' AND created_at > clock_timestamp() - interval '1 hour'
"""
SPEND = """
SELECT calls, tokens_in, tokens_out FROM escalations_modelspend WHERE day = (clock_timestamp() AT TIME ZONE 'UTC')::date
"""
STOPPED = """
SELECT coalesce(max(extract(epoch FROM clock_timestamp() - at)), 0) FROM escalations_stop WHERE released_at IS NULL
"""
# Never how many audit samples wait: beside a short queue that would say which.
LANES = """
SELECT (SELECT count(*) FROM escalations_lanegrant WHERE ended_at IS NULL),
       (SELECT coalesce(extract(epoch FROM clock_timestamp() - min(coalesce(checked_at, created_at))), 0)
        FROM escalations_lane WHERE state = 'granted'),
       (SELECT count(*) FROM escalations_decision AS decision JOIN escalations_trial AS trial
        ON trial.proposal_id = decision.proposal_id AND trial.mode = 'alone'
        WHERE decision.decided_at > clock_timestamp() - interval '1 hour')
"""
WITHDRAWN = """
SELECT "end", count(*) FROM escalations_lanegrant WHERE ended_at > clock_timestamp() - interval '24 hours' GROUP BY "end"
"""
WAKEUPS = "SELECT kind, coalesce(extract(epoch FROM clock_timestamp() - queued_at), 0) FROM escalations_wakeup"
CHANNELS = """
SELECT count(*), coalesce(extract(epoch FROM clock_timestamp() - min(failing_since)), 0)
FROM escalations_channel WHERE failing_since IS NOT NULL AND disabled_at IS NULL
"""
TASKS = "SELECT count(*) FROM (SELECT FROM django_q_ormq LIMIT 10000) AS waiting"
BEATS = "SELECT name, extract(epoch FROM clock_timestamp() - at) FROM escalations_heartbeat ORDER BY name LIMIT 200"


def exposition() -> bytes:
    """Return the page. About a dozen queries; raises DatabaseError when the database is away."""
    registry = CollectorRegistry(auto_describe=False)
    registry.register(_Figures(list(_figures())))
    return generate_latest(registry)


class _Figures(Collector):
    def __init__(self, families: list[GaugeMetricFamily]) -> None:
        self.families = families

    def collect(self) -> Iterable[GaugeMetricFamily]:
        return self.families


def _figures() -> Iterator[GaugeMetricFamily]:
    depth = _family("queue_depth", "Open proposals in a role's queue.", "role")
    oldest = _family("queue_oldest_seconds", "How long the oldest open proposal of a role has been in a queue.", "role")
    overdue = _family("queue_overdue", "Open proposals of a role whose next step is due and has not fired.", "role")
    for role, count, age, late in _rows(QUEUES):
        for family, value in ((depth, count), (oldest, age), (overdue, late)):
            family.add_metric([role], float(value or 0))
    yield from (depth, oldest, overdue)

    decisions = _family("decisions_last_hour", "Decisions of the last hour.", "type", "by")
    for kind, by, count in _rows(DECISIONS):
        decisions.add_metric([kind, by], count)
    yield decisions
    yield _one("decisions_unacknowledged", "Decisions that let something run, 5 min to 24 h old, without an ack.", UNACKNOWLEDGED)

    lateness = sorted(float(value) for (value,) in _rows(LATENESS))
    yield _quantiles("escalation_lateness_seconds", "How late steps of the last hour fired (the newest thousand).", lateness)

    sending = _family("outbound_waiting", "Outbound rows not sent yet.", "outbox")
    failing = _family("outbound_failing", "Of these, tried at least once.", "outbox")
    waiting = _family("outbound_oldest_seconds", "Age of the oldest outbound row not sent yet.", "outbox")
    for name, table in (("deliveries", "escalations_delivery"), ("notices", "escalations_notice")):
        for outbox, count, tried, age in _rows(SENDING.format(name=name, table=table)):
            for family, value in ((sending, count), (failing, tried), (waiting, age)):
                family.add_metric([outbox], float(value))
    yield from (sending, failing, waiting)
    yield _one("deliveries_given_up", "Deliveries given up among the last ten thousand attempts.", GIVEN_UP)

    work = _family("work_open", "Rows of work not done.", "stage")
    age = _family("work_oldest_seconds", "Age of the oldest row of work not done.", "stage")
    for stage, count, old in _rows(WORK):
        work.add_metric([stage], count)
        age.add_metric([stage], float(old))
    yield from (work, age)

    calls = _rows(MODEL)
    seconds = sorted(float(row[0]) for row in calls)
    yield _quantiles("llm_latency_seconds", "The model's answers of the last hour (the newest).", seconds)
    yield _family("llm_calls_recent", "Calls those quantiles are taken from.", value=len(calls))
    yield _family("llm_failures_recent", "Of these, how many failed.", value=sum(row[1] for row in calls))
    spent = (_rows(SPEND) or [(0, 0, 0)])[0]
    yield _family("llm_calls_today", "Calls of the model since midnight UTC.", value=spent[0])
    tokens = _family("llm_tokens_today", "Tokens since midnight UTC.", "direction")
    tokens.add_metric(["in"], spent[1])
    tokens.add_metric(["out"], spent[2])
    yield tokens

    unsealed, unsealed_age = audit.unsealed()
    yield _family("audit_unsealed", "Audit entries the sealer has not chained yet.", value=unsealed)
    yield _family("audit_unsealed_age_seconds", "Age of the oldest of them; more than 60 is red.", value=unsealed_age)
    yield _family("audit_seq", "The number of the chain's last link.", value=audit.head().seq)

    failing, since = _rows(CHANNELS)[0]
    yield _family("channels_failing", "Channels of people and roles that fail.", value=failing)
    yield _family("channels_failing_seconds", "For how long the one has that has failed longest.", value=float(since))
    yield _one("stopped_seconds", "How long everything has been stopped by people; 0 while nothing is.", STOPPED)

    granted, unwatched, alone = _rows(LANES)[0]
    yield _family("lanes_granted", "Lanes that may act alone now.", value=granted)
    yield _family("lanes_unwatched_seconds", "How long nobody looked at one of them; beyond 60 it lets nothing go.", value=float(unwatched))
    yield _family("lanes_settled_last_hour", "What lanes settled alone in the last hour.", value=alone)
    withdrawn = _family("lanes_withdrawn_last_day", "Grants that ended in the last 24 hours.", "end")
    for end, count in _rows(WITHDRAWN):
        withdrawn.add_metric([end], count)
    yield withdrawn

    wakeups = _family("wakeup_age_seconds", "How long a wake-up has waited for a worker; 0 when none waits.", "kind")
    for kind, waited in _rows(WAKEUPS):
        wakeups.add_metric([kind], float(waited))
    yield wakeups
    yield _one("queue_tasks", "Tasks in the queue (counted up to 10,000).", TASKS)

    beats = _family("heartbeat_age_seconds", "Seconds since something was last seen alive.", "name")
    for name, silent in _rows(BEATS):
        beats.add_metric([name], float(silent))
    yield beats


def _rows(sql: str) -> Sequence[tuple[Any, ...]]:
    with connection.cursor() as cursor:
        cursor.execute(sql)
        rows: Sequence[tuple[Any, ...]] = cursor.fetchall()
    return rows


def _family(name: str, text: str, *labels: str, value: float | None = None) -> GaugeMetricFamily:
    return GaugeMetricFamily(f"countersign_{name}", text, labels=labels or None, value=value)


def _one(name: str, text: str, sql: str) -> GaugeMetricFamily:
    return _family(name, text, value=_rows(sql)[0][0])


def _quantiles(name: str, text: str, ordered: list[float]) -> GaugeMetricFamily:
    family = _family(name, text, "quantile")
    for quantile in QUANTILES if ordered else ():
        family.add_metric([str(quantile)], ordered[min(len(ordered) - 1, int(quantile * len(ordered)))])
    return family
