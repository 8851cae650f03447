"""A past to try rules on: incidents that went the real way, and people who decided."""

from itertools import count

from escalations import clock, lifecycle, route
from escalations.floors.cel import compile_condition
from escalations.floors.judge import judge
from escalations.floors.rulebook import LiveRule, Rulebook
from escalations.models import Classification, Incident, Proposal, RoutingRule, Work
from escalations.states import Floor, Stage
from tests.factories import IncidentFactory, ProposalFactory

NUMBERS = count(1)
AUTO = 'proposal.action == "note"'


def incident(source, *, action="note", args=None, kind="action", words=(("rules", 0.9),), claims=None, test=False, **more):
    """Return a proposal that waits to be routed."""
    number = next(NUMBERS)
    row = IncidentFactory(source=source, kind=kind, title=f"Note {number}", test=test, **more)
    args = {"n": number} if args is None else args
    proposal = ProposalFactory(
        incident=row, action=action, args=args, claims=claims or {}, routed_at=None, role=None, asked=[], due_at=None, expires_at=None,
        findable=False, policy={},
    )
    waiting(row, proposal, words)
    return proposal


def waiting(row, proposal, words):
    work = Work.objects.create(incident=row, proposal=proposal, stage=Stage.ROUTE)
    for engine, confidence in words:
        Classification.objects.create(
            incident=row, work=work, engine=engine, severity="info", category="refund", confidence=confidence, sure=engine == "rules",
        )


def routed(*proposals):
    """Route everything that waits, and return these proposals as they are now."""
    while route.run_batch():
        pass
    return [Proposal.objects.get(pk=one.pk) for one in proposals]


def rule(name="notes go alone", condition=AUTO, floor=Floor.AUTO, state="live", **more):
    return RoutingRule.objects.create(name=name, condition=condition, floor=floor, state=state, **more)


def says(person, proposal, verdict, **more):
    """Have a person sign what stands there."""
    one = Proposal.objects.get(pk=proposal.pk)
    return lifecycle.decide(
        one.pk, person=person, type=verdict, digest=one.args_digest, version=one.version, reason="why", message="said", **more
    )


def judged_by(draft, proposal, *, replaces="", trigger=None):
    """Judge a proposal with the rule among the live ones, or the trigger in its place, by the judge itself."""
    book = Rulebook.load()
    rules, triggers = list(book.rules), dict(book.triggers)
    if draft is not None:
        rules = [live for live in rules if live.rule.name != replaces]
        rules.append(LiveRule(draft, compile_condition(draft.condition, auto=draft.floor == Floor.AUTO)))
        rules.sort(key=lambda live: (-live.rule.priority, live.rule.name))
    if trigger is not None:
        triggers[trigger.name] = trigger
    fields = {name: getattr(book, name) for name in Rulebook.__dataclass_fields__} | {"rules": rules, "triggers": triggers}
    row = Incident.objects.select_related("source__owner").get(pk=proposal.incident_id)
    one = Proposal.objects.get(pk=proposal.pk)
    held = next((entry["why"] for entry in one.rules if not entry["name"]), "")
    words = list(Classification.objects.filter(incident=row))
    with clock.frozen_at(one.routed_at):
        return judge(Rulebook(**fields), row, one, words, held=held)
