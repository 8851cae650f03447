"""Replays: asked for from a rule's, a trigger's or a waiting change's page, watched, called off, read."""

from copy import copy
from dataclasses import dataclass
from datetime import timedelta
from typing import Any

from django.contrib import admin, messages
from django.core.exceptions import PermissionDenied
from django.core.paginator import Paginator
from django.http import Http404, HttpRequest, HttpResponse, HttpResponseRedirect
from django.template.response import TemplateResponse
from django.urls import path, reverse
from django.views.decorators.http import require_POST

from escalations import clock, policies, replay
from escalations.errors import Invalid
from escalations.models import Change, Replay, ReplayItem, RoutingRule, Trigger
from escalations.states import ChangeState, ReplayState, RuleState

from .bases import ReadOnly, shown

DAYS = (7, 30, 90, 365)
A_PAGE = 25
RECENT = 5
SAID = {
    "approve": "approved as proposed", "edit": "changed, then approved", "reject": "rejected", "respond": "answered instead",
    "clock": "nobody decided in time", "policy": "settled by another rule", "open": "still waiting", "undecided": "taken back or replaced",
}
FIELDS = {"floor": "Floor", "role": "Role asked", "policy": "Escalation policy", "severity": "Severity", "triggers": "Triggers"}


@dataclass(frozen=True, slots=True)
class Tried:
    """What is tried, and where it came from."""

    kind: str
    wanted: dict[str, Any]
    subject: str
    page: str  # where to go back to


def beside(row: RoutingRule | Trigger | None) -> dict[str, Any]:
    """Return what a rule's or a trigger's page shows of replays, and of a rule in shadow: how it agrees with people. Six queries at most."""
    kind = "trigger" if isinstance(row, Trigger) else "rule"
    found: dict[str, Any] = {"replay_kind": kind, "replay_days": DAYS, "replay_pk": row.pk if row else ""}
    if row is None or row.pk is None:
        return found
    found["replays"] = [
        {"row": one, "figures": replay.figures(one.result)} for one in Replay.objects.filter(subject=_subject(row))[:RECENT]
    ]
    if isinstance(row, RoutingRule) and row.state == RuleState.SHADOW:
        found["shadow"] = replay.agreement(row)
    return found


def beside_change(change: Change | None) -> dict[str, Any]:
    """Return what the page of a waiting change shows of replays: that it can be tried before it is confirmed."""
    if change is None or change.state != ChangeState.WAITING or change.kind not in ("rule", "trigger"):
        return {}
    return {"replay_kind": "change", "replay_days": DAYS, "replay_pk": change.pk}


def _subject(row: RoutingRule | Trigger) -> str:
    return f"{row._meta.object_name} {row.pk}"


@admin.register(Replay)
class ReplayAdmin(ReadOnly):
    """Read like the record; what is done here is asked for by a POST of its own."""

    list_display = ("named", "window", "state", "looked_at", "alone", "otherwise", "asked_by", "created_at")
    list_select_related = ("asked_by",)
    list_filter = ("state", "kind")
    ordering = ("-created_at",)
    search_help_text = "The number of a replay."

    def get_urls(self) -> list[Any]:
        view = self.admin_site.admin_view
        return [
            path("ask/<slug:kind>/", view(require_POST(self.ask_view)), name="escalations_replay_ask"),
            path("<int:pk>/cancel/", view(require_POST(self.cancel_view)), name="escalations_replay_cancel"),
            path("<int:pk>/progress/", view(self.progress_view), name="escalations_replay_progress"),
            *super().get_urls(),
        ]

    @admin.display(description="Replay of")
    def named(self, row: Replay) -> str:
        return shown(f"{row.name} ({row.kind})")

    @admin.display(description="Incidents of")
    def window(self, row: Replay) -> str:
        return f"{row.since:%Y-%m-%d} to {row.until:%Y-%m-%d}"

    @admin.display(description="Looked at")
    def looked_at(self, row: Replay) -> str:
        return f"{row.done:,} of {row.total:,}"

    @admin.display(description="Would go alone")
    def alone(self, row: Replay) -> int:
        return replay.figures(row.result).alone

    @admin.display(description="Decided otherwise")
    def otherwise(self, row: Replay) -> str:
        figures = replay.figures(row.result)
        return f"{figures.otherwise} of {figures.decided}" if figures.decided else "–"

    # -- reading

    def change_view(
        self, request: HttpRequest, object_id: str, form_url: str = "", extra_context: dict[str, Any] | None = None
    ) -> HttpResponse:
        row = self.get_object(request, object_id)
        if row is None:
            raise Http404
        if not self.has_view_permission(request, row):
            raise PermissionDenied
        return TemplateResponse(request, "admin/escalations/replay.html", self.shown(request, row))

    def progress_view(self, request: HttpRequest, pk: int) -> HttpResponse:
        """The part of the page that grows, for whoever watches it."""
        row = Replay.objects.filter(pk=pk).select_related("asked_by").first()
        if row is None:
            raise Http404
        response = TemplateResponse(request, "admin/escalations/replay_part.html", self.shown(request, row))
        response["Cache-Control"] = "no-store"
        return response

    def shown(self, request: HttpRequest, row: Replay) -> dict[str, Any]:
        """Return what the page is made of. Five queries at most."""
        result = replay.nothing() | row.result
        figures = replay.figures(row.result)
        mistakes = request.GET.get("show") != "others"
        items = ReplayItem.objects.filter(replay=row, mistake=mistakes).select_related("proposal__source").order_by("-proposal_id")
        page = Paginator(items, A_PAGE).get_page(request.GET.get("page"))
        kept = len(page.object_list) if page.paginator.num_pages == 1 else page.paginator.count
        return {
            **self.admin_site.each_context(request), "title": f"Replay {row.pk}", "opts": self.opts, "original": row, "replay": row,
            "running": row.state in (ReplayState.WAITING, ReplayState.RUNNING), "figures": figures, "result": result,
            "tried": _told(row), "back": _page_of(row), "share": _share(figures),
            "said": [(words, result["alone"][name]) for name, words in SAID.items() if result["alone"][name]],
            "refused": [(words, result["refused"][name]) for name, words in SAID.items() if result["refused"][name]],
            "changes": [
                (FIELDS[field], change, count)
                for field in FIELDS for change, count in sorted(result["changes"].get(field, {}).items(), key=lambda one: -one[1])
            ],
            "items": page, "mistakes": mistakes, "kept": kept, "wrong": result["mistakes_kept"],
            "texts": [one.proposal.title for one in page], "said_words": SAID, "others": result["changed"] - result["mistakes_kept"],
        }

    # -- doing

    def ask_view(self, request: HttpRequest, kind: str) -> HttpResponse:
        """Try what the form has (posted by a button of that very form), or what is saved, and show the replay. Saves nothing else."""
        tried = self.tried(request, kind)
        if isinstance(tried, HttpResponse):
            return tried
        days = request.POST.get("replay_days", "")
        now = clock.now()
        try:
            row = replay.ask(
                tried.kind, tried.wanted, tried.subject, now - timedelta(days=int(days) if days in map(str, DAYS) else 30), now, request.user
            )
        except Invalid as refused:
            self.message_user(request, " ".join(one["detail"] for one in refused.errors), messages.ERROR)
            return HttpResponseRedirect(tried.page)
        return HttpResponseRedirect(reverse("admin:escalations_replay_change", args=[row.pk]))

    def tried(self, request: HttpRequest, kind: str) -> Tried | HttpResponse:
        """Return what is to be tried; the form again where it could not be saved as it is."""
        if kind == "change":
            return self.of_change(request.GET.get("of", ""))
        model: Any = {"rule": RoutingRule, "trigger": Trigger}.get(kind)
        if model is None:
            raise Http404
        pages: Any = self.admin_site.get_model_admin(model)
        pk = request.GET.get("of", "")
        row = pages.get_object(request, pk) if pk else None
        if (pk and row is None) or (kind == "trigger" and row is None):
            raise Http404
        name = f"admin:escalations_{model._meta.model_name}"
        page = reverse(f"{name}_change", args=[row.pk]) if row else reverse(f"{name}_add")
        wanted_of: Any = replay.wanted_of if kind == "rule" else replay.wanted_of_trigger
        if "as_saved" in request.POST and row is not None:
            return Tried(kind, wanted_of(row), _subject(row), page)
        form = pages.get_form(request, row, change=row is not None)(request.POST, instance=copy(row) if row else None)
        if not form.is_valid():  # so nothing is saved by this either: the form comes back with what is wrong
            again: HttpResponse = pages.changeform_view(request, str(row.pk) if row else None, page)
            return again
        return Tried(kind, wanted_of(form.instance), _subject(row) if row else "", page)

    def of_change(self, pk: str) -> Tried:
        change = Change.objects.filter(pk=pk, kind__in=["rule", "trigger"]).first() if pk.isascii() and pk.isdigit() else None
        if change is None:
            raise Http404
        page = reverse("admin:escalations_change_change", args=[change.pk])
        wanted: Any = policies.second.asked(change).wanted
        if wanted is None:
            raise Http404
        told = replay.wanted_of_trigger(wanted) if change.kind == "trigger" else replay.wanted_of(wanted)
        return Tried(change.kind, told, change.subject, page)

    def cancel_view(self, request: HttpRequest, pk: int) -> HttpResponse:
        row = Replay.objects.filter(pk=pk).first()
        if row is None:
            raise Http404
        if replay.cancel(row, person=request.user):
            self.message_user(request, "Cancelled. What was counted until then stays.", messages.SUCCESS)
        else:
            self.message_user(request, "It had ended already.", messages.WARNING)
        return HttpResponseRedirect(reverse("admin:escalations_replay_change", args=[pk]))


def _told(row: Replay) -> list[tuple[str, str]]:
    """Return what was tried, as (label, value), without what is empty."""
    wanted = row.wanted
    if row.kind == "trigger":
        set_to = [(name, str(value)) for name, value in sorted((wanted.get("settings") or {}).items())]
        return [
            ("Enabled", "yes" if wanted.get("enabled") else "no"), ("Role", wanted.get("role") or "–"), ("Policy", wanted.get("policy") or "–"),
            *set_to,
        ]
    by = f" by {wanted['by']}" if wanted.get("by") not in (None, "rule") else ""
    threshold = f" {wanted['threshold']:g}" if by and wanted.get("threshold") is not None else ""
    archived = "archived: as if it were not there" if wanted.get("state") == RuleState.ARCHIVED else ""
    told = [
        ("Condition", wanted.get("condition", "")), ("Floor", f"{wanted.get('floor', '')}{by}{threshold}"), ("Role", wanted.get("role") or ""),
        ("Policy", wanted.get("policy") or ""), ("Severity", wanted.get("severity") or ""), ("Priority", str(wanted.get("priority", ""))),
        ("State", archived),
    ]
    return [(label, value) for label, value in told if value]


def _share(figures: replay.Figures) -> dict[str, str] | None:
    """Return the share and its interval in words; None where nobody decided."""
    if figures.share is None or figures.low is None or figures.high is None:
        return None
    return {name: f"{100 * getattr(figures, name):.1f} %" for name in ("share", "low", "high")}


def _page_of(row: Replay) -> str:
    """Return the address of the page of what it would change; "" when that was never saved."""
    kind, _, pk = row.subject.partition(" ")
    model = {"RoutingRule": "routingrule", "Trigger": "trigger"}.get(kind)
    return reverse(f"admin:escalations_{model}_change", args=[pk]) if model else ""
