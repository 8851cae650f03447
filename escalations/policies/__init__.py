"""Audited edits to what administrators own. The only writers of rules, policies, sources, keys, people and roles.

Each verb takes the edited object, checks it, saves it and leaves one audit entry with the old and new value of every changed
field, in one transaction. Errors are `errors.Invalid` with a pointer per field, or another `CountersignError`; nothing is
written then. No secret ever reaches an audit entry.
"""

from .absences import call_off, check_absence, deputies_for, save_absence
from .asking import waiting
from .calendars import (
    Day,
    archive_calendar,
    check_calendar,
    countries,
    fill_in,
    fill_in_all,
    holidays_of,
    public_holidays,
    save_calendar,
    subdivisions,
)
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
from .rules import (
    MOST_LIVE,
    archive_rule,
    check_rule,
    check_trigger,
    promote,
    restore,
    save_category,
    save_rule,
    save_trigger,
    to_draft,
    to_shadow,
)
from .second import confirm_change, refuse_change, waiting_changes, withdraw_change
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
from .versions import diff, versions_of

__all__ = [
    "LONGEST_TOKEN_DAYS",
    "LONGEST_UNDO",
    "MOST_LIVE",
    "TOKEN_DAYS",
    "Day",
    "Step",
    "archive_calendar",
    "archive_policy",
    "archive_rule",
    "call_off",
    "check_absence",
    "check_calendar",
    "check_person",
    "check_policy",
    "check_role",
    "check_rule",
    "check_source",
    "check_trigger",
    "confirm_approve",
    "confirm_change",
    "countries",
    "deactivate",
    "deputies_for",
    "diff",
    "disable_source",
    "effective_fallback",
    "enable_source",
    "fill_in",
    "fill_in_all",
    "holidays_of",
    "issue_key",
    "mint_token",
    "promote",
    "public_holidays",
    "reactivate",
    "refuse_change",
    "restore",
    "retire_secrets",
    "revoke_key",
    "revoke_token",
    "rotate_secret",
    "save_absence",
    "save_calendar",
    "save_category",
    "save_person",
    "save_policy",
    "save_role",
    "save_rule",
    "save_source",
    "save_trigger",
    "subdivisions",
    "to_draft",
    "to_shadow",
    "versions_of",
    "waiting",
    "waiting_changes",
    "withdraw_change",
]
