"""Maintenance windows, in which notices wait."""

from typing import Any

from django.contrib import admin
from django.http import HttpRequest

from escalations import clock, policies
from escalations.models import MuteWindow

from .bases import Act, CheckedForm, Edited, actor_of


class MuteForm(CheckedForm):
    """A name, from when to when, and what about."""

    class Meta:
        model = MuteWindow
        fields = ("name", "since", "until", "source", "role")
        labels = {"since": "From", "until": "Until"}
        help_texts = {
            "name": "What is being done. Whoever wonders why nobody was told finds it here.",
            "since": "UTC.",
            "until": "UTC, at most seven days later. What is still true then is told.",
            "source": "Notices about this source alone. Empty: about every one.",
            "role": "Notices to this role alone. Empty: to every one. Critical ones wait too.",
        }

    def check(self) -> None:
        policies.check_mute(self.instance)


@admin.register(MuteWindow)
class MuteAdmin(Edited):
    """The clock goes on: steps fire and time runs out while nobody is told."""

    form = MuteForm
    list_display = ("name", "since", "until", "source", "role", "standing", "created_by")
    list_select_related = ("source", "role", "created_by")
    ordering = ("-until",)
    acts = (
        Act(
            "end", "End it now", "What waits is told now, as far as it is still true.",
            lambda row, request, data: policies.end_mute(row, actor=actor_of(request)) or "It is over. What is still true is told now.",
            when=lambda row: row.until > clock.now(),
        ),
    )

    def get_readonly_fields(self, request: HttpRequest, obj: MuteWindow | None = None) -> tuple[str, ...]:
        return ("since",) if obj and obj.since <= clock.now() else ()

    def save_model(self, request: HttpRequest, obj: MuteWindow, form: Any, change: bool) -> None:
        policies.save_mute(obj, actor=actor_of(request), person=request.user)

    @admin.display(description="Now")
    def standing(self, mute: MuteWindow) -> str:
        now = clock.now()
        return "over" if mute.until <= now else "holds notices now" if mute.since <= now else "to come"
