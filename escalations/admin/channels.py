"""Channels: how a person or a role is reached besides mail. The address is typed once and never shown again."""

from typing import Any

from django import forms
from django.contrib import admin
from django.http import HttpRequest

from escalations import outbox, policies
from escalations.errors import Invalid
from escalations.models import Channel, Person, Role

from .bases import Act, Edited, actor_of, shown

KINDS = [(kind, said) for kind, said in outbox.NOTICES.items() if kind != "channel_test"]


class ChannelForm(forms.ModelForm):
    """An address, whose it is, and what goes there. Of one that is saved only what goes there can be changed."""

    url = forms.CharField(
        label="Address", max_length=1_000, strip=True, widget=forms.TextInput(attrs={"size": 80, "autocomplete": "off", "spellcheck": "false"}),
        help_text="As Apprise writes it: ntfys://ntfy.sh/topic, slack://…, msteams://…, pagerduty://… It holds tokens, so it is "
        "encrypted and never shown again.",
    )  # fmt: skip
    person = forms.ModelChoiceField(Person.objects.filter(is_active=True).order_by("username"), required=False)
    role = forms.ModelChoiceField(
        Role.objects.order_by("name"), required=False,
        help_text="One of the two. Whoever is in a role's channel reads what its members are told.",
    )  # fmt: skip
    notices = forms.MultipleChoiceField(
        choices=KINDS, required=False, widget=forms.CheckboxSelectMultiple, label="What is told there", help_text="None chosen: all of it.",
    )

    class Meta:
        model = Channel
        fields = ("notices",)

    def clean(self) -> dict[str, Any]:
        data = super().clean() or {}
        if self.instance.pk is None and not self.errors and bool(data.get("person")) == bool(data.get("role")):
            raise forms.ValidationError("Choose a person or a role, and not both.")
        return data

    def clean_url(self) -> str:
        try:
            policies.check_channel(self.cleaned_data["url"])
        except Invalid as refused:
            raise forms.ValidationError(refused.errors[0]["detail"]) from refused
        return str(self.cleaned_data["url"])


@admin.register(Channel)
class ChannelAdmin(Edited):
    form = ChannelForm
    list_display = ("label", "whose", "standing", "last_sent_at")
    list_select_related = ("person", "role")
    list_filter = ("kind",)
    ordering = ("disabled_at", "-failing_since", "pk")
    acts = (
        Act(
            "test", "Send a test", "A short message goes there now. How it went stands on this page a few seconds later.",
            lambda row, request, data: _tried(row, request), when=lambda row: row.disabled_at is None,
        ),
        Act(
            "disable", "Switch off", "Nothing is sent there any more. People who would hear by nothing else are told by mail.",
            lambda row, request, data: policies.disable_channel(row, actor=actor_of(request)) or "It is switched off.",
            when=lambda row: row.disabled_at is None, grave=True,
        ),
        Act(
            "enable", "Switch on", "What is opened from now on goes there again.",
            lambda row, request, data: policies.enable_channel(row, actor=actor_of(request)) or "It is switched on.",
            when=lambda row: row.disabled_at is not None,
        ),
    )

    def get_fields(self, request: HttpRequest, obj: Channel | None = None) -> tuple[str, ...]:
        if obj is None:
            return ("url", "person", "role", "notices")
        return ("label", "kind", "whose", "standing", "last_sent_at", "notices")

    def get_readonly_fields(self, request: HttpRequest, obj: Channel | None = None) -> tuple[str, ...]:
        return ("label", "kind", "whose", "standing", "last_sent_at") if obj else ()

    def get_form(self, request: HttpRequest, obj: Channel | None = None, change: bool = False, **kwargs: Any) -> Any:
        form = super().get_form(request, obj, change, **kwargs)
        if obj is not None:
            for name in ("url", "person", "role"):
                form.base_fields.pop(name, None)
        return form

    def save_form(self, request: HttpRequest, form: Any, change: bool) -> Channel:
        """Add by the verb, so that what it refuses stands at the address; what it saved is the row."""
        unsaved: Channel = super().save_form(request, form, change)
        if change:
            return unsaved
        data = form.cleaned_data
        return policies.add_channel(
            data["url"], actor=actor_of(request), person=data["person"], role=data["role"], notices=data["notices"]
        )

    def save_model(self, request: HttpRequest, obj: Channel, form: Any, change: bool) -> None:
        if change:
            policies.save_channel(obj, actor=actor_of(request), notices=form.cleaned_data["notices"])

    @admin.display(description="Whose")
    def whose(self, channel: Channel) -> str:
        return shown(channel.person.name if channel.person else f"role: {channel.role}")

    @admin.display(description="How it stands")
    def standing(self, channel: Channel) -> str:
        if channel.disabled_at is not None:
            return f"switched off {channel.disabled_at:%Y-%m-%d %H:%M} UTC"
        if channel.failing_since is not None:
            return shown(f"failing since {channel.failing_since:%Y-%m-%d %H:%M} UTC: {channel.last_error}")
        return "works" if channel.last_sent_at else "nothing was sent there yet"


def _tried(channel: Channel, request: HttpRequest) -> str:
    policies.try_channel(channel, actor=actor_of(request))
    return "A test is on its way. Load this page again in a few seconds to see how it went."
