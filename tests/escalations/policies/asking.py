"""How tests of two administrators begin: rules that are there, edits that wait."""

import json

from escalations import audit, policies
from escalations.models import AuditEntry, RoutingRule, Source, Trigger

REFUNDS = 'incident.kind == "action" && proposal.action == "refund"'


def rule(**more):
    return RoutingRule(**{"name": "Refunds", "condition": REFUNDS, "floor": "review", "state": "live"} | more)


def made(**more):
    """A rule that is there already, whoever put it there."""
    return policies.save_rule(rule(**more), actor=audit.SYSTEM)


def save(one, person, **more):
    verb = {RoutingRule: policies.save_rule, Trigger: policies.save_trigger, Source: policies.save_source}[type(one)]
    return verb(one, actor=audit.Actor.of(person), person=person, **more)


def asked_of(ada, **edit):
    """A live rule, and a change of it that waits."""
    one = made()
    for field, value in (edit or {"state": "draft"}).items():
        setattr(one, field, value)
    return save(one, ada, why="Too many of them.")


def facts(action):
    return json.loads(AuditEntry.objects.filter(action=action).latest("pk").body)
