"""What the pages share: who may come in, reading a big table fast, saving through an audited verb, acts of one button."""

import json
import uuid
from collections.abc import Callable
from dataclasses import dataclass
from typing import Any

from django import forms
from django.contrib import admin, messages
from django.contrib.admin.utils import unquote
from django.contrib.admin.widgets import RelatedFieldWidgetWrapper
from django.core.exceptions import PermissionDenied
from django.core.paginator import Paginator
from django.db import IntegrityError, models
from django.http import Http404, HttpRequest, HttpResponse, HttpResponseRedirect
from django.template.response import TemplateResponse
from django.urls import path, reverse
from django.utils.functional import cached_property
from django.utils.html import format_html, format_html_join

from escalations import audit, looks
from escalations.errors import CountersignError, Invalid
from escalations.floors.text import tokens
from escalations.models import AuditEntry, Person

LISTED = 10_000  # rows of a big table that can be paged through; anything older is found by its id
HISTORY = 200


def shown(text: Any) -> str:
    """Return untrusted text as HTML, with every character an eye would miss written out."""
    return format_html_join(
        "", "{}", ((format_html('<span class="hidden-character">{}</span>', piece) if kind == "hidden" else piece,)
                   for kind, piece in tokens(str(text)))
    )


def json_of(value: Any) -> str:
    """Return a JSON value as readable, escaped HTML."""
    if value in (None, "", {}, []):
        return "–"
    return format_html('<pre class="json">{}</pre>', shown(json.dumps(value, indent=2, ensure_ascii=False, sort_keys=True)))


def link_to(row: models.Model | None, text: str = "") -> str:
    """Return a link to a row's page here; a dash for none."""
    if row is None:
        return "–"
    name = f"admin:{row._meta.app_label}_{row._meta.model_name}_change"
    return format_html('<a href="{}">{}</a>', reverse(name, args=[row.pk]), shown(text or str(row)))


def without_pop_ups(field: forms.Field | None) -> forms.Field | None:
    """Return a form's field without the buttons that add or edit another row in the middle of this one."""
    if field is not None and isinstance(field.widget, RelatedFieldWidgetWrapper):
        field.widget = field.widget.widget
    return field


class NewestPages(Paginator):
    """Counts no further than what can be paged through: COUNT(*) over a million rows would take longer than the page."""

    @cached_property
    def count(self) -> int:
        return int(self.object_list[:LISTED].count())


class Administrators(admin.ModelAdmin):
    """Every administrator (is_staff) may look; nobody may delete. What may be changed is for the class below to say."""

    show_full_result_count = False
    list_per_page = 50
    actions = None
    show_facets = admin.ShowFacets.NEVER  # one COUNT a choice
    view_on_site = False

    def has_module_permission(self, request: HttpRequest) -> bool:
        return bool(request.user.is_active and request.user.is_staff)

    def has_view_permission(self, request: HttpRequest, obj: Any = None) -> bool:
        return self.has_module_permission(request)

    def has_add_permission(self, request: HttpRequest) -> bool:
        return False

    def has_change_permission(self, request: HttpRequest, obj: Any = None) -> bool:
        return False

    def has_delete_permission(self, request: HttpRequest, obj: Any = None) -> bool:
        return False

    def get_history(self, obj: Any) -> models.QuerySet[AuditEntry]:
        """Return the entries about this row. Reads the whole ledger once: entries are kept for incidents, not for rows."""
        return AuditEntry.objects.filter(subject=f"{obj._meta.object_name} {obj.pk}").order_by("-pk")

    def history_view(self, request: HttpRequest, object_id: str, extra_context: dict[str, Any] | None = None) -> HttpResponse:
        obj = self.get_object(request, unquote(object_id))
        if obj is None:
            raise Http404
        if not self.has_view_permission(request, obj):
            raise PermissionDenied
        entries = list(self.get_history(obj)[:HISTORY])
        rows = [{"entry": entry, "facts": json_of(json.loads(entry.body)["facts"])} for entry in entries]
        context = {
            **self.admin_site.each_context(request), "title": f"History: {obj}", "opts": self.opts, "original": obj, "rows": rows,
            "most": HISTORY,
        }
        return TemplateResponse(request, "admin/escalations/history.html", context)

    # Django's own log would be a second, deletable record beside the real one.
    def log_addition(self, request: HttpRequest, obj: Any, message: Any) -> None:
        return None

    def log_change(self, request: HttpRequest, obj: Any, message: Any) -> None:
        return None


class ReadOnly(Administrators):
    """A part of the record. Newest first, no filter or order that would read a whole table, found by id."""

    ordering = ("-pk",)
    sortable_by = ()
    paginator = NewestPages
    search_help_text = "An id: of this row, or of the incident or proposal it belongs to."
    found_by: tuple[str, ...] = ("pk",)
    search_fields = ("pk",)
    change_form_template = "admin/escalations/change_form.html"
    has_history = False  # a row that is written once has none
    incident_at = ""  # how to come from a row to the incident of which it tells how it ended

    def get_queryset(self, request: HttpRequest) -> models.QuerySet:
        """Return the rows, without those of what this administrator judges again and is not to know yet. One query for that at most."""
        rows = super().get_queryset(request)
        if not self.incident_at or not isinstance(request.user, Person):
            return rows
        judging = list(looks.opened_by(request.user).values_list("proposal__incident", flat=True))
        return rows.exclude(**{f"{self.incident_at}__in": judging}) if judging else rows

    def changeform_view(
        self, request: HttpRequest, object_id: str | None = None, form_url: str = "", extra_context: dict[str, Any] | None = None
    ) -> HttpResponse:
        return super().changeform_view(request, object_id, form_url, {"no_history": not self.has_history, **(extra_context or {})})

    def get_search_results(
        self, request: HttpRequest, queryset: models.QuerySet, search_term: str
    ) -> tuple[models.QuerySet, bool]:
        """Look the term up as an id, in the columns that have an index for it."""
        if not search_term.strip():
            return queryset, False
        wanted = models.Q(pk__in=[])
        for field in self.found_by:
            if (value := _as_id(self.model._meta.pk if field == "pk" else self.model._meta.get_field(field), search_term)) is not None:
                wanted |= models.Q(**{field: value})
        return queryset.filter(wanted), False


def _as_id(field: Any, term: str) -> uuid.UUID | int | None:
    while field.remote_field:
        field = field.target_field
    try:
        value = uuid.UUID(term.strip()) if isinstance(field, models.UUIDField) else int(term)
    except ValueError:
        return None
    return value if isinstance(value, uuid.UUID) or abs(value) < 2**63 else None


class Rows(admin.TabularInline):
    """What belongs to a row of the record, shown below it."""

    view_on_site = False

    extra = 0
    max_num = 0
    can_delete = False
    show_change_link = False

    def has_view_permission(self, request: HttpRequest, obj: Any = None) -> bool:
        return bool(request.user.is_active and request.user.is_staff)

    def has_add_permission(self, request: HttpRequest, obj: Any = None) -> bool:
        return False

    def has_change_permission(self, request: HttpRequest, obj: Any = None) -> bool:
        return False

    def has_delete_permission(self, request: HttpRequest, obj: Any = None) -> bool:
        return False


class CheckedForm(forms.ModelForm):
    """Asks the verb's own check while the form is validated, so that a refusal stands at its field."""

    def check(self) -> None:
        """Raise Invalid for what the verb would refuse."""

    def _post_clean(self) -> None:
        super()._post_clean()
        if self.errors:
            return
        try:
            self.check()
        except Invalid as refused:
            for error in refused.errors:
                field = error["pointer"].lstrip("/")
                self.add_error(field if field in self.fields else None, error["detail"])


@dataclass(frozen=True)
class Told:
    """What an act shows once, on a page that is kept nowhere."""

    title: str
    secrets: list[tuple[str, str]]


class ActForm(forms.Form):
    """What an act asks besides "really?"."""

    def about(self, row: Any) -> None:
        """Make the form fit the row."""


@dataclass(frozen=True)
class Act:
    """Something done to one row by a button: asked for on a page of its own, done by a POST, by an audited verb."""

    name: str
    label: str
    explain: str
    run: Callable[[Any, HttpRequest, dict[str, Any]], str | Told]  # (row, request, the form's data)
    when: Callable[[Any], bool] = lambda row: True
    form: type[ActForm] = ActForm
    grave: bool = False
    shows: Callable[[Any], dict[str, Any]] = lambda row: {}  # what the page shows besides: lists "points" and "differences"


def actor_of(request: HttpRequest) -> audit.Actor:
    """Return who is at the keyboard."""
    return audit.Actor.of(request.user)


class Edited(Administrators):
    """What administrators edit: saved by a verb of `policies`, never by the form."""

    change_form_template = "admin/escalations/change_form.html"
    acts: tuple[Act, ...] = ()

    def has_add_permission(self, request: HttpRequest) -> bool:
        return self.has_module_permission(request)

    def has_change_permission(self, request: HttpRequest, obj: Any = None) -> bool:
        return self.has_module_permission(request)

    def may_act(self, request: HttpRequest, row: Any) -> bool:
        """Return whether the buttons are for this person."""
        return self.has_change_permission(request, row)

    def acts_for(self, request: HttpRequest, row: Any) -> list[Act]:
        """Return the buttons this row has now, for this person."""
        return [act for act in self.acts if act.when(row)]

    def changeform_view(
        self, request: HttpRequest, object_id: str | None = None, form_url: str = "", extra_context: dict[str, Any] | None = None
    ) -> HttpResponse:
        """A refusal that the form could not foresee (somebody was faster) rolls back and is told; it is no 500."""
        extra = dict(extra_context or {})
        if object_id and (row := self.get_object(request, unquote(object_id))) is not None and self.may_act(request, row):
            extra["acts"] = [
                {"act": act, "url": self.act_url(row, act)} for act in self.acts_for(request, row)
            ]
        try:
            return super().changeform_view(request, object_id, form_url, extra)
        except CountersignError as refused:
            self.message_user(request, refused.detail, messages.ERROR)
        except IntegrityError:
            self.message_user(request, "Somebody saved something with the same name at the same moment. Look again.", messages.ERROR)
        return HttpResponseRedirect(request.get_full_path())

    def formfield_for_dbfield(self, db_field: models.Field, request: HttpRequest, **kwargs: Any) -> Any:
        """Low text areas, no pop-ups."""
        if isinstance(db_field, models.TextField):
            kwargs.setdefault("widget", forms.Textarea(attrs={"rows": 3, "cols": 80}))
        return without_pop_ups(super().formfield_for_dbfield(db_field, request, **kwargs))

    def act_url(self, row: Any, act: Act) -> str:
        return reverse(f"admin:{self.opts.app_label}_{self.opts.model_name}_act", args=[row.pk, act.name])

    def get_urls(self) -> list[Any]:
        return [
            path(
                "<path:object_id>/act/<slug:name>/",
                self.admin_site.admin_view(self.act_view),
                name=f"{self.opts.app_label}_{self.opts.model_name}_act",
            ),
            *super().get_urls(),
        ]

    def act_view(self, request: HttpRequest, object_id: str, name: str) -> HttpResponse:
        """GET asks, POST does. What is told once is answered at once and may be stored by nobody on the way."""
        row = self.get_object(request, object_id)
        act = next((act for act in self.acts if act.name == name), None)
        if row is None or act is None:
            raise Http404
        if not self.may_act(request, row):
            raise PermissionDenied
        page = reverse(f"admin:{self.opts.app_label}_{self.opts.model_name}_change", args=[row.pk])
        if not act.when(row):
            self.message_user(request, "That cannot be done (any more).", messages.WARNING)
            return HttpResponseRedirect(page)
        form = act.form(request.POST if request.method == "POST" else None, initial=request.GET.dict())
        form.about(row)
        if request.method == "POST" and form.is_valid():
            try:
                outcome = act.run(row, request, form.cleaned_data)
            except CountersignError as refused:
                form.add_error(None, refused.detail)
            else:
                if isinstance(outcome, Told):
                    return self.once(request, row, outcome, page)
                self.message_user(request, outcome, messages.SUCCESS)
                return HttpResponseRedirect(page)
        context = {
            **self.admin_site.each_context(request), "title": f"{act.label}: {row}", "opts": self.opts, "original": row, "act": act,
            "form": form, "page": page, **act.shows(row),
        }
        return TemplateResponse(request, "admin/escalations/act.html", context)

    def once(self, request: HttpRequest, row: Any, told: Told, page: str) -> HttpResponse:
        """Answer with secrets, straight to this request: no redirect, no session, no cache holds them."""
        context = {
            **self.admin_site.each_context(request), "title": told.title, "opts": self.opts, "original": row, "told": told,
            "page": page,
        }
        response = TemplateResponse(request, "admin/escalations/told.html", context)
        response["Cache-Control"] = "no-store"
        return response
