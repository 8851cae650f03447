"""Server time of the inbox, a proposal and a decision, with 1,000,000 incidents and 100,000 of them pending.

    python bench/inbox.py [--incidents 1000000] [--pending 100000] [--times 60]

The pages run through Django as in production but for the socket. Beside each, in the same run: what plain PostgreSQL takes for the
one query that a page of this kind cannot do without (the first fifty of the queue; one row; one durable UPDATE).
"""

import argparse
import gzip
import importlib.util
import os
import re
import shutil
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
    'Refund $' || n %% 900 || ' for order ' || n, '', '', 'f' || n %% 50000, '', 'production', '',
    jsonb_build_object('id', 'cus_' || to_hex(n)), '{"order": 1}',
    jsonb_build_object('request', 'I was charged twice and want the second charge back. ' || said.words), '', '', false,
    now() - n * interval '1 second',
    CASE WHEN n <= %(pending)s THEN 'waiting' ELSE 'settled' END,
    (ARRAY['info', 'warning', 'critical'])[1 + n %% 3], 'refund', ARRAY['high_stakes'], 'human', 'approval',
    CASE WHEN n <= %(pending)s THEN NULL ELSE now() - n * interval '1 second' END
FROM generate_series(1, %(incidents)s) AS n CROSS JOIN LATERAL (
    -- Thirty words of 5,000, of which few are in nearly every text and most in few, as in any language.
    SELECT string_agg(translate((power(random(), 3) * 5000)::int::text, '0123456789', 'abcdefghij'), ' ') AS words
    FROM generate_series(1, 30 + n * 0)
) AS said
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
RARE = "order+%d"  # a number that one title has
FEW = "ibb"  # the 811th of the 5,000 words: in one text of two hundred
# When the first text or picture stood there; what was loaded, as it came over the wire.
PAINT = """() => new Promise((done) => new PerformanceObserver((list) => {
    const first = list.getEntriesByName("first-contentful-paint")[0]; if (first) done(first.startTime);
}).observe({ type: "paint", buffered: true }))"""
LOADED = """() => { const all = [...performance.getEntriesByType("navigation"), ...performance.getEntriesByType("resource")];
    return [all.length, all.reduce((sum, one) => sum + one.encodedBodySize, 0)]; }"""
# As escalations/search.py writes them: title, then ids and args, then the request.
SEARCH = """
INSERT INTO escalations_searchtext (proposal_id, words)
SELECT p.id, setweight(to_tsvector('simple', regexp_replace(p.title, '[^a-zA-Z0-9]+', ' ', 'g')), 'A')
    || setweight(to_tsvector('simple', concat_ws(' ', 'refund', i.fingerprint, i.key, replace(i.customer->>'id', '_', ' '),
        'order', p.args->>'order', 'amount', p.args->>'amount', replace(p.args_digest, 'sha256:', ''))), 'B')
    || setweight(to_tsvector('simple', 'request ' || replace(i.context->>'request', '.', ' ')), 'C')
    || to_tsvector('simple', 'order 1')
FROM escalations_proposal AS p JOIN escalations_incident AS i ON i.id = p.incident_id
"""


def measure() -> None:
    """Print the figures."""
    from django.conf import settings  # noqa: PLC0415 - needs Django
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
        Proposal.objects.open().filter(role__name="finance").order_by("due_at").values_list("pk", flat=True)[: 5 * options.times + 60]
    ))

    def get(who: str, path: str) -> Callable[[], bytes]:
        def go() -> bytes:
            answer = pages[who].get(path)
            if answer.status_code != 200:
                raise SystemExit(f"{path}: {answer.status_code}")
            return answer.content

        return go

    def decide() -> float:
        path = f"/proposals/{next(waiting)}/"
        shown = pages["reviewer"].get(path).content.decode()
        fields = {name: re.search(rf'name="{name}" value="([^"]*)"', shown)[1] for name in ("digest", "version")}  # type: ignore[index]
        start = time.perf_counter()
        answer = pages["reviewer"].post(path, {**fields, "type": "approve", "reason": "read, and right"})
        if answer.status_code != 303:
            raise SystemExit(f"{path}: {answer.status_code} {answer.content[-500:]!r}")
        return time.perf_counter() - start

    rare, common = RARE % (options.pending // 2), "/?q=refund"
    print(f"{'':<46}{'p50 ms':>8}{'p95 ms':>8}{'queries':>9}{'kB':>7}{'gzip':>7}")
    for name, act in {
        "inbox, a reviewer": get("reviewer", "/"),
        "inbox, a manager": get("manager", "/"),
        "inbox, a reviewer, most urgent first": get("reviewer", "/?order=urgent"),
        "inbox, a manager, most urgent first": get("manager", "/?order=urgent"),
        "inbox, a manager, severity=critical": get("manager", "/?severity=critical"),
        "inbox, a reviewer, trigger=high_stakes": get("reviewer", "/?trigger=high_stakes"),
        "search, a manager, a word in one": get("manager", f"/?q={rare}"),
        "search, a manager, a word in all": get("manager", common),
        "search, a reviewer, a word in all": get("reviewer", common),
        "search, a manager, a word in one of 200": get("manager", f"/?q={FEW}"),
        "search, a reviewer, a word in one of 200": get("reviewer", f"/?q={FEW}"),
        "search, a manager, two words": get("manager", f"/?q={rare}+refund"),
        "search, a manager, two words in all": get("manager", "/?q=refund+charged"),
        "search, a manager, a word in none": get("manager", "/?q=nowhere"),
        "settled, a manager": get("manager", "/settled/"),
        "settled, a reviewer": get("reviewer", "/settled/"),
        "settled, searched, a word in one": get("manager", f"/settled/?q={RARE % (options.incidents - 1)}"),
        "settled, searched, a word in all": get("manager", "/settled/?q=refund"),
        "settled, searched, one of 200, a reviewer": get("reviewer", f"/settled/?q={FEW}"),
        "the story of an incident": lambda: get("reviewer", f"/incidents/{next(waiting)}/")(),
        "a proposal beside its list": lambda: get("reviewer", f"/proposals/{next(waiting)}/")(),
        "a proposal beside its list, searched": lambda: get("reviewer", f"/proposals/{next(waiting)}/?q=refund")(),
        "desk, a manager": get("manager", "/desk/"),
        "decide (POST of the page's form)": decide,
    }.items():
        times, answer = [], b""
        for _ in range(3):  # templates are compiled and connections opened by the first, once a process
            act()
        for _ in range(options.times):
            start = time.perf_counter()
            own = act()
            times.append(1000 * (own if isinstance(own, float) else time.perf_counter() - start))
            answer = own if isinstance(own, bytes) else b""
        with CaptureQueriesContext(connection) as queries:
            act()
        told = f"{len(queries):>9}{len(answer) / 1000:>7.0f}{len(gzip.compress(answer, 6)) / 1000:>7.1f}" if answer else ""
        print(f"{name:<46}{place.quantile(times, 0.5):>8.1f}{place.quantile(times, 0.95):>8.1f}{told}", flush=True)
    for name, sql in {
        "plain: first fifty of all queues, joined": "SELECT * FROM escalations_proposal p JOIN escalations_incident i ON i.id = p.incident_id "
        "WHERE p.state = 'pending' ORDER BY p.due_at, p.id LIMIT 50",
        "plain: one row of the index of words": "SELECT * FROM escalations_searchtext WHERE words @@ '777'::tsquery LIMIT 1",
        "plain: one durable UPDATE": "UPDATE escalations_heartbeat SET at = clock_timestamp() WHERE name = 'bench'",
    }.items():
        times = [_plain(connections["owner"], sql) for _ in range(options.times)]
        print(f"{name:<46}{place.quantile(times, 0.5):>8.1f}{place.quantile(times, 0.95):>8.1f}{1:>9}")
    cookie = pages["reviewer"].cookies[settings.SESSION_COOKIE_NAME].value
    _paint({"inbox": "/", "a proposal": f"/proposals/{next(waiting)}/", "search": common, "settled": "/settled/"}, cookie, options.times)


def _paint(paths: dict[str, str], cookie: str, times: int) -> None:
    """Print when Chromium first paints each page from a real web process of ours, and what it loads, with an empty cache."""
    from django.conf import settings  # noqa: PLC0415 - needs Django

    from bench.server import web  # noqa: PLC0415 - needs Django

    chromium = os.environ.get("CHROMIUM") or shutil.which("chromium")
    if not chromium or importlib.util.find_spec("playwright") is None:
        print("first paint: neither Chromium nor Playwright here")
        return
    from playwright.sync_api import sync_playwright  # noqa: PLC0415 - may not be installed

    with web() as (port, _), sync_playwright() as playwright:
        browser = playwright.chromium.launch(executable_path=chromium, args=["--no-sandbox"])
        print(f"{'first paint in Chromium':<46}{'p50 ms':>8}{'p95 ms':>8}{'files':>9}{'kB':>7}")
        for name, path in paths.items():
            painted, loaded = [], [0, 0]
            for _ in range(max(10, times // 3)):
                context = browser.new_context(
                    base_url=f"http://127.0.0.1:{port}", extra_http_headers={"x-forwarded-proto": "https"},
                    viewport={"width": 1280, "height": 900},
                )
                context.add_cookies([{
                    "name": settings.SESSION_COOKIE_NAME, "value": cookie, "url": f"http://127.0.0.1:{port}", "secure": False,
                }])
                page = context.new_page()
                answer = page.goto(path)
                if answer is None or answer.status != 200 or "/login/" in page.url:
                    raise SystemExit(f"{path}: {answer and answer.status} {page.url}")
                painted.append(page.evaluate(PAINT))
                loaded = page.evaluate(LOADED)
                context.close()
            print(f"{name:<46}{place.quantile(painted, 0.5):>8.0f}{place.quantile(painted, 0.95):>8.0f}{loaded[0]:>9}"
                  f"{loaded[1] / 1000:>7.0f}", flush=True)
        browser.close()


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
        cursor.execute("SELECT indexdef FROM pg_indexes WHERE indexname = 'search_words'")
        [index] = cursor.fetchone()
        cursor.execute("DROP INDEX search_words")  # sorted once at the end instead of a million times
        for statement in (INCIDENTS, PROPOSALS, DECISIONS, SEARCH):
            cursor.execute(statement, values)
        cursor.execute(index)
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
