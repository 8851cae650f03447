"""What has to be alive for a decision to be made in time."""

from dataclasses import dataclass

from django.conf import settings
from django.db import DatabaseError

from escalations import audit, clock, standstill
from escalations.models import Channel, Heartbeat

TIMERS_DEAD_AFTER = 30.0  # seconds; they beat every five
SEALER_BEHIND = 60.0


@dataclass(frozen=True)
class Checked:
    """How one thing stands. `vital`: when it does not, this installation is not ready."""

    ok: bool
    detail: str
    vital: bool = True

    def json(self) -> dict[str, object]:
        return {"ok": self.ok, "detail": self.detail}


def check() -> dict[str, Checked]:
    """Look at everything. Five small queries; without a database only that is told."""
    try:
        now = clock.read()
        stop = standstill.standing()
        failing = Channel.objects.filter(failing_since__isnull=False, disabled_at=None)[:100].count()
        beats = {row.name: row for row in Heartbeat.objects.order_by("name")[:200]}
        waiting, oldest = audit.unsealed(limit=1000)
    except DatabaseError as error:
        return {"database": Checked(False, type(error).__name__)}

    def age(name: str) -> float | None:
        return (now - beats[name].at).total_seconds() if name in beats else None

    def told(seconds: float | None) -> str:
        return "never seen" if seconds is None else f"seen {seconds:.0f} s ago"

    queue = age("queue")
    alive = [name for name in beats if name.startswith("timers:") and (age(name) or 0.0) < TIMERS_DEAD_AFTER]
    sealer, auditor = age("sealer"), beats.get("auditor")
    found = auditor.detail.get("found", {}) if auditor else {}
    configuration = beats["configuration"].detail if "configuration" in beats else {}
    return {
        "database": Checked(True, "answers"),
        "queue": Checked(queue is not None and queue < settings.HEARTBEAT_DEAD_AFTER, told(queue)),
        "timers": Checked(bool(alive), f"{len(alive)} alive"),
        "sealer": Checked(
            sealer is not None and sealer < SEALER_BEHIND and oldest < SEALER_BEHIND,
            f"{told(sealer)}, {waiting} entries wait, the oldest {oldest:.0f} s",
        ),
        # People's own will, and pages are what it takes to release it.
        "channels": Checked(not failing, f"{failing} fail" if failing else "none fails", vital=False),
        "stopped": Checked(stop is None, f"everything, since {stop.at:%Y-%m-%d %H:%M} UTC" if stop else "nothing", vital=False),
        "configuration": Checked(
            not configuration.get("grave"), f"{configuration.get('count', 0)} do nothing, {configuration.get('grave', 0)} of them grave",
            vital=False,
        ),
        # Named, not red: one proposal that needs a look is no reason to take everybody's pages away.
        "auditor": Checked(not found, "; ".join(f"{sort}: {len(names)}" for sort, names in found.items()) or "clean", vital=False),
    }
