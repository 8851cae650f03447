"""How long a replay takes over 100,000 incidents, and how much memory it holds: a rule, a threshold, and triggers.

    python bench/replay.py [--incidents 100000]

The replays run as the job does, slice after slice, in one process; the database has the other core. Beside each, in the same run: what
plain Python takes to read the same incidents' JSON out of plain PostgreSQL, which no replay could do without.
"""

import argparse
import resource
import time
from datetime import timedelta
from typing import Any

from bench import place

OPTIONS = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
OPTIONS.add_argument("--incidents", type=int, default=100_000)

INCIDENTS = """
INSERT INTO escalations_incident (id, source_id, key, body_digest, test, kind, title, body, claimed_severity, fingerprint,
    external_id, environment, on_behalf_of, customer, payload, context, session, callback_url, sanitised, received_at, status,
    severity, category, triggers, escalate, pattern, settled_at)
SELECT ('00000000-0000-7000-8000-' || lpad(to_hex(n), 12, '0'))::uuid, (%(sources)s::int[])[1 + n %% 5], 'k' || n, repeat('0', 64),
    false, 'action', 'Refund $' || n %% 900 || ' for order ' || n, '', '', 'f' || n %% 5000, '', 'production', '',
    jsonb_build_object('id', 'cus_' || to_hex(n), 'tier', 'standard'),
    jsonb_build_object('order', n, 'lines', jsonb_build_array(jsonb_build_object('sku', 'a' || n, 'price', n %% 90))),
    jsonb_build_object('request', 'I was charged twice and want the second charge back. ' || said.words, 'why', said.words,
        'messages', jsonb_build_array(jsonb_build_object('role', 'customer', 'text', said.words)),
        'tools', jsonb_build_array(jsonb_build_object('name', 'orders.get', 'args', jsonb_build_object('order', n), 'result',
            jsonb_build_object('total', n %% 900, 'note', said.words)))),
    '', '', false, now() - n * interval '20 seconds', 'settled', 'info', 'refund', '{}', 'human', 'approval',
    now() - n * interval '19 seconds'
FROM generate_series(1, %(incidents)s) AS n CROSS JOIN LATERAL (
    SELECT string_agg(translate((power(random(), 3) * 5000)::int::text, '0123456789', 'abcdefghij'), ' ') AS words
    FROM generate_series(1, 30 + n * 0)
) AS said
"""
PROPOSALS = """
INSERT INTO escalations_proposal (id, incident_id, source_id, test, kind, revision, author, action, args, content, args_digest,
    description, allowed_decisions, claims, created_at, routed_at, title, severity, category, risk, floor, triggers, rules, policy,
    state, version, role_id, asked, step, settled_at)
SELECT id, id, source_id, false, 'action', 1, 'source', 'refund',
    jsonb_build_object('order', payload->'order', 'amount', (payload->>'order')::int %% 900), '{}', repeat('0', 71), 'Charged twice',
    ARRAY['approve', 'edit', 'reject', 'respond'], '{"confidence": 0.9}', received_at, received_at, title, severity, category, 'high',
    'review', CASE WHEN (payload->>'order')::int %% 900 > 100
        THEN '[{"name": "high_stakes", "why": "over 100", "where": "proposal.args.amount"}]'::jsonb ELSE '[]' END,
    CASE WHEN (payload->>'order')::int %% 900 > 100
        THEN '[{"name": "Refunds over 100", "floor": "review", "why": "Money leaves the house."}]'::jsonb ELSE '[]' END,
    '{"name": "standard", "steps": [], "fallback": "reject", "valid_for": 86400}',
    (ARRAY['approved', 'approved', 'approved', 'rejected', 'edited'])[1 + (payload->>'order')::int %% 5], 2, %(role)s, ARRAY[%(role)s], 0,
    settled_at
FROM escalations_incident
"""
DECISIONS = """
INSERT INTO escalations_decision (proposal_id, type, by_kind, person_id, by_id, by_name, reason, action, args, retry, signed_digest,
    args_digest, decided_at, valid_until, request_digest)
SELECT id, CASE state WHEN 'approved' THEN 'approve' WHEN 'edited' THEN 'edit' ELSE 'reject' END, 'person', %(person)s, 'rosa', 'Rosa', '',
    'refund', args, false, args_digest, CASE WHEN state = 'rejected' THEN NULL ELSE args_digest END, settled_at, settled_at, ''
FROM escalations_proposal
"""
SIGNATURES = """
INSERT INTO escalations_signature (proposal_id, person_id, type, digest, version, method, interactive, at)
SELECT proposal_id, person_id, type, signed_digest, 2, 'page', true, decided_at FROM escalations_decision ORDER BY decided_at
"""
WORK = """
INSERT INTO escalations_work (incident_id, proposal_id, stage, run_at, token, attempts, error, created_at)
SELECT id, id, 'done', received_at, 0, 0, '', received_at FROM escalations_incident
"""
WORDS = """
INSERT INTO escalations_classification (incident_id, work_id, engine, version, severity, category, confidence, sure, triggers, rationale,
    error, latency_ms, tokens_in, tokens_out, created_at)
SELECT incident_id, id, engine, '1', 'info', 'refund', 0.8, true, '[]', '', '', 1, 0, 0, created_at
FROM escalations_work CROSS JOIN (VALUES ('rules'), ('llm')) AS engines (engine)
"""


def measure() -> None:
    options = OPTIONS.parse_args()
    from django.core.management import call_command  # noqa: PLC0415 - Django is set up by now
    from django.db import connection, connections  # noqa: PLC0415

    from escalations import clock, replay  # noqa: PLC0415
    from escalations.models import Person, Role, RoutingRule, Source, Trigger  # noqa: PLC0415
    from escalations.models.people import QUEUE_MANAGER  # noqa: PLC0415

    call_command("setup", verbosity=0)
    person = Person.objects.create(username="rosa")
    sources = [Source.objects.create(name=f"agent-{letter}").pk for letter in "abcde"]
    values = {
        "sources": sources, "incidents": options.incidents, "role": Role.objects.get(name=QUEUE_MANAGER).pk, "person": person.pk,
    }
    with connections["owner"].cursor() as cursor:
        for statement in (INCIDENTS, PROPOSALS, DECISIONS, SIGNATURES, WORK, WORDS):
            cursor.execute(statement, values)
        cursor.execute("ANALYZE")
    print(f"{options.incidents:,} incidents, all decided by people, 5 sources, texts of about 1 kB")
    plain(connection)

    def tried(title: str, kind: str, wanted: dict[str, Any]) -> None:
        now = clock.now()
        row = replay.ask(kind, wanted, "", now - timedelta(days=360), now, person)
        began, cpu = time.perf_counter(), time.process_time()
        slices = 1
        while replay.run_slice():
            slices += 1
        seconds, used = time.perf_counter() - began, time.process_time() - cpu
        row.refresh_from_db()
        figures = replay.figures(row.result)
        print(
            f"{title:34} {seconds:6.1f} s ({used:.1f} s of this core, {slices} slices), {row.state}, {row.done:,} looked at, "
            f"{row.result['matched']:,} match, {figures.alone:,} alone, {figures.otherwise:,} of {figures.decided:,} otherwise, "
            f"{resource.getrusage(resource.RUSAGE_SELF).ru_maxrss / 1024:.0f} MB"
        )

    condition = 'incident.kind == "action" && proposal.action == "refund" && proposal.args.amount <= 20'
    tried("a rule, floor auto", "rule", replay.wanted_of(RoutingRule(name="small refunds", condition=condition, floor="auto")))
    condition = 'incident.kind == "action" && proposal.action == "refund" && proposal.args.amount > 100 && source.name == "agent-a"'
    tried("a rule, floor review", "rule", replay.wanted_of(RoutingRule(name="dear", condition=condition, floor="review", priority=900)))
    for name, settings in (("high_stakes", {"money_limit": 500}), ("sensitive_data", {"contacts": 9})):
        trigger = Trigger.objects.get(pk=name)
        trigger.settings = settings
        tried(f"the trigger {name}", "trigger", replay.wanted_of_trigger(trigger))


def plain(connection: Any) -> None:
    """Read the same JSON with nothing of ours."""
    began = time.perf_counter()
    with connection.cursor() as cursor:
        cursor.execute("DECLARE every CURSOR WITH HOLD FOR SELECT payload, context, customer FROM escalations_incident")
        while True:
            cursor.execute("FETCH 500 FROM every")
            if not cursor.fetchall():
                break
        cursor.execute("CLOSE every")
    print(f"{'plain PostgreSQL and JSON':34} {time.perf_counter() - began:6.1f} s")


if __name__ == "__main__":
    place.run("replay", measure)
