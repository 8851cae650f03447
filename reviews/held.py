"""A person's own signatures that can still be taken back, wherever in the room they are.

The session knows which there were when something was signed here, so that a page without any costs no query.
"""

from dataclasses import dataclass, field
from datetime import timedelta
from math import ceil
from typing import Any
from uuid import UUID

from django.http import HttpRequest, QueryDict

from escalations import clock
from escalations.models import Decision, Hold, Proposal

from . import values, veil
from .sentences import is_acknowledgement
from .veil import Veil

KEY, AGAIN = "held", "taken_back"
MOST = 200
LISTED = 5
LONGEST = 100_000  # characters of what was signed that are kept to be signed again
A_MOMENT = timedelta(seconds=2)  # the timers settle once a second


@dataclass
class Mine:
    """What a person signed here and was not settled at the last look. `fallen`: it never will be."""

    veil: Veil
    standing: list[Hold] = field(default_factory=list)
    fallen: list[Proposal] = field(default_factory=list)
    keyed: bool = True  # the key "u" is for these; else the page's own proposal has it

    @property
    def listed(self) -> list[Hold]:
        return self.standing[:LISTED]

    @property
    def more(self) -> int:
        return max(0, len(self.standing) - LISTED)

    @property
    def look_again(self) -> int:
        """Return the seconds after which one of them will have settled."""
        return look_again(min(one.settles_at for one in self.standing))


def look_again(settles_at: Any) -> int:
    """Return in how many seconds a page should look what became of a hold: not before, and not in a hurry when it is late."""
    return max(3, ceil((settles_at + A_MOMENT - clock.now()).total_seconds()))


def remember(request: HttpRequest) -> None:
    """Note that something of this person's is held now. One query."""
    held = Hold.objects.filter(person=request.user).order_by("-signed_at").values_list("pk", flat=True)
    request.session[KEY] = [str(pk) for pk in held[:MOST]]


def mine(request: HttpRequest) -> Mine | None:
    """Return what of this person's is held, and what fell since the last look; None without a query when nothing was.

    Two queries, two more when something ended. What fell is told once.
    """
    known = request.session.get(KEY) if hasattr(request, "session") else None
    if not known or not request.user.is_authenticated:
        return None
    holds = Hold.objects.filter(person=request.user).select_related("proposal__source", "proposal__incident")
    found = Mine(veil.for_person(request.user), list(holds.order_by("-signed_at")[:MOST]))
    standing = [str(one.pk) for one in found.standing]
    if gone := [pk for pk in known if pk not in standing]:
        settled = set(map(str, Decision.objects.filter(proposal__in=gone).values_list("proposal_id", flat=True)))
        fell = [pk for pk in gone if pk not in settled]
        found.fallen = list(Proposal.objects.filter(pk__in=fell).select_related("source", "incident")[:LISTED]) if fell else []
    if standing != known:
        request.session[KEY] = standing
    found.veil = veil.of(request.user, [*(one.proposal for one in found.listed), *found.fallen])
    return found if found.standing or found.fallen else None


def forget(request: HttpRequest, pk: UUID) -> None:
    """Say no more of this one: its signer took it back."""
    request.session[KEY] = [one for one in request.session.get(KEY, []) if one != str(pk)]


def keep(request: HttpRequest, held: Hold) -> None:
    """Keep what was signed, to be changed and signed again by who just took it back."""
    kept = {"type": held.type, "reason": held.reason, "message": held.message or "", "retry": "on" if held.retry else ""}
    kept |= _edited(held)
    if sum(map(len, kept.values())) <= LONGEST:
        request.session[AGAIN] = {"pk": str(held.pk), "said": kept}


def again(request: HttpRequest, proposal: Proposal) -> QueryDict | None:
    """Return what was kept of this proposal as its form would post it now, once; None when nothing was."""
    kept = request.session.pop(AGAIN, None)
    if not kept or kept["pk"] != str(proposal.pk):
        return None
    data = QueryDict(mutable=True)
    data.update({**kept["said"], "digest": proposal.args_digest, "version": str(proposal.version)})
    return data


def _edited(held: Hold) -> dict[str, str]:
    """Return the fields of the form that an edit filled."""
    if held.draft is not None:
        return {"to": held.draft.get("to") or "", "subject": held.draft.get("subject") or "", "text": held.draft.get("body") or ""}
    if held.args is None:
        return {}
    if is_acknowledgement(held.proposal):
        return {name: str(held.args.get(name) or "") for name in ("severity", "category")}
    return {"args": values.editable(held.args), "how": "raw"}
