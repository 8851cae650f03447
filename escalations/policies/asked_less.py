"""Whether one escalation policy asks less of people than another, and which policy would come to hold."""

from collections.abc import Iterable

from django.db.models import Q

from escalations.models import EscalationPolicy, RoutingRule, Trigger
from escalations.states import Fallback, Risk, RuleState

CHAT = ("", Risk.LOW, Risk.MEDIUM, Risk.HIGH)  # rising


def effective_fallback(policy: EscalationPolicy) -> Fallback:
    """Return what really happens when nobody answers: an approve that no second administrator confirmed is a reject."""
    if policy.fallback == Fallback.APPROVE and policy.approve_confirmed_by_id is None:
        return Fallback.REJECT
    return Fallback(policy.fallback)


def says_yes(policy: EscalationPolicy | None) -> bool:
    return policy is not None and effective_fallback(policy) == Fallback.APPROVE


def people_asked_less(was: EscalationPolicy, now: EscalationPolicy) -> list[str]:
    """Return in words what `now` asks less of people than `was`, silence left aside."""
    said = []
    if now.quorum < was.quorum:
        said.append(f"A yes would take {now.quorum} {'person' if now.quorum == 1 else 'people'} instead of {was.quorum}.")
    if _chat(now) > _chat(was):
        said.append(f"A button in a chat could decide up to {now.chat_up_to} risk, instead of {was.chat_up_to or 'nothing'}.")
    return said


def _chat(policy: EscalationPolicy) -> int:
    return CHAT.index(policy.chat_up_to) if policy.chat_up_to in CHAT else len(CHAT)


def triggers_matter() -> bool:
    """Return whether some policy does by silence, or lets a chat decide, what it would not with a trigger. One query."""
    yes = Q(fallback=Fallback.APPROVE, approve_confirmed_by__isnull=False)
    return bool(EscalationPolicy.objects.filter(yes | ~Q(chat_up_to=""), archived_at=None).exists())


def default_policy() -> EscalationPolicy | None:
    return EscalationPolicy.objects.filter(is_default=True).first()


def of_policy(old: EscalationPolicy | None, new: EscalationPolicy) -> list[str]:
    """Return why an edit of a policy needs a second administrator. At most four queries.

    One that nothing goes by may be edited freely: what points to it later is compared then. A yes of silence has its own second.
    """
    before = default_policy() if new.is_default and (old is None or not old.is_default) else None
    said = people_asked_less(before, new) if before is not None else []
    if old is not None and (less := people_asked_less(old, new)) and _is_used(old):
        said += [one for one in less if one not in said]
    return said


def _is_used(policy: EscalationPolicy) -> bool:
    return policy.is_default or RoutingRule.objects.filter(policy=policy, state=RuleState.LIVE).exists() or (
        Trigger.objects.filter(policy=policy).exists()
    )


def of_trigger(old: Trigger, new: Trigger) -> list[str]:
    """Return why pointing a trigger to another policy needs a second administrator. At most one query.

    What fired is never approved by silence, so that is left aside.
    """
    if old.policy_id == new.policy_id:
        return []
    default = default_policy()
    was, now = old.policy or default, new.policy or default
    return people_asked_less(was, now) if was is not None and now is not None else []


def of_rule(was: RoutingRule | None, now: RoutingRule | None) -> list[str]:
    """Return why a live rule's edit needs a second administrator for the policy that would hold. At most three queries.

    The highest-priority matching rule that names a policy decides which. Which rules match together nobody knows, so a policy that
    may come to hold is compared with every one that may have held.
    """
    mine, other = (was.policy if was is not None else None), (now.policy if now is not None else None)
    raised = now is not None and (was is None or mine is None or now.priority > was.priority)
    fell = was is not None and (now is None or other is None or now.priority < was.priority)
    if mine == other and not (mine is not None and (raised or fell)):
        return []
    said: list[str] = []
    if now is not None and other is not None and mine == other and raised and says_yes(other):
        said.append(f"Its priority rises, so its policy “{other.name}”, which approves what nobody answers, would hold more often.")
    if mine is not None and other is not None and mine != other:
        said += _less([mine], [other])
    if mine is not None and fell:  # it leaves what it matched to others
        said += _less([mine], _beside(was, at_least=now.priority if now is not None and other is not None else None))
    if other is not None and raised:  # it takes from others what it matches
        said += _less(_beside(now, at_least=was.priority if was is not None and mine is not None else None), [other])
    return list(dict.fromkeys(said))


def _beside(rule: RoutingRule | None, *, at_least: int | None) -> list[EscalationPolicy]:
    """Return the policies that may hold where this rule's does not: other live rules' of its priority or a lower one, down to
    `at_least`; and without that the triggers' and the default one. One query."""
    assert rule is not None
    rules = RoutingRule.objects.filter(state=RuleState.LIVE, policy__isnull=False, priority__lte=rule.priority).exclude(pk=rule.pk)
    if at_least is not None:
        return list(EscalationPolicy.objects.filter(pk__in=rules.filter(priority__gte=at_least).values("policy")).order_by("pk"))
    triggers = Trigger.objects.filter(policy__isnull=False, enabled=True).values("policy")
    wanted = Q(is_default=True) | Q(pk__in=rules.values("policy")) | Q(pk__in=triggers)
    return list(EscalationPolicy.objects.filter(wanted).order_by("pk"))


def _less(before: Iterable[EscalationPolicy], after: Iterable[EscalationPolicy]) -> list[str]:
    before, said = list(before), []
    for then in after:
        if says_yes(then) and not all(says_yes(one) for one in before):
            said.append(f"What nobody answers in time could be approved: the policy “{then.name}”, which may hold then, says so.")
        for one in before:
            said += [f"The policy “{then.name}” may hold instead of “{one.name}”: {less}" for less in people_asked_less(one, then)]
    return said
