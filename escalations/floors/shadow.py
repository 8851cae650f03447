"""What rules in shadow would have done with a proposal that is just being routed: evaluated and recorded, decides nothing."""

import logging
from collections.abc import Sequence

from escalations.models import Incident, Proposal, ShadowVerdict
from escalations.states import Floor

from .anew import Ask, Past
from .rulebook import Rulebook

logger = logging.getLogger(__name__)


def verdicts(rulebook: Rulebook, incident: Incident, proposal: Proposal, words: Sequence[object]) -> list[ShadowVerdict]:
    """Return an unsaved verdict for every rule in shadow that matches, or that could not be answered. No query.

    `proposal` was just routed: it says where it went. Each rule is asked alone, as if it were the only one added to what the live
    ones said. What a test key posted is no evidence. Whatever goes wrong here is logged and leaves out that one verdict: no routing
    waits for it or falls over it.
    """
    if not rulebook.shadow or proposal.routed_at is None or incident.test:
        return []
    found = []
    past = Past(incident, proposal, words)
    rows = [live.rule for live in rulebook.rules]
    for live in rulebook.shadow:
        try:
            anew = Ask.of_rule(rulebook, rows, live.rule, live.condition).of(past)
            if not anew.matched and not (anew.error and live.rule.floor != Floor.AUTO):
                continue
            role = next((one for one in rulebook.roles.values() if one.name == anew.becomes.role), None)
            found.append(ShadowVerdict(
                rule=live.rule, version=live.rule.version, proposal=proposal, floor=anew.becomes.floor, was=anew.was.floor,
                would_settle=anew.becomes.alone, role=role, error=anew.error[:300], at=proposal.routed_at,
            ))
        except Exception:
            logger.exception("a rule in shadow failed", extra={"rule": live.rule.name, "incident": str(incident.pk)})
    return found
