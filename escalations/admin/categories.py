"""Categories: what incidents are called, who is asked when nothing else says so, and what the reviewer is told."""

from typing import Any

from django import forms
from django.contrib import admin
from django.contrib.postgres.forms import SimpleArrayField
from django.http import HttpRequest

from escalations import policies
from escalations.models import Category

from .bases import Edited, actor_of


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
    list_display = ("name", "description", "role")
    list_select_related = ("role",)
    ordering = ("name",)
    fields = ("name", "description", "role", "guidance", "reject_reasons")

    def get_readonly_fields(self, request: HttpRequest, obj: Category | None = None) -> tuple[str, ...]:
        return ("name",) if obj else ()

    def save_model(self, request: HttpRequest, obj: Category, form: Any, change: bool) -> None:
        policies.save_category(obj, actor=actor_of(request))
