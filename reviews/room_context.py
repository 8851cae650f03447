"""What every page of the room may use without its view having put it there."""

from typing import Any

from django.http import HttpRequest
from django.utils.functional import SimpleLazyObject

from escalations.models import Person

from .models import Preferences


def preferences_of(person: Person) -> Preferences:
    """Return how this person likes to work; the defaults, not stored, for who never said. One query for the life of this object."""
    found: Preferences | None = getattr(person, "preferences", None)
    return found or Preferences(person=person)


def preferences(request: HttpRequest) -> dict[str, Any]:
    """Give `preferences` to the templates of who is signed in. Nothing is asked before a template uses it."""
    user = getattr(request, "user", None)
    if user is None or not user.is_authenticated:
        return {}
    return {"preferences": SimpleLazyObject(lambda: preferences_of(user))}
