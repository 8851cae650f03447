"""Server time of the inbox, a proposal and a decision, with 1,000,000 incidents and 100,000 of them pending.

    python bench/inbox.py [--incidents 1000000] [--pending 100000] [--times 60]

The pages run through Django as in production but for the socket. Beside each, in the same run: what plain PostgreSQL takes for the
one query that a page of this kind cannot do without (the first fifty of the queue; one row; one durable UPDATE).
"""

import argparse
import re
import time
from collections.abc import Callable

from bench import place

OPTIONS = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
OPTIONS.add_argument("--incidents", type=int, default=1_000_000)
OPTIONS.add_argument("--pending", type=int, default=100_000)
OPTIONS.add_argument("--times", type=int, default=60)

INCIDENTS = """
INSERT INTO escalations_incident (id, source_id, key, body_digest, test, kind, title, body, claimed_severity, fingerprint,
    external_id, environment, on_behalf_of, customer, payload, context, session, callback_url, sanitised, received_at, status,
    severity, category, triggers, escalate, pattern, settled_at)
SELECT ('00000000-0000-7000-8000-' || lpad(to_hex(n), 12, '0'))::uuid, %(source)s, 'k' || n, repeat('0', 64), false, 'action',
    'Refund $' || n %% 900 || ' for order ' || n, '', '', 'f' || n %% 50000, '', 'production', '', '{}', '{"order": 1}',
    '{"request": "I was charged twice and want the second charge back."}', '', '', false, now() - n * interval '1 second',
    CASE WHEN n <= %(pending)s THEN 'waiting' ELSE 'settled' END,
    (ARRAY['info', 'warning', 'critical'])[1 + n %% 3], 'refund', ARRAY['high_stakes'], 'human', 'approval',
    CASE WHEN n <= %(pending)s THEN NULL ELSE now() - n * interval '1 second' END
FROM generate_series(1, %(incidents)s) AS n
"""
PROPOSALS = """
INSERT INTO escalations_proposal (id, incident_id, source_id, test, kind, revision, author, action, args, content, args_digest,
    description, allowed_decisions, claims, created_at, routed_at, title, severity, category, risk, floor, triggers, rules, policy,
    state, version, role_id, asked, step, due_at, expires_at, settled_at)
SELECT id, id, source_id, false, 'action', 1, 'source', 'refund', '{"order": 1182, "amount": 250}', %(content)s, %(digest)s,
    '', ARRAY['approve', 'edit', 'reject', 'respond'], '{}', received_at, received_at, title, severity, category, 'high', 'review',
    '[{"name": "high_stakes", "why": "250 is over 100", "where": "proposal.args.amount"}]', '[]',
    '{"name": "standard", "steps": [], "fallback": "reject", "valid_for": 86400}',
    CASE WHEN settled_at IS NULL THEN 'pending' ELSE 'approved' END, 1,
    (%(roles)s::int[])[1 + abs(hashtext(id::text)) %% array_length(%(roles)s::int[], 1)], '{}', 0,
    CASE WHEN settled_at IS NULL THEN now() + random() * interval '12 hours' + interval '1 hour' END,
    CASE WHEN settled_at IS NULL THEN now() + interval '14 hours' END, settled_at
FROM escalations_incident
"""
DECISIONS = """
INSERT INTO escalations_decision (proposal_id, type, by_kind, by_id, by_name, reason, action, args, retry, signed_digest,
    args_digest, decided_at, valid_until, request_digest)
SELECT id, 'approve', 'clock', 'standard', 'standard', '', 'refund', args, false, args_digest, args_digest, settled_at,
    settled_at + interval '1 day', ''
FROM escalations_proposal WHERE state = 'approved'
"""


def measure() -> None:
    """Print the figures."""
    from django.db import connection, connections  # noqa: PLC0415 - needs Django
    from django.test import Client  # noqa: PLC0415 - needs Django
    from django.test.utils import CaptureQueriesContext  # noqa: PLC0415 - needs Django

    from bench.server import prepared  # noqa: PLC0415 - needs Django
    from escalations.models import Person, Proposal, Role  # noqa: PLC0415 - needs Django

    options = OPTIONS.parse_args()
    source, _ = prepared()
    began = time.monotonic()
    _fill(connections["owner"], source.pk, options)
    print(f"{options.incidents:,} incidents, {options.pending:,} pending, filled in {time.monotonic() - began:.0f} s")

    finance, manager = (Person.objects.create(username=name, first_name=name) for name in ("ada", "mira"))
    finance.groups.add(Role.objects.get(name="finance"))
    manager.groups.add(Role.objects.get(name="manager"))
    secure = {"x-forwarded-proto": "https", "host": "127.0.0.1"}
    pages = {}
    for name, person in (("reviewer", finance), ("manager", manager)):
        pages[name] = Client(headers=secure)
        pages[name].force_login(person, backend="django.contrib.auth.backends.ModelBackend")

    waiting = iter(list(
        Proposal.objects.open().filter(role__name="finance").order_by("due_at").values_list("pk", flat=True)[: 4 * options.times + 40]
    ))

    def get(who: str, path: str) -> Callable[[], None]:
        def go() -> None:
            answer = pages[who].get(path)
            if answer.status_code != 200:
                raise SystemExit(f"{path}: {answer.status_code}")

        return go

    def decide() -> float:
        path = f"/proposals/{next(waiting)}/"
        shown = pages["reviewer"].get(path).content.decode()
        fields = {name: re.search(rf'name="{name}" value="([^"]*)"', shown)[1] for name in ("digest", "version")}  # type: ignore[index]
        start = time.perf_counter()
        answer = pages["reviewer"].post(path, {**fields, "type": "approve", "read": "on"})
        if answer.status_code != 303:
            raise SystemExit(f"{path}: {answer.status_code} {answer.content[-500:]!r}")
        return time.perf_counter() - start

    print(f"{'':<46}{'p50 ms':>8}{'p95 ms':>8}{'queries':>9}")
    for name, act in {
        "inbox, a reviewer": get("reviewer", "/"),
        "inbox, a manager": get("manager", "/"),
        "inbox, a manager, severity=critical": get("manager", "/?severity=critical"),
        "inbox, a reviewer, trigger=high_stakes": get("reviewer", "/?trigger=high_stakes"),
        "settled": get("manager", "/settled/"),
        "a proposal, read": lambda: get("reviewer", f"/proposals/{next(waiting)}/")(),
        "decide (POST of the page's form)": decide,
    }.items():
        times = []
        for _ in range(3):  # templates are compiled and connections opened by the first, once a process
            act()
        for _ in range(options.times):
            start = time.perf_counter()
            own = act()
            times.append(1000 * (own if isinstance(own, float) else time.perf_counter() - start))
        with CaptureQueriesContext(connection) as queries:
            act()
        count = len(queries) if name[0] != "d" else "-"
        print(f"{name:<46}{place.quantile(times, 0.5):>8.1f}{place.quantile(times, 0.95):>8.1f}{count:>9}", flush=True)
    for name, sql in {
        "plain: first fifty of all queues, joined": "SELECT * FROM escalations_proposal p JOIN escalations_incident i ON i.id = p.incident_id "
        "WHERE p.state = 'pending' ORDER BY p.due_at, p.id LIMIT 50",
        "plain: one durable UPDATE": "UPDATE escalations_heartbeat SET at = clock_timestamp() WHERE name = 'bench'",
    }.items():
        times = [_plain(connections["owner"], sql) for _ in range(options.times)]
        print(f"{name:<46}{place.quantile(times, 0.5):>8.1f}{place.quantile(times, 0.95):>8.1f}{1:>9}")


def _fill(database, source: int, options: argparse.Namespace) -> None:  # type: ignore[no-untyped-def]
    from escalations import canonical  # noqa: PLC0415 - needs Django
    from escalations.models import Role  # noqa: PLC0415 - needs Django

    content = canonical.content_text("refund", {"order": 1182, "amount": 250}, None)
    values = {
        "source": source, "incidents": options.incidents, "pending": options.pending, "content": content,
        "digest": canonical.digest_of(content), "roles": list(Role.objects.values_list("pk", flat=True)),
    }
    with database.cursor() as cursor:
        cursor.execute("INSERT INTO escalations_heartbeat VALUES ('bench', now(), '{}') ON CONFLICT DO NOTHING")
        for statement in (INCIDENTS, PROPOSALS, DECISIONS):
            cursor.execute(statement, values)
        cursor.execute("VACUUM ANALYZE")


def _plain(database, sql: str) -> float:  # type: ignore[no-untyped-def]
    with database.cursor() as cursor:
        start = time.perf_counter()
        cursor.execute(sql)
        if cursor.description:
            cursor.fetchall()
    return 1000 * (time.perf_counter() - start)


if __name__ == "__main__":
    place.run("inbox", measure)
