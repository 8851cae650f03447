"""Categories: what incidents are called, who is asked when nothing else says so, and what the reviewer is told."""

from typing import Any

from django import forms
from django.contrib import admin
from django.contrib.postgres.forms import SimpleArrayField
from django.http import HttpRequest, HttpResponse

from escalations import policies, upkeep
from escalations.models import Category

from .bases import Edited, actor_of
from .caught import caught_context


class CategoryForm(forms.ModelForm):
    """A reason may have a comma in it, so each stands on a line of its own."""

    reject_reasons = SimpleArrayField(
        forms.CharField(max_length=120, required=False), delimiter="\n", required=False, max_length=12,
        widget=forms.Textarea(attrs={"rows": 6, "class": "vLargeTextField"}), label="Reasons for a no",
        help_text="One on each line, at most twelve of 120 characters. A reviewer who rejects may pick some, or write their own.",
    )  # fmt: skip

    class Meta:
        model = Category
        fields = ("name", "description", "role", "guidance", "reject_reasons")

    def clean_reject_reasons(self) -> list[str]:
        return list(dict.fromkeys(one for one in self.cleaned_data["reject_reasons"] or [] if one))


@admin.register(Category)
class CategoryAdmin(Edited):
    form = CategoryForm
    change_form_template = "admin/escalations/category_form.html"
    list_display = ("name", "description", "role")
    list_select_related = ("role",)
    ordering = ("name",)
    fields = ("name", "description", "role", "guidance", "reject_reasons")

    def get_readonly_fields(self, request: HttpRequest, obj: Category | None = None) -> tuple[str, ...]:
        return ("name",) if obj else ()

    def changeform_view(
        self, request: HttpRequest, object_id: str | None = None, form_url: str = "", extra_context: dict[str, Any] | None = None
    ) -> HttpResponse:
        """The page also tells what came in this category. Three queries more, four in a busy week."""
        extra = dict(extra_context or {})
        if object_id and request.method in ("GET", "HEAD") and (row := self.get_object(request, object_id)) is not None:
            extra |= caught_context(upkeep.caught_in(row.name))
        return super().changeform_view(request, object_id, form_url, extra)

    def save_model(self, request: HttpRequest, obj: Category, form: Any, change: bool) -> None:
        policies.save_category(obj, actor=actor_of(request))
