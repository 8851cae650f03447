"""Plain-text mail with a stable Message-ID, and words for how it can fail. Used by both outboxes; knows neither."""

import smtplib
from urllib.parse import urlsplit
from uuid import UUID

from django.conf import settings
from django.core.exceptions import ValidationError
from django.core.mail import EmailMessage, get_connection
from django.core.mail.backends.base import BaseEmailBackend
from django.core.validators import validate_email

from escalations.senders import SendFailed

SMTP_SECONDS = 10  # per step of the conversation


class MailFailed(SendFailed):
    """The mail was not taken.

    `permanent`: nor will it be. `unreachable`: the server itself was not there, so no other mail will go.
    """


def connect() -> BaseEmailBackend:
    """Return a connection of the configured kind, not opened yet; pass it to several `send`s."""
    return get_connection(timeout=SMTP_SECONDS)


def one_address(text: object) -> str:
    """Return `text` when it is one plain address and nothing besides. Raises MailFailed for lists, names, quotes.

    What a person signed is the address they read, so it may not be read in two ways.
    """
    if not isinstance(text, str) or not text.isascii() or any(char in text for char in " \t\r\n,;:<>()[]\"\\'"):
        raise MailFailed("the recipient is not one plain address", permanent=True)
    try:
        validate_email(text)
    except ValidationError as error:
        raise MailFailed("the recipient is not one plain address", permanent=True) from error
    return text


def send(
    *,
    to: str,
    subject: str,
    body: str,
    message_id: UUID,
    connection: BaseEmailBackend | None = None,
    automatic: bool = False,
) -> None:
    """Send one mail. The same id always has the same Message-ID, so that a second try is recognised as the same mail.

    `automatic` asks other machines not to answer it (out of office and the like).

    Raises MailFailed. Returning means that a server took it; a connection that broke after that looks like a failure,
    and the mail then goes twice under one Message-ID: rather twice than never.
    """
    if any(char in subject for char in "\r\n"):
        raise MailFailed("the subject has a line break", permanent=True)
    headers = {"Message-ID": f"<{message_id}@{_domain()}>"}
    if automatic:
        headers["Auto-Submitted"] = "auto-generated"
    message = EmailMessage(
        subject,
        body,
        settings.DEFAULT_FROM_EMAIL,
        [to],
        connection=connection or connect(),
        headers=headers,
    )
    try:
        message.send()
    except smtplib.SMTPRecipientsRefused as error:
        codes = [code for code, _ in error.recipients.values()]
        permanent = all(500 <= code < 600 for code in codes)
        raise MailFailed(
            f"the recipient was refused ({codes[0] if codes else 'no code'})", permanent=permanent
        ) from error
    except smtplib.SMTPAuthenticationError as error:
        raise MailFailed("the mail server does not know us", unreachable=True) from error
    except smtplib.SMTPResponseException as error:
        raise MailFailed(
            f"the mail server answered {error.smtp_code}", permanent=500 <= error.smtp_code < 600
        ) from error
    except (smtplib.SMTPException, OSError) as error:
        raise MailFailed(f"the mail server cannot be reached ({type(error).__name__})", unreachable=True) from error


def _domain() -> str:
    return urlsplit(settings.PUBLIC_URL).hostname or "countersign.invalid"
