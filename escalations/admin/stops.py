"""When everything was stopped, by whom and why, and who released it. The switch itself is on the page /stop/."""

from django.contrib import admin

from escalations.models import Stop

from .bases import ReadOnly


@admin.register(Stop)
class StopAdmin(ReadOnly):
    list_display = ("at", "by", "reason", "release_asked_by", "released_by", "released_at")
    list_select_related = ("by", "release_asked_by", "released_by")
