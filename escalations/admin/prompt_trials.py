"""Comparisons of two versions of the prompt: watched while they run, called off, read."""

from typing import Any

from django.contrib import admin, messages
from django.core.exceptions import PermissionDenied
from django.core.paginator import Paginator
from django.http import Http404, HttpRequest, HttpResponse, HttpResponseRedirect
from django.template.response import TemplateResponse
from django.urls import path, reverse
from django.views.decorators.http import require_POST

from escalations.classify import agreeing, comparing
from escalations.classify.agreeing import Share
from escalations.models import PromptTrial, Proposal

from .bases import ReadOnly
from .prompts import named
from .replays import SAID

A_PAGE = 25
SHARES = (
    ("category", "named the category a person signed"),
    ("severity", "named the severity a person signed"),
    ("caught", "named a trigger where people did not approve as proposed"),
    ("disturbed", "named a trigger where people approved as proposed (less is better)"),
)


@admin.register(PromptTrial)
class PromptTrialAdmin(ReadOnly):
    list_display = ("compared", "state", "asked_about", "asked_by", "created_at")
    list_select_related = ("first", "second", "asked_by")
    list_filter = ("state",)
    ordering = ("-created_at",)
    search_help_text = "The number of a comparison."

    def get_urls(self) -> list[Any]:
        view = self.admin_site.admin_view
        return [
            path("<int:pk>/cancel/", view(require_POST(self.cancel_view)), name="escalations_prompttrial_cancel"),
            path("<int:pk>/progress/", view(self.progress_view), name="escalations_prompttrial_progress"),
            *super().get_urls(),
        ]

    @admin.display(description="Compared")
    def compared(self, trial: PromptTrial) -> str:
        return named(trial)

    @admin.display(description="Decisions")
    def asked_about(self, trial: PromptTrial) -> str:
        return f"{trial.done:,} of {trial.wanted:,}"

    def change_view(
        self, request: HttpRequest, object_id: str, form_url: str = "", extra_context: dict[str, Any] | None = None
    ) -> HttpResponse:
        trial = self.get_object(request, object_id)
        if trial is None:
            raise Http404
        if not self.has_view_permission(request, trial):
            raise PermissionDenied
        return TemplateResponse(request, "admin/escalations/prompttrial.html", self.told(request, trial))

    def progress_view(self, request: HttpRequest, pk: int) -> HttpResponse:
        """The part of the page that grows, for whoever watches it."""
        response = TemplateResponse(request, "admin/escalations/prompttrial_part.html", self.told(request, _trial(pk)))
        response["Cache-Control"] = "no-store"
        return response

    def cancel_view(self, request: HttpRequest, pk: int) -> HttpResponse:
        if comparing.cancel(_trial(pk), person=request.user):
            self.message_user(request, "Cancelled. What was counted until then stays.", messages.SUCCESS)
        else:
            self.message_user(request, "It had ended already.", messages.WARNING)
        return HttpResponseRedirect(reverse("admin:escalations_prompttrial_change", args=[pk]))

    def told(self, request: HttpRequest, trial: PromptTrial) -> dict[str, Any]:
        """Return what the page is made of. Four queries at most."""
        result = agreeing.nothing() | trial.result
        first, second = agreeing.side(result, "first"), agreeing.side(result, "second")
        page = Paginator(result["items"], A_PAGE).get_page(request.GET.get("page"))
        proposals = Proposal.objects.select_related("source").in_bulk([one["proposal"] for one in page])
        items = [{**one, "of": proposals[found]} for one in page for found in proposals if str(found) == one["proposal"]]
        return {
            **self.admin_site.each_context(request), "title": f"Comparison {trial.pk}", "opts": self.opts, "original": trial, "trial": trial,
            "running": trial.state in comparing.OPEN, "result": result, "first": first, "second": second,
            "shares": [(words, [_said(getattr(one, name)) for one in (first, second)]) for name, words in SHARES],
            "same": [(name, _said(agreeing.same(result, name))) for name in ("category", "severity", "triggers")],
            "duels": [
                (name, duel) for name in ("category", "severity") for duel in (agreeing.duel(result, name),) if duel.first + duel.second
            ],
            "page": page, "items": items, "texts": [one["of"].title for one in items], "said_words": SAID,
        }


def _trial(pk: int) -> PromptTrial:
    trial = PromptTrial.objects.filter(pk=pk).select_related("first", "second", "asked_by").first()
    if trial is None:
        raise Http404
    return trial


def _said(share: Share) -> dict[str, str] | None:
    """Return a share and its interval in words; None where there was nothing to count."""
    if share.share is None or share.between is None:
        return None
    low, high = share.between
    return {"count": f"{share.hits} of {share.of}", "share": f"{100 * share.share:.1f} %", "between": f"{100 * low:.1f} to {100 * high:.1f} %"}
