"""Approved drafts that leave by mail: exactly what was signed, to the address that was signed."""

from collections.abc import Mapping
from typing import Any

from escalations import canonical, mailing
from escalations.models import Decision, Delivery

from .failed import DeliveryFailed

LONGEST_SUBJECT = 900  # a header line's length, with room


def content(delivery: Delivery) -> dict[str, str]:
    """Return {"to", "subject", "body"} of the signed draft.

    Raises DeliveryFailed when anything about it is not as it was signed.
    """
    decision: Decision = delivery.proposal.decision
    if not delivery.source.may_email:
        raise DeliveryFailed("the source may no longer send drafts by mail", permanent=True)
    if delivery.proposal.test:
        raise DeliveryFailed("drafts of test keys are not mailed", permanent=True)
    if canonical.args_digest(decision.action or None, decision.args, decision.draft) != decision.args_digest:
        raise DeliveryFailed("what is stored is not what was signed", permanent=True)
    draft: Mapping[str, Any] = decision.draft or {}
    subject = draft.get("subject") or ""
    if not isinstance(subject, str) or any(char in subject for char in "\r\n\x00") or len(subject) > LONGEST_SUBJECT:
        raise DeliveryFailed("the signed subject is not one line", permanent=True)
    try:
        to = mailing.one_address(draft.get("to"))
    except mailing.MailFailed as error:
        raise DeliveryFailed(error.reason, permanent=True) from error
    return {"to": to, "subject": subject, "body": str(draft.get("body") or "")}


def send(delivery: Delivery) -> None:
    """Send it, everything checked once more; blocking, no queries. Raises DeliveryFailed."""
    mail = content(delivery)
    try:
        mailing.send(to=mail["to"], subject=mail["subject"], body=mail["body"], message_id=delivery.pk)
    except mailing.MailFailed as error:
        raise DeliveryFailed(error.reason, permanent=error.permanent) from error
