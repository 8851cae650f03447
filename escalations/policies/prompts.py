"""What the language model is told, in versions: written as drafts, made live with a reason, and taken back by making an older one live.

The only writer of `PromptVersion`. What a version says never changes; whoever wants other words writes another version.
"""

from django.db import connection, transaction
from django.db.models import Max

from escalations import audit, clock
from escalations.errors import IllegalMove, Invalid, NotFound
from escalations.floors.text import has_hidden
from escalations.instructions import LONGEST_INSTRUCTIONS, LONGEST_POLICY, LONGEST_WHY, MOST_EXAMPLES
from escalations.models import Person, PromptVersion
from escalations.states import PromptState

from .changes import HIDDEN, problem, subject_of

_KEY = 0x636F_7573_7072_6D70  # one writer at a time: numbers have no gaps, and one version is live


def check_prompt(version: PromptVersion) -> None:
    """Raise Invalid where a version could not be saved. No query."""
    errors = []
    for field, longest in (("instructions", LONGEST_INSTRUCTIONS), ("policy", LONGEST_POLICY), ("why", LONGEST_WHY)):
        text = getattr(version, field) or ""
        if len(text) > longest:
            errors.append(problem(field, "too_long", f"At most {longest:,} characters."))
        if any(has_hidden(line) for line in text.splitlines()):
            errors.append(problem(field, "hidden", HIDDEN))
    if not version.instructions.strip():
        errors.append(problem("instructions", "required", "Say how to judge: without it the model has nothing to go by."))
    if not version.why.strip():
        errors.append(problem("why", "required", "Say why: whoever reads the versions later wants to know."))
    if not isinstance(version.examples, int) or not 0 <= version.examples <= MOST_EXAMPLES:
        errors.append(problem("examples", "range", f"From 0 to {MOST_EXAMPLES}."))
    if errors:
        raise Invalid(errors)


@transaction.atomic
def save_prompt(version: PromptVersion, *, person: Person) -> PromptVersion:
    """Save a new version as a draft; it speaks to nobody yet. Four queries. Raises Invalid, IllegalMove for one that is saved already."""
    if not version._state.adding:
        raise IllegalMove("What a version says never changes. Write a new one.")
    version.instructions, version.policy, version.why = (_plain(text) for text in (version.instructions, version.policy, version.why))
    check_prompt(version)
    _alone()
    newest = PromptVersion.objects.aggregate(number=Max("number"))["number"] or 0
    version.number, version.state, version.made_by, version.made_at = newest + 1, PromptState.DRAFT, person, clock.now()
    version.save(force_insert=True)
    audit.record(
        "prompt.saved", actor=audit.Actor.of(person), subject=subject_of(version), name=str(version), instructions=version.instructions,
        policy=version.policy, examples=version.examples, why=version.why,
    )
    return version


@transaction.atomic
def promote_prompt(version_id: int, *, person: Person, why: str) -> PromptVersion:
    """Have this version speak from the next batch on, in place of the one that does. Five queries.

    The old one is retired and can be made live again the same way. Raises Invalid without a reason, NotFound, IllegalMove where it is
    live already.
    """
    why = _plain(why)
    if not why or len(why) > LONGEST_WHY:
        raise Invalid([problem("why", "required", f"Say why, in at most {LONGEST_WHY:,} characters.")])
    _alone()
    version = PromptVersion.objects.filter(pk=version_id).first()
    if version is None:
        raise NotFound("There is no such version.")
    if version.state == PromptState.LIVE:
        raise IllegalMove("It is live already.")
    before = PromptVersion.objects.filter(state=PromptState.LIVE).first()
    if before is not None:
        before.state = PromptState.RETIRED
        before.save(update_fields=["state"])
    version.state, version.promoted_by, version.promoted_at = PromptState.LIVE, person, clock.now()
    version.save(update_fields=["state", "promoted_by", "promoted_at"])
    audit.record(
        "prompt.promoted", actor=audit.Actor.of(person), subject=subject_of(version), name=str(version), why=why,
        instead_of=str(before) if before else "",
    )
    return version


def _alone() -> None:
    with connection.cursor() as cursor:
        cursor.execute("SELECT pg_advisory_xact_lock(%s)", [_KEY])


def _plain(text: str) -> str:
    return (text or "").replace("\r\n", "\n").strip()
