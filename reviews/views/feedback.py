"""What came of a decision, said on the incident's story; and everything that was decided, as a file to train on."""

from uuid import UUID

from django.contrib import messages
from django.http import Http404, HttpRequest, HttpResponse
from django.http.response import HttpResponseBase
from django.urls import reverse
from django.views.decorators.http import require_http_methods, require_POST

from escalations import audit, feedback, streaming
from escalations.classify.mask import Mask
from escalations.errors import CountersignError, Invalid

from ..access import incident_for, sees_everything
from ..feedback import FileForm, OutcomeForm, latest
from ..partials import leave, page
from . import records

PAGE = "reviews/feedback.html"


@require_POST
def outcome(request: HttpRequest, pk: UUID) -> HttpResponse:
    """Store what somebody at the page learned later, and come back to the story."""
    incident = incident_for(request.user, pk)
    form = OutcomeForm(request.POST)
    if form.is_valid():
        try:
            _, new = feedback.report(
                incident, outcome=form.cleaned_data["outcome"], how=form.cleaned_data["how"], detail=form.cleaned_data["detail"],
                complaint=form.complains(request.user), actor=audit.Actor.of(request.user), person=request.user, interactive=True,
            )
        except Http404:
            form.add_error("complaint", "There is no such incident, or it is not yours to read.")
        except Invalid as error:
            for one in error.errors:
                form.add_error(one["pointer"].lstrip("/"), one["detail"])
        except CountersignError as error:
            form.add_error(None, error.detail)
            return records.drawn(request, incident, form, status=error.status)
        else:
            messages.success(request, "It stands on record." if new else "You had said that before; it stands as you said it then.")
            return leave(request, reverse("reviews:incident", args=[pk]) + "#came-of-it")
    return records.drawn(request, incident, form, status=422)


@require_http_methods(["GET", "HEAD", "POST"])
def show(request: HttpRequest) -> HttpResponseBase:
    """Show what can be taken away and what was learned last; POST sends the file. For managers, auditors and administrators."""
    if not sees_everything(request.user):
        raise Http404
    if request.method != "POST":
        return drawn(request, FileForm(initial={"format": "jsonl", "redact": True}))
    form = FileForm(request.POST)
    if not form.is_valid():
        return drawn(request, form, status=422)
    file = feedback.begin(
        form.scope, form.cleaned_data["format"], actor=audit.Actor.of(request.user), person=request.user,
        placeholders=Mask if form.cleaned_data["redact"] else None,
    )
    return streaming.answer(request, file.parts, content_type=file.content_type, name=file.name)


def drawn(request: HttpRequest, form: FileForm, *, status: int = 200) -> HttpResponse:
    """Return the page. Three queries besides what stands round every page."""
    return page(request, PAGE, {"form": form, "latest": latest(request.user)}, status=status)
