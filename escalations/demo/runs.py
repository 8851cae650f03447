"""Agents at work: a run that went well, one that a person stopped, and one that goes round in circles and waits for somebody."""

from datetime import datetime, timedelta
from typing import Any

from escalations import clock, oversight
from escalations.models import OversightSession, Person, Source
from escalations.states import Order

Step = tuple[str, dict[str, Any], Any, str]  # tool, args, what came back, error

RECONCILED: list[Step] = [
    ("list_payouts", {"from": "2026-11-02", "to": "2026-11-08"}, {"payouts": 3, "total": 18_412.60}, ""),
    ("list_orders", {"paid_between": ["2026-11-02", "2026-11-08"]}, {"orders": 214, "total": 18_531.60}, ""),
    ("compare", {"payouts": 3, "orders": 214}, {"missing": [20_377, 20_391], "difference": 119.0}, ""),
    ("get_order", {"order": 20_377}, {"total": 74.0, "state": "refunded", "by": "desk"}, ""),
    ("get_order", {"order": 20_391}, None, "timeout after 5 s"),
    ("get_order", {"order": 20_391}, {"total": 45.0, "state": "disputed", "since": "2026-11-06"}, ""),
    ("write_report", {"week": 45, "explained": 119.0, "open": 0}, {"document": "reconciliation-45"}, ""),
]
STOPPED: list[Step] = [
    ("read_brief", {"campaign": "winter sale"}, {"customers": "bought a sofa, not a lamp"}, ""),
    ("select_customers", {"bought": "sofa", "not_bought": "lamp"}, {"customers": 4_812}, ""),
    ("draft_mail", {"to": "c-7710", "offer": "lamp Fyn, 20% off"}, {"words": 96}, ""),
    ("send_mail", {"to": "c-7710"}, {"queued": True}, ""),
    ("draft_mail", {"to": "c-7722", "offer": "lamp Fyn, 20% off"}, {"words": 101}, ""),
]
CIRCLES: list[Step] = [
    ("open_supplier", {"name": "Helder Glass"}, {"id": "s-118", "country": "IE"}, ""),
    ("get_quote", {"item": "glass top 120x60", "pieces": 40}, {"price": 31.2, "valid": "today"}, ""),
    ("open_supplier", {"name": "Nordwood Timber"}, {"id": "s-121", "country": "FI"}, ""),
    *(
        ("get_quote", {"supplier": "s-121", "item": "oak leg 72 cm", "pieces": 160}, {"status": "pending", "ask_again": True}, "")
        for _ in range(5)
    ),
]


def lived(source: Source, stopper: Person, moment: datetime | None) -> None:
    """Let the run that went well and the one that was stopped happen: at `moment` if it is given, otherwise now."""
    _lived(moment, 0, lambda at: _reconcile(source, at))
    _lived(moment, 3600, lambda at: _stop(source, stopper, at))


def circling(source: Source) -> None:
    """Let the one that goes round in circles happen now, so that somebody is wanted."""
    run = _begin(source, "purchasing-agent", "Get quotes for 40 tables Fyn from three suppliers", steps=60, cost="4.00")
    _walk(run, CIRCLES, None)


def _lived(moment: datetime | None, seconds: float, run: Any) -> None:
    if moment is None:
        run(None)
        return
    at = moment + timedelta(seconds=seconds)
    with clock.frozen_at(at):
        run(at)


def _reconcile(source: Source, at: datetime | None) -> None:
    run = _begin(source, "reconciliation-agent", "Match last week's payouts with the orders", steps=100, cost="2.50")
    with clock.frozen_at(_walk(run, RECONCILED, at)):
        oversight.end(run.pk, source=source, outcome="done", detail="119.00 explained: one refund, one dispute. Nothing is open.")


def _stop(source: Source, stopper: Person, at: datetime | None) -> None:
    run = _begin(source, "campaign-agent", "Offer lamps to people who bought a sofa", steps=10_000, cost="40.00")
    with clock.frozen_at(_walk(run, STOPPED, at)):
        oversight.order(run.pk, Order.STOP, person=stopper, text="These customers asked for no advertising. Nothing more leaves.")
        oversight.directive(run.pk, source=source)
        oversight.end(run.pk, source=source, outcome="stopped", detail="1 of 4,812 was sent.")


def _begin(source: Source, agent: str, goal: str, **limits: Any) -> OversightSession:
    data = {"agent": agent, "goal": goal, "limits": limits}
    run, _ = oversight.start(source=source, key_env="live", data=data, key=None, body_digest="0" * 64)
    return run


def _walk(run: OversightSession, steps: list[Step], began: datetime | None) -> datetime:
    """Take the steps, some seconds apart where the run lies in the past; return when the last was over."""
    at = began or clock.now()
    for number, (tool, args, result, error) in enumerate(steps, start=1):
        took = 400 + 173 * number % 2_900
        at = at + timedelta(seconds=7 + took / 1000) if began else clock.now()
        step = {
            "number": number, "tool": tool, "args": args, "result": result, "error": error, "took_ms": took, "tokens": 610 + 97 * number,
            "cost": "0.0087",
        }
        with clock.frozen_at(at):
            oversight.take_steps(run.pk, source=run.source, steps=[step])
    return at
