"""Weekly escalation reviews: the list, one with everything that is done at it, and its minutes."""

from collections.abc import Callable
from typing import Any
from uuid import UUID

from django.contrib import messages
from django.forms import Form
from django.http import HttpRequest, HttpResponse, HttpResponseBadRequest
from django.urls import reverse
from django.views.decorators.http import require_GET, require_POST

from escalations import looks
from escalations import weekly as verbs
from escalations.errors import CountersignError, Invalid
from escalations.models import EscalationReview, Finding

from .. import veil, weekly
from ..partials import fresh, leave, page
from ..weekly_forms import DismissForm, EndForm, FindForm, FollowForm, NotesForm, SuggestionForm
from .inbox import number

LIST, REVIEW = "reviews/weekly.html", "reviews/weekly_review.html"


@require_GET
def listed(request: HttpRequest) -> HttpResponse:
    """List the reviews of this person's teams, newest first, and what this person has to do."""
    listing = weekly.listing(request.user, min(max(number(request.GET.get("page")), 1), weekly.FARTHEST))
    return page(request, LIST, {"listing": listing, "mine": weekly.mine(request.user)})


@require_GET
def show(request: HttpRequest, pk: int) -> HttpResponse:
    """Show one review."""
    return drawn(request, weekly.review_for(request.user, pk))


@require_GET
def minutes(request: HttpRequest, pk: int) -> HttpResponse:
    """Send the minutes as a file, masked as the page is."""
    review = weekly.review_for(request.user, pk)
    form = request.GET.get("format", "md")
    if form not in verbs.FORMS:
        return HttpResponseBadRequest("format is md or txt")
    over = veil.for_person(request.user)
    judging = set(looks.opened_by(request.user).values_list("proposal__incident__proposals", flat=True))
    answer = fresh(HttpResponse(verbs.minutes(review, form, say=over.text, judging=judging), content_type=verbs.FORMS[form]))
    answer["Content-Disposition"] = f'attachment; filename="escalation-review-{review.pk}-{review.week.isoformat()}.{form}"'
    answer["X-Content-Type-Options"] = "nosniff"
    return answer


@require_POST
def act(request: HttpRequest, pk: int) -> HttpResponse:
    """Do what a button of the page says, and come back to where it stands; or draw the page as it is now, with why not."""
    review = weekly.review_for(request.user, pk)
    name = request.POST.get("act", "")
    if name not in ACTS:
        return drawn(request, review, status=400)
    kind, verb, said = ACTS[name]
    form = kind(request.POST, review=review)
    key = request.POST.get("proposal") or request.POST.get("follow_up") or request.POST.get("suggestion") or ""
    if not form.is_valid():
        return drawn(request, review, weekly.tried(form, name, key), status=422)
    try:
        place = verb(request, review, form.cleaned_data)
    except Invalid as error:
        for one in error.errors:
            field = one["pointer"].strip("/")
            form.add_error(field if field in form.fields else None, one["detail"])
        return drawn(request, review, weekly.tried(form, name, key), status=422)
    except CountersignError as error:
        form.add_error(None, error.detail)
        review.refresh_from_db()
        return drawn(request, review, weekly.tried(form, name, key), status=error.status)
    messages.success(request, said)
    where = f"?{query}" if (query := request.GET.urlencode()) else ""
    return leave(request, f"{reverse('reviews:weekly_review', args=[review.pk])}{where}#{place}")


def drawn(request: HttpRequest, review: EscalationReview, tried: dict[str, Any] | None = None, *, status: int = 200) -> HttpResponse:
    """Return the page."""
    show = request.GET.get("show", "")
    shown = weekly.shown(
        request.user, review, page=number(request.GET.get("page")), show=show if show in weekly.SHOWS else ""
    )
    context = {
        "review": review, "agenda": review.agenda, "page": shown, "tried": tried, "today": weekly.today(),
        "veil": weekly.veil_of(request.user, shown), "query": request.GET.urlencode(), "found_words": Finding.FOUND,
    }
    return page(request, REVIEW, context, status=status)


# -- the acts: each returns the part of the page to come back to

Said = dict[str, Any]


def find(request: HttpRequest, review: EscalationReview, said: Said) -> str:
    proposal: UUID = said["proposal"]
    verbs.find_and_follow(
        review.pk, proposal, found=said["found"], note=said["note"], text=said["text"], owner=said["owner"], due=said["due"],
        person=request.user,
    )
    return f"item-{proposal}"


def follow(request: HttpRequest, review: EscalationReview, said: Said) -> str:
    verbs.follow_up(review.pk, said["text"], owner=said["owner"], due=said["due"], person=request.user)
    return "follow-ups"


def done(request: HttpRequest, review: EscalationReview, said: Said) -> str:
    verbs.end(said["follow_up"], outcome=said["outcome"], dropped=False, person=request.user)
    return "follow-ups"


def drop(request: HttpRequest, review: EscalationReview, said: Said) -> str:
    verbs.end(said["follow_up"], outcome=said["outcome"], dropped=True, person=request.user)
    return "follow-ups"


def notes(request: HttpRequest, review: EscalationReview, said: Said) -> str:
    verbs.write_notes(review.pk, said["notes"].replace("\r\n", "\n"), person=request.user)
    return "notes"


def close(request: HttpRequest, review: EscalationReview, said: Said) -> str:
    verbs.close(review.pk, person=request.user)
    return "main"


def draft(request: HttpRequest, review: EscalationReview, said: Said) -> str:
    verbs.draft(said["suggestion"], person=request.user)
    return f"suggestion-{said['suggestion']}"


def replay(request: HttpRequest, review: EscalationReview, said: Said) -> str:
    verbs.replay_again(said["suggestion"], person=request.user)
    return f"suggestion-{said['suggestion']}"


def dismiss(request: HttpRequest, review: EscalationReview, said: Said) -> str:
    verbs.dismiss(said["suggestion"], why=said["why"], person=request.user)
    return f"suggestion-{said['suggestion']}"


Verb = Callable[[HttpRequest, EscalationReview, Said], str]
ACTS: dict[str, tuple[type[Form], Verb, str]] = {
    "find": (FindForm, find, "The finding is kept."),
    "follow": (FollowForm, follow, "The follow-up is kept; it stands here each week until it is done."),
    "done": (EndForm, done, "Done."),
    "drop": (EndForm, drop, "Dropped."),
    "notes": (NotesForm, notes, "The notes are kept."),
    "close": (NotesForm, close, "The week is closed. What is to be done stands on the next one."),
    "draft": (SuggestionForm, draft, "It is a draft now, which decides nothing; its replay waits for the worker."),
    "replay": (SuggestionForm, replay, "Its replay waits for the worker."),
    "dismiss": (DismissForm, dismiss, "Dismissed. It is not suggested again for half a year."),
}
