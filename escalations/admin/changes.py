"""What waits for a second administrator: what would differ, why one is not enough, and the yes or no."""

from typing import Any

from django import forms
from django.contrib import admin
from django.http import HttpRequest, HttpResponse
from django.urls import reverse
from django.utils.html import format_html, format_html_join

from escalations import policies
from escalations.models import Change
from escalations.states import ChangeState

from . import replays
from .bases import Act, ActForm, Edited, shown
from .seconded import conflicts_said, told


class ConfirmForm(ActForm):
    seen = forms.CharField(widget=forms.HiddenInput)

    def about(self, row: Change) -> None:
        self.initial["seen"] = policies.second.shown_of(row)


class RefuseForm(ActForm):
    why = forms.CharField(
        label="Why", max_length=2000, widget=forms.Textarea(attrs={"rows": 3, "cols": 80}), help_text="Whoever asked reads it."
    )


def _confirm(change: Change, request: HttpRequest, data: dict[str, Any]) -> str:
    policies.confirm_change(change, person=request.user, seen=data["seen"])
    return "Confirmed. It holds for whatever is routed from now on."


def _refuse(change: Change, request: HttpRequest, data: dict[str, Any]) -> str:
    policies.refuse_change(change, person=request.user, why=data["why"])
    return "Refused. Nothing has changed."


def _withdraw(change: Change, request: HttpRequest, data: dict[str, Any]) -> str:
    policies.withdraw_change(change, person=request.user)
    return "Withdrawn. Nothing has changed."


def _shown(change: Change) -> dict[str, Any]:
    found = policies.second.asked(change)
    more = conflicts_said(found.wanted) if change.kind == "rule" and found.wanted is not None else []
    return {"points": [shown(one) for one in [*change.lowers, *more]], "differences": told(found.differences)}


def _waits(change: Change) -> bool:
    return change.state == ChangeState.WAITING


@admin.register(Change)
class ChangeAdmin(Edited):
    list_display = ("name", "kind", "state", "asked_by", "asked_at", "settled_by", "settled_at")
    list_select_related = ("asked_by", "settled_by")
    list_filter = ("state", "kind")
    search_fields = ("name",)
    sortable_by = ()
    fieldsets = (
        (None, {"fields": ("about", "state", "asked", "reason")}),
        ("Why one administrator is not enough", {"fields": ("what_it_lowers",)}),
        ("What would differ", {"fields": ("what_differs",)}),
        ("What became of it", {"fields": ("settled", "said_why")}),
    )
    acts = (
        Act(
            "confirm", "Confirm", "From then on it holds for whatever is routed. Read what would differ before you do.",
            _confirm, form=ConfirmForm, when=_waits, shows=_shown,
        ),
        Act("refuse", "Refuse", "Nothing changes, and whoever asked is told why.", _refuse, form=RefuseForm, when=_waits),
        Act("withdraw", "Withdraw", "Nothing changes. It can be asked for again.", _withdraw, when=_waits),
    )

    def changeform_view(
        self, request: HttpRequest, object_id: str | None = None, form_url: str = "", extra_context: dict[str, Any] | None = None
    ) -> HttpResponse:
        extra = {**(extra_context or {}), **replays.beside_change(self.get_object(request, object_id) if object_id else None)}
        return super().changeform_view(request, object_id, form_url, extra)

    def has_add_permission(self, request: HttpRequest) -> bool:
        return False  # an edit is asked for where it is made

    def has_change_permission(self, request: HttpRequest, obj: Change | None = None) -> bool:
        return False

    def may_act(self, request: HttpRequest, row: Change) -> bool:
        return self.has_view_permission(request, row)

    def acts_for(self, request: HttpRequest, row: Change) -> list[Act]:
        """Who asked can take it back; anybody else can say yes or no."""
        own = row.asked_by_id == request.user.pk
        return [act for act in super().acts_for(request, row) if (act.name == "withdraw") == own]

    @admin.display(description="What")
    def about(self, change: Change) -> str:
        row = policies.second.asked(change).row
        url = reverse(f"admin:{row._meta.app_label}_{row._meta.model_name}_change", args=[row.pk])
        return format_html('{} <a href="{}">{}</a>', change.get_kind_display().capitalize() + ":", url, shown(row))

    @admin.display(description="Asked")
    def asked(self, change: Change) -> str:
        return format_html("by {}, {} UTC", shown(change.asked_by.name), f"{change.asked_at:%Y-%m-%d %H:%M}")

    @admin.display(description="Why")
    def reason(self, change: Change) -> str:
        return shown(change.why) or "No reason was given."

    @admin.display(description="In words")
    def what_it_lowers(self, change: Change) -> str:
        return format_html("<ul>{}</ul>", format_html_join("", "<li>{}</li>", ((shown(one),) for one in change.lowers)))

    @admin.display(description="Now, and then")
    def what_differs(self, change: Change) -> str:
        if change.state != ChangeState.WAITING:
            return format_html("{}", "It is settled; the row's own history tells what was changed.")
        found = policies.second.asked(change)
        if found.moved:
            return "What it was asked of was changed meanwhile: it cannot be confirmed any more."
        if not found.differences:
            return "Nothing any more."
        rows = format_html_join(
            "", '<tr><th scope="row">{}</th><td class="text">{}</td><td class="text">{}</td></tr>',
            ((one["label"], one["before"], one["after"]) for one in told(found.differences)),
        )
        return format_html(
            '<table class="differences"><thead><tr><th scope="col">Field</th><th scope="col">Now</th>'
            '<th scope="col">Then</th></tr></thead><tbody>{}</tbody></table>', rows,
        )

    @admin.display(description="Settled")
    def settled(self, change: Change) -> str:
        if change.settled_at is None:
            return "Not yet. Until then nothing has changed."
        by = format_html("by {}, ", shown(change.settled_by.name)) if change.settled_by else ""
        return format_html("{}{} UTC", by, f"{change.settled_at:%Y-%m-%d %H:%M}")

    @admin.display(description="Said")
    def said_why(self, change: Change) -> str:
        return shown(change.said) or "–"
