"""The export of what was decided: rows a second and the most memory, in each format, redacted and not.

    python bench/feedback.py [--rows 1000000] [--redacted 50000]

Beside it, in the same run: what plain PostgreSQL takes to hand out the same columns by COPY. The rows are made by SQL: decisions of
people, with a request and thirty words of context, args, a reason, every twentieth an edit and every hundredth with an outcome.
"""

import argparse
import resource
import time
from collections.abc import Iterator

from bench import place

OPTIONS = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
OPTIONS.add_argument("--rows", type=int, default=1_000_000)
OPTIONS.add_argument("--forms", default="jsonl,csv,chat", help="which formats, with commas between")
OPTIONS.add_argument("--redacted", type=int, default=50_000, help="rows of the redacted forms, which take longer")

INCIDENTS = """
INSERT INTO escalations_incident (id, source_id, key, body_digest, test, kind, title, body, claimed_severity, fingerprint,
    external_id, environment, on_behalf_of, customer, payload, context, session, callback_url, sanitised, received_at, status,
    severity, category, triggers, escalate, pattern, settled_at)
SELECT ('00000000-0000-7000-8000-' || lpad(to_hex(n), 12, '0'))::uuid, %(source)s, 'k' || n, repeat('0', 64), false, 'action',
    'Refund $' || n %% 900 || ' for order ' || n, '', '', 'f' || n %% 50000, 'ext-' || n, 'production', 'Anna Kunde',
    jsonb_build_object('id', 'cus_' || to_hex(n), 'tier', 'gold'), jsonb_build_object('order', n, 'mail', 'anna' || n || '@shop.example'),
    jsonb_build_object('request', 'I was charged twice, write to anna' || n || '@shop.example. ' || said.words), '', '', false,
    now() - (%(rows)s - n + 60) * interval '1 second', 'settled', 'warning', 'refund', ARRAY['high_stakes'], 'human', 'approval',
    now() - (%(rows)s - n) * interval '1 second'
FROM generate_series(1, %(rows)s) AS n CROSS JOIN LATERAL (
    SELECT string_agg(translate((power(random(), 3) * 5000)::int::text, '0123456789', 'abcdefghij'), ' ') AS words
    FROM generate_series(1, 30 + n * 0)
) AS said
"""
PROPOSALS = """
INSERT INTO escalations_proposal (id, incident_id, source_id, test, kind, revision, author, action, args, content, args_digest,
    description, allowed_decisions, claims, created_at, routed_at, title, severity, category, risk, floor, triggers, rules, policy,
    state, version, role_id, asked, step, settled_at)
SELECT id, id, source_id, false, 'action', 1, 'source', 'refund', jsonb_build_object('order', 1182, 'amount', 250), '{}', 'sha256:x',
    'The parcel arrived broken.', ARRAY['approve', 'edit', 'reject', 'respond'], '{"confidence": 0.8}', received_at, received_at, title,
    severity, category, 'high', 'review', '[{"name": "high_stakes", "why": "250 is over 100", "where": "proposal.args.amount"}]', '[]',
    '{"name": "standard", "steps": [], "fallback": "reject", "valid_for": 86400}',
    CASE WHEN hashtext(id::text) %% 20 = 0 THEN 'edited' ELSE 'approved' END, 2, %(role)s, ARRAY[%(role)s], 0, settled_at
FROM escalations_incident
"""
DECISIONS = """
INSERT INTO escalations_decision (proposal_id, type, by_kind, person_id, by_id, by_name, reason, action, args, retry, signed_digest,
    args_digest, decided_at, valid_until, request_digest)
SELECT id, CASE WHEN state = 'edited' THEN 'edit' ELSE 'approve' END, 'person', %(person)s, 'ada', 'Ada Admin',
    'The order shows that it was charged twice; ask anna@shop.example.', 'refund',
    CASE WHEN state = 'edited' THEN '{"order": 1182, "amount": 100}'::jsonb ELSE args END, false, args_digest, args_digest, settled_at,
    settled_at + interval '1 day', ''
FROM escalations_proposal
"""
SIGNATURES = """
INSERT INTO escalations_signature (proposal_id, person_id, type, digest, version, method, interactive, at)
SELECT proposal_id, person_id, type, signed_digest, 1, 'page', true, decided_at FROM escalations_decision
"""
OUTCOMES = """
INSERT INTO escalations_outcomereport (incident_id, outcome, how, detail, by_kind, by_id, interactive, at)
SELECT id, 'resolved', 'feedback', 'paid', 'source', 'billing-agent', false, settled_at + interval '1 hour'
FROM escalations_incident WHERE hashtext(id::text) %% 100 = 0
"""
COPY = """
COPY (
    SELECT i.title, i.payload, i.context, i.customer, p.action, p.args, p.state, d.type, d.reason, d.args, d.decided_at, s.method
    FROM escalations_proposal p JOIN escalations_incident i ON i.id = p.incident_id JOIN escalations_decision d ON d.proposal_id = p.id
    JOIN escalations_signature s ON s.proposal_id = p.id ORDER BY p.settled_at, p.id
) TO STDOUT
"""


def measure() -> None:
    """Print the figures."""
    from django.db import connections  # noqa: PLC0415 - needs Django

    from bench.server import prepared  # noqa: PLC0415 - needs Django
    from escalations import audit, clock, feedback  # noqa: PLC0415 - needs Django
    from escalations.classify.mask import Mask  # noqa: PLC0415 - needs Django
    from escalations.models import Person, Proposal, Role  # noqa: PLC0415 - needs Django

    options = OPTIONS.parse_args()
    source, _ = prepared()
    person = Person.objects.create(username="ada", first_name="Ada")
    known = {"source": source.pk, "rows": options.rows, "role": Role.objects.get(name="finance").pk, "person": person.pk}
    began = time.monotonic()
    with connections["owner"].cursor() as cursor:
        for statement in (INCIDENTS, PROPOSALS, DECISIONS, SIGNATURES, OUTCOMES):
            cursor.execute(statement, known)
        for table in ("incident", "proposal", "decision", "signature", "outcomereport"):
            cursor.execute(f"VACUUM ANALYZE escalations_{table}")
    print(f"{options.rows:,} decisions, filled in {time.monotonic() - began:.0f} s; {peak():.0f} MB so far", flush=True)

    whole = clock.now()
    some = Proposal.objects.order_by("settled_at").values_list("settled_at", flat=True)[min(options.redacted, options.rows) - 1]
    print(f"{'':<28}{'rows':>10}{'MB':>8}{'rows/s':>9}{'of own CPU':>12}{'first ms':>10}{'most MB':>9}")
    tell("plain PostgreSQL, COPY", copied(connections["owner"]))
    for form in options.forms.split(","):
        for redacted, until in ((None, whole), (Mask, some)):
            scope = feedback.Scope(until=until)
            file = feedback.begin(scope, form, actor=audit.SYSTEM, person=None, placeholders=redacted)
            tell(f"{form}, {'redacted' if redacted else 'as it is'}", file.parts)


def copied(connection: object) -> Iterator[str]:
    """Yield what COPY hands out."""
    with connection.cursor() as cursor, cursor.copy(COPY) as rows:  # type: ignore[attr-defined]
        for row in rows:
            yield bytes(row).decode()


def tell(name: str, parts: Iterator[str]) -> None:
    """Read a file to its end and print what that took."""
    began, busy, first, rows, size = time.monotonic(), time.process_time(), 0.0, 0, 0
    for part in parts:
        first = first or time.monotonic() - began
        rows += part.count("\n")
        size += len(part)
    took, busy = time.monotonic() - began, time.process_time() - busy
    print(f"{name:<28}{rows:>10,}{size / 1e6:>8.0f}{rows / took:>9,.0f}{rows / busy:>12,.0f}{first * 1000:>10.0f}{peak():>9.0f}", flush=True)


def peak() -> float:
    """Return the most memory this process ever had, in MB."""
    return resource.getrusage(resource.RUSAGE_SELF).ru_maxrss / 1024


if __name__ == "__main__":
    place.run("feedback", measure)
