"""Triggers: retuned and pointed somewhere, never made by hand. Each page tells what it looks for, and what it caught last week."""

from typing import Any

from django.contrib import admin
from django.contrib.admin.utils import unquote
from django.http import HttpRequest, HttpResponse

from escalations import policies, upkeep
from escalations.models import Trigger
from escalations.states import ALWAYS_ON, TRIGGERS

from .bases import actor_of
from .caught import caught_context
from .replays import beside
from .seconded import Seconded
from .trigger_form import fields_of, form_of
from .trigger_help import LOOKS_FOR


@admin.register(Trigger)
class TriggerAdmin(Seconded):
    change_form_template = "admin/escalations/trigger_form.html"
    list_display = ("name", "enabled", "role", "policy", "description")
    list_select_related = ("role", "policy")
    readonly_fields = ("name",)
    sortable_by = ()

    def get_queryset(self, request: HttpRequest) -> Any:
        return super().get_queryset(request).filter(name__in=TRIGGERS)

    def has_add_permission(self, request: HttpRequest) -> bool:
        return False  # what fires a trigger is code

    def get_form(self, request: HttpRequest, obj: Trigger | None = None, change: bool = False, **kwargs: Any) -> Any:
        return super().get_form(request, obj, change, **kwargs, **({"form": form_of(obj.name)} if obj else {}))

    def get_fieldsets(self, request: HttpRequest, obj: Trigger | None = None) -> list[Any]:
        settings = tuple(fields_of(obj.name)) if obj else ()
        return [
            (None, {"fields": ("name", "description", "enabled", "role", "policy")}),
            *([("What it goes by", {"fields": settings})] if settings else []),
            (None, {"fields": ("why_now",)}),
        ]

    def get_readonly_fields(self, request: HttpRequest, obj: Trigger | None = None) -> tuple[str, ...]:
        return ("name", "enabled") if obj and obj.name in ALWAYS_ON else ("name",)

    def changeform_view(
        self, request: HttpRequest, object_id: str | None = None, form_url: str = "", extra_context: dict[str, Any] | None = None
    ) -> HttpResponse:
        """The page also tells what the trigger looks for and caught. Three queries more, four in a busy week, and those of `beside`."""
        extra = dict(extra_context or {})
        if object_id and request.method in ("GET", "HEAD") and (row := self.get_object(request, unquote(object_id))) is not None:
            extra |= {"looks_for": LOOKS_FOR[row.name], "asks": row.role, **caught_context(upkeep.caught_by(row.name))}
            extra |= beside(row)
        return super().changeform_view(request, object_id, form_url, extra)

    def save_model(self, request: HttpRequest, obj: Trigger, form: Any, change: bool) -> None:
        saved = policies.save_trigger(
            obj, actor=actor_of(request), person=request.user, why=form.cleaned_data.get("why_now", "")
        )
        self.outcome(request, saved)
