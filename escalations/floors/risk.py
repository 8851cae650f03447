"""How much depends on a decision: ours to say, never the caller's."""

from collections.abc import Collection

from escalations.states import Floor, Risk, Severity

GRAVE = frozenset({"irreversible", "high_stakes", "injection_suspected", "sensitive_data", "policy_conflict"})
NEEDS_A_REASON = (Risk.HIGH, Risk.CRITICAL)  # a yes to what much depends on says why
GRAVE_CATEGORIES = frozenset({"permission_change", "deletion", "bulk_update", "legal_statement", "data_request", "security"})


def risk_of(*, triggers: Collection[str], floor: str, category: str, severity: str) -> Risk:
    """Return the risk of a proposal from what fired, the floor, the category and the severity.

    Two grave triggers, or one on a critical item, or anything blocked: critical. One grave trigger, a grave category or a critical
    item: high. Any trigger, or a warning: medium. Else low.
    """
    grave = len(GRAVE & set(triggers))
    critical = severity == Severity.CRITICAL
    if floor == Floor.BLOCK or grave >= 2 or (grave and critical):
        return Risk.CRITICAL
    if grave or critical or category in GRAVE_CATEGORIES:
        return Risk.HIGH
    if triggers or severity == Severity.WARNING:
        return Risk.MEDIUM
    return Risk.LOW
