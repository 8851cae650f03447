"""Audited edits to what administrators own. The only writers of rules, policies, sources, keys, people and roles.

Each verb takes the edited object, checks it, saves it and leaves one audit entry with the old and new value of every changed
field, in one transaction. Errors are `errors.Invalid` with a pointer per field, or another `CountersignError`; nothing is
written then. No secret ever reaches an audit entry.
"""

from .people import (
    LONGEST_TOKEN_DAYS,
    TOKEN_DAYS,
    check_person,
    check_role,
    deactivate,
    mint_token,
    reactivate,
    revoke_token,
    save_person,
    save_role,
)
from .rules import check_rule, check_trigger, save_category, save_rule, save_trigger
from .sources import (
    check_source,
    disable_source,
    enable_source,
    issue_key,
    retire_secrets,
    revoke_key,
    rotate_secret,
    save_source,
)
from .steps import LONGEST_UNDO, Step, archive_policy, check_policy, confirm_approve, effective_fallback, save_policy

__all__ = [
    "LONGEST_TOKEN_DAYS",
    "LONGEST_UNDO",
    "TOKEN_DAYS",
    "Step",
    "archive_policy",
    "check_person",
    "check_policy",
    "check_role",
    "check_rule",
    "check_source",
    "check_trigger",
    "confirm_approve",
    "deactivate",
    "disable_source",
    "effective_fallback",
    "enable_source",
    "issue_key",
    "mint_token",
    "reactivate",
    "retire_secrets",
    "revoke_key",
    "revoke_token",
    "rotate_secret",
    "save_category",
    "save_person",
    "save_policy",
    "save_role",
    "save_rule",
    "save_source",
    "save_trigger",
]
