"""What a new database starts with: roles, triggers, categories, the default escalation policy, readable routing rules.

`install()` only ever adds what is missing. What an administrator has changed, renamed or archived stays as it is.
"""

from datetime import timedelta
from typing import NamedTuple

from django.db import connection, transaction
from django.db.models import Model

from escalations import audit, clock
from escalations.floors.triggers import DEFAULT_SETTINGS
from escalations.guidance import GUIDANCE
from escalations.instructions import EXAMPLES, INSTRUCTIONS
from escalations.models import Category, EscalationPolicy, EscalationStep, PromptVersion, Role, RoutingRule, Trigger, WakeUp
from escalations.models.people import AUDITOR, MANAGER, QUEUE_MANAGER
from escalations.policies import versions
from escalations.queue import JOBS
from escalations.states import Fallback, Floor, PromptState, Sensitive

ROLES: dict[str, str] = {
    QUEUE_MANAGER: "Takes what nobody else is asked for, and sends it on.",
    "finance": "Answers for money that leaves: refunds, payments, credits.",
    "specialist": "Knows the law, health and personnel matters, and requests about personal data.",
    "process owner": "Answers for what cannot be undone and for rules that disagree.",
    "supervisor": "Handles complaints and important customers.",
    "support": "Talks to customers who ask for a person.",
    "operations": "Keeps systems and agents running.",
    "security": "Looks at access, permissions and attempts to mislead the machine.",
    MANAGER: "Is asked when work is late; sees and decides everything.",
    AUDITOR: "Reads everything, decides nothing.",
}

# Kinds of values a role reads as they are; for all others they are masked until shown on purpose.
CLEARANCE: dict[str, list[str]] = {
    "finance": [Sensitive.FINANCIAL],
    "specialist": [Sensitive.FINANCIAL, Sensitive.IDENTITY, Sensitive.SECRET],
    "security": [Sensitive.IDENTITY, Sensitive.SECRET],
    MANAGER: [Sensitive.FINANCIAL, Sensitive.IDENTITY],
}

# In the order of states.TRIGGERS: what it says to an administrator, and who is asked.
TRIGGERS: dict[str, tuple[str, str]] = {
    "high_stakes": ("A numeric argument (amount, count, rows…) is over its limit, or cannot be read as a number.", "finance"),
    "irreversible": ("The action is declared or known to be irreversible.", "process owner"),
    "policy_conflict": ("Two live rules of equal priority disagree on what to do.", "process owner"),
    "sensitive_data": ("Health, legal, personnel or financial details were found.", "specialist"),
    "injection_suspected": (
        "Text that addresses the classifier or the reviewer, hidden characters, or prose that contradicts the arguments.",
        "security",
    ),
    "user_request": ("The customer asks for a person. Honoured at once, always.", "support"),
    "user_complaint": ("The customer disputes what the machine did.", "supervisor"),
    "low_confidence": ("Confidence is below the threshold, or the engines disagree.", QUEUE_MANAGER),
    "unfamiliar": ("Unlike anything decided before.", QUEUE_MANAGER),
    "loop_detected": ("An agent repeats itself or exceeds its step budget.", "operations"),
    "agent_failed": ("Retries are exhausted, or an exception is marked as not retryable.", "operations"),
    "classifier_failed": ("No engine could answer in time.", QUEUE_MANAGER),
}

# name -> (what belongs here, who is asked when neither a rule nor a trigger names a role)
CATEGORIES: dict[str, tuple[str, str | None]] = {
    "refund": ("Money given back to a customer.", "finance"),
    "payment": ("Money sent, charged, transferred or paid out.", "finance"),
    "account_access": ("Somebody cannot sign in, or wants an account opened, changed or closed.", "support"),
    "data_request": ("A request to see, export, correct or erase personal data.", "specialist"),
    "legal_statement": ("Words with legal or public weight: contracts, claims, press.", "specialist"),
    "deletion": ("Something is deleted, dropped, purged or wiped.", "process owner"),
    "bulk_update": ("Many records are changed at once.", "process owner"),
    "permission_change": ("Rights, roles or access are granted or taken away.", "security"),
    "outage": ("A service is down or unreachable for its users.", "operations"),
    "timeout": ("Something took too long and was given up.", "operations"),
    "dependency_failure": ("A service we rely on failed or refused.", "operations"),
    "data_error": ("Data was missing, malformed or contradicted what was expected.", "operations"),
    "auth_failure": ("A sign-in or a credential was refused.", "security"),
    "crash": ("A process died: memory fault, panic, out of memory.", "operations"),
    "bug": ("A programming error: a wrong type, a missing attribute, a failed assertion.", "operations"),
    "customer_question": ("A customer asks something.", "support"),
    "complaint": ("A customer is unhappy with what was done.", "supervisor"),
    "reply_draft": ("An answer to a customer, written by an agent.", "support"),
    "booking": ("A reservation is made, changed or cancelled.", "support"),
    "handoff": ("An agent gives a conversation or a task to a person.", "support"),
    "security": ("Signs of an attack, a leak or a vulnerability.", "security"),
    "other": ("Nothing else fits.", None),
}

ONE_AT_A_TIME = 0x636F756E74  # an advisory lock: two processes that start at once install once

POLICY = "standard"
STEP_AFTER = timedelta(hours=4)


class Rule(NamedTuple):
    """A default routing rule. Priorities all differ, so no two of them can be in conflict."""

    priority: int
    name: str
    condition: str
    why: str
    role: str | None = None
    category: str | None = None
    floor: Floor = Floor.REVIEW
    by: str = "rule"
    threshold: float | None = None
    model_counts: bool = False


MESSAGE = 'incident.kind in ["question", "handoff", "draft"]'
MESSAGE_TEXT = '(incident.title + " " + incident.body + " " + incident.request)'

RULES: tuple[Rule, ...] = (
    Rule(
        900, "Data-subject requests",
        'incident.kind == "action" && proposal.action.matches('
        r'r"(?i)(export|erase|forget|anonymi[sz]e).*(data|customer|person|user)|gdpr|dsar|data_subject")',
        "Requests about personal data have legal deadlines and may only be answered to the person concerned.",
        "specialist", "data_request",
    ),
    Rule(
        880, "Legal or public statements",
        'incident.kind in ["action", "draft"] && (proposal.action.matches('
        r'r"(?i)press|publish|public|tweet|social_post|legal|contract") || '
        '(proposal.draft.subject + " " + proposal.draft.body).matches('
        r'r"(?i)\b(press release|public statement|legal action|liabilit(y|ies)|settlement|without prejudice)\b"))',
        "What we say in public or in law binds the company.",
        "specialist", "legal_statement",
    ),
    Rule(
        860, "A lawyer is mentioned",
        f'{MESSAGE} && {MESSAGE_TEXT}.matches(r"(?i)\\b(lawyers?|attorneys?|solicitors?|sue|suing|lawsuit|court)\\b")',
        "Where a lawyer is mentioned, a specialist chooses the words.",
        "specialist",
    ),
    Rule(
        840, "GDPR is mentioned",
        f'{MESSAGE} && {MESSAGE_TEXT}.matches(r"(?i)\\b(gdpr|data protection|right to be forgotten|personal data)\\b")',
        "Whoever cites data protection may be making a request with a legal deadline.",
        "specialist", "data_request",
    ),
    Rule(
        800, "Permission changes",
        'incident.kind == "action" && proposal.action.matches('
        r'r"(?i)permission|privilege|grant|revoke|(add|remove|change|set|assign)_?(role|admin|owner|access)|api_?key|mfa")',
        "Whoever can change rights can do everything else.",
        "security", "permission_change",
    ),
    Rule(
        780, "Account closures",
        'incident.kind == "action" && proposal.action.matches('
        r'r"(?i)(close|terminate|cancel|deactivate|delete|suspend).*account")',
        "A closed account is hard to give back, and the customer notices at once.",
        "process owner", "account_access",
    ),
    Rule(
        760, "Deletions",
        'incident.kind == "action" && proposal.action.matches(r"(?i)delete|drop|purge|wipe|truncate|destroy")',
        "What is deleted is gone.",
        "process owner", "deletion",
    ),
    Rule(
        740, "Bulk updates",
        'incident.kind == "action" && proposal.action.matches(r"(?i)bulk|mass|batch|update_(all|many)")',
        "One wrong value is repeated in every record.",
        "process owner", "bulk_update",
    ),
    Rule(
        700, "Refunds over 100",
        'incident.kind == "action" && proposal.action.matches(r"(?i)refund") && proposal.args.amount > 100',
        "Money over 100 leaves only with a person's yes.",
        "finance", "refund",
    ),
    Rule(
        680, "Payments over 100",
        'incident.kind == "action" && proposal.action.matches(r"(?i)pay|transfer|send_money|credit") && '
        'proposal.args.amount > 100',
        "Money over 100 leaves only with a person's yes.",
        "finance", "payment",
    ),
    Rule(
        600, "VIP or flagged customers",
        'incident.kind in ["action", "draft", "question", "handoff"] && '
        '(customer.tier.matches(r"(?i)^vip$") || size(customer.flags) > 0)',
        "Important or flagged customers are never answered by the machine alone.",
        "supervisor",
    ),
    Rule(
        580, "Complaints",
        f'{MESSAGE} && {MESSAGE_TEXT}.matches(r"(?i)\\b(complaints?|complain(ing|ed)?|unacceptable|outrageous)\\b")',
        "An unhappy customer is answered by a person who may make it good.",
        "supervisor", "complaint",
    ),
    Rule(
        200, "Exceptions and alerts above info",
        'incident.kind in ["exception", "alert"] && classification.severity != "info"',
        "A warning or worse is acknowledged by a person.",
    ),
    Rule(
        100, "Info exceptions and alerts of a demo source",
        'incident.kind in ["exception", "alert"] && source.demo && proposal.action == "acknowledge"',
        "Nothing runs when these are acknowledged; a demo source's noise need not wake anybody when an engine is sure.",
        None, None, Floor.AUTO, "threshold", 0.8, True,
    ),
    Rule(
        -1000, "What a lane has earned",  # below all that anybody writes, so that it never disagrees with a rule of equal priority
        'incident.kind in ["action", "draft", "exception", "alert"]',
        "Lets go only what a lane has earned, by evidence a manager signed; every other rule, trigger and floor stands above it.",
        None, None, Floor.AUTO, "lane",
    ),
)


@transaction.atomic
def install() -> None:
    """Add what is missing. Safe to run at every start, twice at once, and after administrators changed things.

    Costs eight queries when nothing is missing.
    """
    with connection.cursor() as cursor:
        cursor.execute("SELECT pg_advisory_xact_lock(%s)", [ONE_AT_A_TIME])
    roles = _roles()
    categories = _categories(roles)
    _policy(roles)
    _triggers(roles)
    # A rule may be renamed or archived but never deleted: where there is one, this is no new database.
    if not RoutingRule.objects.exists():
        _rules(roles, categories)
    _prompt()
    WakeUp.objects.bulk_create([WakeUp(kind=kind) for kind in JOBS], ignore_conflicts=True)


def _roles() -> dict[str, Role]:
    roles = {role.name: role for role in Role.objects.all()}
    for name, description in ROLES.items():
        if name not in roles:
            roles[name] = Role.objects.create(
                name=name,
                description=description,
                sees_everything=name in {MANAGER, AUDITOR},
                decides_everything=name == MANAGER,
                clearance=CLEARANCE.get(name, []),
            )
            _record("role.saved", roles[name])
    return roles


def _categories(roles: dict[str, Role]) -> dict[str, Category]:
    categories = {category.name: category for category in Category.objects.all()}
    for name, (description, asked) in CATEGORIES.items():
        if name not in categories:
            told = GUIDANCE[name]
            categories[name] = Category.objects.create(
                name=name, description=description, role=roles[asked] if asked else None,
                guidance=told.text, reject_reasons=list(told.reasons),
            )  # fmt: skip
            _record("category.saved", categories[name])
    return categories


def _policy(roles: dict[str, Role]) -> None:
    """The role asked has 4 hours, then the manager 4 more, then the manager once more 4; then it is rejected."""
    if EscalationPolicy.objects.filter(is_default=True).exists():
        return
    policy, created = EscalationPolicy.objects.get_or_create(
        name=POLICY,
        defaults={
            "description": "The role has 4 hours, then the manager for 4 hours, then the manager once more for 4; then rejected.",
            "expires_after": 3 * STEP_AFTER,
            "fallback": Fallback.REJECT,
            "is_default": True,
        },
    )
    if created:
        EscalationStep.objects.create(policy=policy, position=1, role=roles[MANAGER], after=STEP_AFTER, repeat=1)
        _record("policy.saved", policy)


def _triggers(roles: dict[str, Role]) -> None:
    known = set(Trigger.objects.values_list("name", flat=True))
    for name, (description, role) in TRIGGERS.items():
        if name not in known:
            trigger = Trigger.objects.create(
                name=name, description=description, role=roles[role], settings=DEFAULT_SETTINGS.get(name, {})
            )
            _record("trigger.saved", trigger)


def _rules(roles: dict[str, Role], categories: dict[str, Category]) -> None:
    for default in RULES:
        rule = RoutingRule.objects.create(
            **default._asdict()
            | {
                "role": roles[default.role] if default.role else None,
                "category": categories[default.category] if default.category else None,
            }
        )
        versions.record(rule, actor=audit.SYSTEM, why="Installed.")
        _record("rule.saved", rule)


def _prompt() -> None:
    """What the model is told until somebody writes another version."""
    if not PromptVersion.objects.exists():
        version = PromptVersion.objects.create(
            number=1, state=PromptState.LIVE, instructions=INSTRUCTIONS, examples=EXAMPLES, why="Installed.", promoted_at=clock.now()
        )
        _record("prompt.saved", version)


def _record(action: str, row: Model) -> None:
    audit.record(action, actor=audit.SYSTEM, subject=f"{type(row).__name__} {row.pk}", name=str(row), why="installed")
