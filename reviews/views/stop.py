"""The switch that stops everything: one person throws it, two release it."""

from collections.abc import Callable

from django.contrib import messages
from django.core.exceptions import PermissionDenied
from django.forms import Form
from django.http import HttpRequest, HttpResponse
from django.views.decorators.http import require_http_methods

from escalations import standstill
from escalations.errors import CountersignError, Invalid
from escalations.models import Stop
from escalations.policies import stop as verbs

from ..partials import leave, page
from ..stopping import AskForm, ConfirmForm, StopForm

PAGE = "reviews/stop.html"
LISTED = 20  # earlier stops


@require_http_methods(["GET", "HEAD", "POST"])
def show(request: HttpRequest) -> HttpResponse:
    """Show what holds; POST stops everything, asks for the release, refuses it or confirms it. For managers and administrators."""
    if not verbs.may_stop(request.user):
        raise PermissionDenied
    if request.method != "POST":
        return drawn(request)
    act = ACTS.get(request.POST.get("act", ""))
    return act(request) if act else drawn(request, status=400)


def throw(request: HttpRequest) -> HttpResponse:
    """Stop everything."""
    return done(request, StopForm(request.POST), "Everything is stopped.", lambda form: verbs.stop_everything(
        person=request.user, reason=form.cleaned_data["reason"]
    ))


def ask(request: HttpRequest) -> HttpResponse:
    """Ask for the release of what was shown."""
    said = "The release is asked for. Somebody else confirms it; until then everything stays stopped."
    return done(request, AskForm(request.POST), said, lambda form: verbs.ask_release(
        number(request), person=request.user, why=form.cleaned_data["reason"]
    ))


def withdraw(request: HttpRequest) -> HttpResponse:
    """Take the question back, or refuse it."""
    return done(request, Form(request.POST), "The release is off: everything stays stopped.", lambda form: verbs.withdraw_release(
        number(request), person=request.user
    ))


def confirm(request: HttpRequest) -> HttpResponse:
    """Release everything, as the second person."""
    return done(request, ConfirmForm(request.POST), "Released: what was held leaves now.", lambda form: verbs.confirm_release(
        number(request), person=request.user, asked_at=form.cleaned_data["asked_at"]
    ))


ACTS: dict[str, Callable[[HttpRequest], HttpResponse]] = {"stop": throw, "ask": ask, "withdraw": withdraw, "confirm": confirm}


def done(request: HttpRequest, form: Form, said: str, verb: Callable[[Form], Stop]) -> HttpResponse:
    """Do it and come back to the page; or draw the page as it is now, with why not and what was typed."""
    if form.is_valid():
        try:
            verb(form)
        except Invalid as error:
            for one in error.errors:
                form.add_error("reason", one["detail"])
        except CountersignError as error:
            form.add_error(None, error.detail)
            return drawn(request, form, status=error.status)
        else:
            messages.success(request, said)
            return leave(request, request.path)
    return drawn(request, form, status=422)


def drawn(request: HttpRequest, form: Form | None = None, *, status: int = 200) -> HttpResponse:
    """Return the page. Six queries besides what stands round every page."""
    stop = standstill.standing()
    context = {
        "stop": stop,
        "form": form,
        "waiting": verbs.waiting(),
        "being_sent": verbs.being_sent() if stop else 0,
        "most": verbs.COUNTED,
        "asked_validly": bool(stop and stop.release_asked_by and verbs.may_stop(stop.release_asked_by)),
        "before": Stop.objects.filter(released_at__isnull=False).select_related("by", "release_asked_by", "released_by")[:LISTED],
    }
    return page(request, PAGE, context, status=status)


def number(request: HttpRequest) -> int:
    """Return which stop was shown; 0, which is none, for what is no number."""
    text = request.POST.get("stop", "")
    return int(text) if text.isascii() and text.isdigit() and len(text) < 19 else 0
