"""What 200 live rules cost an incident: bind its facts once, evaluate every condition. Prints; asserts nothing. No database.

    PYTHONPATH=. python bench/rules.py

The conditions are the default rules, written differently each time, and auto rules that read authoritative paths; the incident is
2 KB, then 50 KB of text. The figure to reach is 15 ms an incident for all 200.
"""

import os
import statistics
import time
from datetime import UTC, datetime

import django

os.environ.setdefault("DJANGO_SETTINGS_MODULE", "hitl_site.settings")
os.environ.setdefault("DEBUG", "1")
django.setup()

from escalations import clock  # noqa: E402
from escalations.defaults import RULES  # noqa: E402
from escalations.floors import cel  # noqa: E402
from escalations.floors.judge import facts_for_rules  # noqa: E402
from escalations.models import Incident, Proposal, Source  # noqa: E402
from escalations.policies import MOST_LIVE  # noqa: E402

PATHS = frozenset({"payload.order.total", "customer.tier"})
ALONE = (
    'incident.kind == "action" && proposal.action == "refund" && proposal.args.amount <= {n}.0 && customer.tier == "verified"',
    'incident.kind == "action" && proposal.action == "refund" && incident.payload.order.total < {n}.0 && source.name == "agent"',
    'incident.kind == "action" && proposal.action.startsWith("lookup_{n}") && now.getHours("UTC") < 20',
)
RUNS = 400


def conditions() -> list[cel.Condition]:
    """Return as many different compiled conditions as may be live: a third of them of rules that let things go alone."""
    made = []
    for n in range(MOST_LIVE):
        if n % 3 == 0:
            text = ALONE[n // 3 % len(ALONE)].format(n=n)
            made.append(cel.compile_condition(text, auto=True, authoritative=PATHS))
        else:
            text = f"({RULES[n % len(RULES)].condition}) && proposal.args.size() < {n + 1000}"
            made.append(cel.compile_condition(text, auto=False))
    return made


def incident(kind: str, characters: int) -> dict[str, object]:
    """Return the facts of one incident with that much text."""
    words = ("The parcel arrived broken and the customer asks for the money back before Friday. " * (characters // 80 + 1))[:characters]
    source = Source(name="agent", authoritative_paths=sorted(PATHS))
    one = Incident(
        source=source, kind=kind, title="Refund order 1182", body=words, payload={"order": {"id": 1182, "total": 250.0}},
        customer={"id": "c-77", "tier": "verified", "flags": []}, context={"request": words[:400], "why": "broken"},
    )
    proposal = Proposal(
        incident=one, source=source, kind=kind, action="refund", args={"order": 1182, "amount": 250}, claims={"confidence": 0.7},
        draft={"to": "a@example.com", "subject": "Your order", "body": words[:1000]} if kind == "draft" else None,
    )
    return facts_for_rules(one, proposal, [])


def main() -> None:
    began = time.perf_counter()
    rules = conditions()
    print(f"{len(rules)} conditions compiled in {(time.perf_counter() - began) * 1000:.0f} ms; load {os.getloadavg()[0]:.1f}")
    print("incident, ms for all of them     p50    p99    worst   matched")
    for kind, characters in (("action", 2_000), ("question", 2_000), ("draft", 2_000), ("draft", 50_000), ("alert", 50_000)):
        facts, took, matched = incident(kind, characters), [], 0
        for _ in range(RUNS):
            began = time.perf_counter()
            bound = cel.bind(facts)
            matched = sum(rule.evaluate(bound) is True for rule in rules)
            took.append((time.perf_counter() - began) * 1000)
        ranked = statistics.quantiles(took, n=100)
        print(f"{kind:>8} of {characters:>6} characters   {ranked[49]:>6.2f} {ranked[98]:>6.2f}  {max(took):>6.2f}   {matched:>6}")


if __name__ == "__main__":
    with clock.frozen_at(datetime(2026, 11, 20, 12, tzinfo=UTC)):  # the database would be asked for the time
        main()
