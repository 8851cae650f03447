"""What somebody had typed when their session ended: kept for them alone, for half an hour, until they are signed in again.

A form carries a signed note of who its page was drawn for and where it stands. It proves nothing about who posts now, and lets
nobody in: it only says for whom the text is put aside. The fields lie in the anonymous session of that browser, which Django
carries over when somebody signs in; if that is somebody else, they are thrown away. Nothing is done with them but to fill the
same form again on the page as it is then, to be read and signed anew.
"""

from dataclasses import dataclass
from datetime import datetime, timedelta
from typing import Any

from django.core import signing
from django.http import HttpRequest, QueryDict

from escalations import clock
from escalations.models import Person

FIELD = "drawn_for"
SALT = "countersign.drawn_for"
PLACE = "kept_form"  # in the session
OLDEST_PAGE = timedelta(hours=24)
KEPT = timedelta(minutes=30)
MOST = 500_000  # characters of all fields; the longest draft there can be
# What was confirmed was confirmed of the page as it was; it is confirmed again.
NOT_KEPT = frozenset({FIELD, "csrfmiddlewaretoken", "digest", "confirm", "read", "seen_entry"})
ACTS = "acts/"  # what is posted there was typed on the page above it


@dataclass(frozen=True)
class Drawn:
    """Whom a page was drawn for, and its address with the query."""

    person_id: int
    page: str


def drawn_for(request: HttpRequest) -> str:
    """Return the signed note for the forms of this page; empty for nobody."""
    user = getattr(request, "user", None)
    if user is None or not user.is_authenticated:
        return ""
    path, mark, query = request.get_full_path().partition("?")
    return signing.dumps([user.pk, path.removesuffix(ACTS) + mark + query], salt=SALT)


def drawn_of(request: HttpRequest) -> Drawn | None:
    """Return whom the posted form was drawn for; None without a note, or with one that is not ours or too old."""
    if request.method != "POST" or FIELD not in request.POST:
        return None
    try:
        person_id, page = signing.loads(request.POST[FIELD], salt=SALT, max_age=OLDEST_PAGE)
    except (signing.BadSignature, ValueError, TypeError):
        return None
    return Drawn(person_id, page)


def keep(request: HttpRequest) -> str | None:
    """Put what was posted aside for whom its page was drawn, if they still work here. Return the page's address, else None."""
    drawn = drawn_of(request)
    if drawn is None or not Person.objects.filter(pk=drawn.person_id, is_active=True).exists():
        return None
    fields = [(name, value) for name, values in request.POST.lists() if name not in NOT_KEPT for value in values]
    if sum(len(name) + len(value) for name, value in fields) <= MOST:
        request.session[PLACE] = {
            "person": drawn.person_id, "page": drawn.page, "act": "act" in request.POST, "fields": fields,
            "at": clock.now().isoformat(),
        }  # fmt: skip
    return drawn.page


def theirs(request: HttpRequest) -> tuple[bool, QueryDict] | None:
    """Return what was kept for this person on this page: whether it was an act beside deciding, and the fields. None for nothing."""
    found = of_this_person(request)
    if found is None or found["page"] != request.get_full_path():
        return None
    fields = QueryDict(mutable=True)
    for name, value in found["fields"]:
        fields.appendlist(name, value)
    return found["act"], fields


def of_this_person(request: HttpRequest) -> dict[str, Any] | None:
    """Return all that was kept in this browser if it is this person's; throw it away if it is too old or somebody else's."""
    found: dict[str, Any] | None = request.session.get(PLACE)
    if found is None:
        return None
    if found["person"] != request.user.pk or clock.now() - datetime.fromisoformat(found["at"]) > KEPT:
        forget(request)
        return None
    return found


def forget(request: HttpRequest) -> None:
    """Throw away what was kept in this browser, whoever's it was."""
    request.session.pop(PLACE, None)
