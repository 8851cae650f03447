"""What leaves: outcomes to sources and messages to people. To be read; a delivery can be sent once more."""

from typing import Any

from django.contrib import admin
from django.http import HttpRequest
from django.utils.html import format_html

from escalations import deliver
from escalations.models import Delivery, DeliveryAttempt, Notice

from .bases import Act, Edited, ReadOnly, Rows, actor_of, json_of, link_to, shown


class Attempts(Rows):
    model = DeliveryAttempt
    fields = ("at", "status", "error", "duration_ms", "by_hand")
    readonly_fields = fields


def _replay(delivery: Delivery, request: HttpRequest, data: dict[str, Any]) -> str:
    deliver.replay(delivery.pk, actor=actor_of(request))
    return "It is sent again, with the same id, so that a receiver that has it already can tell."


@admin.register(Delivery)
class DeliveryAdmin(ReadOnly, Edited):
    """Nothing of it can be edited: what `Edited` brings is the button."""

    list_display = ("created_at", "type", "source", "channel", "state", "attempts", "next_try_at", "url")
    list_select_related = ("source",)
    list_filter = ("state",)
    found_by = ("pk",)
    inlines = (Attempts,)
    fields = (
        "id", "type", "channel", "source", "of_incident", "of_proposal", "url", "state", "attempts", "next_try_at", "created_at",
        "finished_at", "body_text",
    )
    readonly_fields = fields
    acts = (
        Act("replay", "Send again", "The same outcome is sent once more, with the same id and the same body.", _replay),
    )

    def has_add_permission(self, request: HttpRequest) -> bool:
        return False

    def has_change_permission(self, request: HttpRequest, obj: Delivery | None = None) -> bool:
        return False

    def may_act(self, request: HttpRequest, row: Delivery) -> bool:
        return self.has_module_permission(request)

    @admin.display(description="Incident")
    def of_incident(self, delivery: Delivery) -> str:
        return link_to(delivery.incident)

    @admin.display(description="Proposal")
    def of_proposal(self, delivery: Delivery) -> str:
        return link_to(delivery.proposal)

    @admin.display(description="Body, as sent")
    def body_text(self, delivery: Delivery) -> str:
        return format_html('<pre class="json">{}</pre>', shown(delivery.body)) if delivery.body else "not sent yet"


@admin.register(Notice)
class NoticeAdmin(ReadOnly):
    list_display = ("created_at", "kind", "person", "role", "address", "channel", "state", "attempts", "error")
    list_select_related = ("person", "role", "channel")
    list_filter = ("state", "kind")
    fields = (
        "id", "kind", "person", "role", "address", "by_channel", "of_proposal", "step", "told_with", "state", "attempts", "next_try_at",
        "created_at", "finished_at", "error", "facts_json",
    )
    readonly_fields = fields

    @admin.display(description="Proposal")
    def of_proposal(self, notice: Notice) -> str:
        return link_to(notice.proposal)

    @admin.display(description="Channel")
    def by_channel(self, notice: Notice) -> str:
        return link_to(notice.channel) if notice.channel else "by mail"

    @admin.display(description="Told in one message with")
    def told_with(self, notice: Notice) -> str:
        return link_to(notice.sent_with, str(notice.sent_with_id)) if notice.sent_with else "–"

    @admin.display(description="Facts")
    def facts_json(self, notice: Notice) -> str:
        return json_of(notice.facts)
