"""Every fact the record holds. Constraints and indexes live with the model; verbs that change state live in `lifecycle`."""

from .audit import AuditEntry, AuditSeal
from .classifications import Classification
from .decisions import Acknowledgement, Decision, Hold, Signature
from .deliveries import Delivery, DeliveryAttempt, Notice
from .incidents import ContextItem, Incident, Question, Work
from .machinery import Heartbeat, ModelSpend, RateWindow, WakeUp
from .people import Person, PersonToken, Role
from .policies import EscalationPolicy, EscalationStep, StepRun
from .proposals import Comment, Proposal, SearchText, Urgency
from .rules import Category, RoutingRule, Trigger
from .sources import ApiKey, SigningSecret, Source

__all__ = [
    "Acknowledgement",
    "ApiKey",
    "AuditEntry",
    "AuditSeal",
    "Category",
    "Classification",
    "Comment",
    "ContextItem",
    "Decision",
    "Delivery",
    "DeliveryAttempt",
    "EscalationPolicy",
    "EscalationStep",
    "Heartbeat",
    "Hold",
    "Incident",
    "ModelSpend",
    "Notice",
    "Person",
    "PersonToken",
    "Proposal",
    "Question",
    "RateWindow",
    "Role",
    "RoutingRule",
    "SearchText",
    "Signature",
    "SigningSecret",
    "Source",
    "StepRun",
    "Trigger",
    "Urgency",
    "WakeUp",
    "Work",
]
