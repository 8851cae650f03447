"""Categories: what incidents are called, and who is asked when nothing else says so."""

from typing import Any

from django.contrib import admin
from django.http import HttpRequest

from escalations import policies
from escalations.models import Category

from .bases import Edited, actor_of


@admin.register(Category)
class CategoryAdmin(Edited):
    list_display = ("name", "description", "role")
    list_select_related = ("role",)
    ordering = ("name",)
    fields = ("name", "description", "role")

    def get_readonly_fields(self, request: HttpRequest, obj: Category | None = None) -> tuple[str, ...]:
        return ("name",) if obj else ()

    def save_model(self, request: HttpRequest, obj: Category, form: Any, change: bool) -> None:
        policies.save_category(obj, actor=actor_of(request))
