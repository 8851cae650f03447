"""Every fact the record holds. Constraints and indexes live with the model; verbs that change state live in `lifecycle`."""

from .audit import AuditEntry, AuditSeal
from .calendars import Absence, Calendar, Holiday, MuteWindow, people_here, roles_with_somebody
from .changes import Change, Replay, ReplayItem, RuleVersion, ShadowVerdict
from .channels import Channel, NoticeWishes, SlackAccount, SlackMessage, SlackPress, SlackWorkspace
from .classifications import Classification
from .decisions import Acknowledgement, Decision, Hold, Signature
from .deliveries import Delivery, DeliveryAttempt, Notice
from .incidents import ContextItem, Incident, Question, Work
from .lanes import Lane, LaneGrant, Trial
from .learning import ClassifierVersion, Estimate, Features, History, OutcomeReport
from .looks import KnownAnswer, SecondLook, VigilanceAlarm
from .machinery import Heartbeat, ModelSpend, RateWindow, WakeUp
from .people import Person, PersonToken, Role
from .policies import EscalationPolicy, EscalationStep, StepRun
from .prompts import PromptTrial, PromptVersion
from .proposals import ACKNOWLEDGE, Comment, Proposal, SearchText, Urgency, acknowledges, acknowledges_sql
from .rules import Category, RoutingRule, Trigger
from .sessions import OversightSession, SessionAlarm, SessionOrder, SessionStep
from .sources import ApiKey, SigningSecret, Source
from .stops import Stop
from .weekly import EscalationReview, Finding, FollowUp, Suggestion

__all__ = [
    "ACKNOWLEDGE",
    "Absence",
    "Acknowledgement",
    "ApiKey",
    "AuditEntry",
    "AuditSeal",
    "Calendar",
    "Category",
    "Change",
    "Channel",
    "Classification",
    "ClassifierVersion",
    "Comment",
    "ContextItem",
    "Decision",
    "Delivery",
    "DeliveryAttempt",
    "EscalationPolicy",
    "EscalationReview",
    "EscalationStep",
    "Estimate",
    "Features",
    "Finding",
    "FollowUp",
    "Heartbeat",
    "History",
    "Hold",
    "Holiday",
    "Incident",
    "KnownAnswer",
    "Lane",
    "LaneGrant",
    "ModelSpend",
    "MuteWindow",
    "Notice",
    "NoticeWishes",
    "OutcomeReport",
    "OversightSession",
    "Person",
    "PersonToken",
    "PromptTrial",
    "PromptVersion",
    "Proposal",
    "Question",
    "RateWindow",
    "Replay",
    "ReplayItem",
    "Role",
    "RoutingRule",
    "RuleVersion",
    "SearchText",
    "SecondLook",
    "SessionAlarm",
    "SessionOrder",
    "SessionStep",
    "ShadowVerdict",
    "Signature",
    "SigningSecret",
    "SlackAccount",
    "SlackMessage",
    "SlackPress",
    "SlackWorkspace",
    "Source",
    "StepRun",
    "Stop",
    "Suggestion",
    "Trial",
    "Trigger",
    "Urgency",
    "VigilanceAlarm",
    "WakeUp",
    "Work",
    "acknowledges",
    "acknowledges_sql",
    "people_here",
    "roles_with_somebody",
]
