"""Sources, their keys and their signing secrets. A secret is shown once, right after the act, and never again."""

from typing import Any

from django import forms
from django.contrib import admin, messages
from django.contrib.postgres.forms import SimpleArrayField
from django.http import HttpRequest, HttpResponse
from django.urls import reverse
from django.utils.html import format_html, format_html_join

from escalations import deliver, policies
from escalations.models import ApiKey, Person, Source
from escalations.models.sources import EVENTS

from . import addresses
from .bases import Act, ActForm, Told, actor_of
from .seconded import Seconded, WhyForm, waits_said


class Lines(forms.Textarea):
    """One entry a line; empty lines are none."""

    def value_from_datadict(self, data: Any, files: Any, name: str) -> str:
        lines = (data.get(name) or "").splitlines()
        return "\n".join(line.strip() for line in lines if line.strip())


class SourceForm(WhyForm):
    callback_url = forms.URLField(
        required=False, max_length=500, assume_scheme="https", widget=admin.widgets.AdminURLFieldWidget,
        help_text="Where outcomes are sent: https. Empty: the source polls.",
    )

    class Meta:
        model = Source
        fields = (
            "name", "description", "owner", "callback_url", "allowed_hosts", "authoritative_paths", "known_irreversible",
            "may_email", "may_chat", "requests_per_minute", "is_demo",
        )

    def __init__(self, *args: Any, **kwargs: Any) -> None:
        super().__init__(*args, **kwargs)
        for field in self.fields.values():
            if isinstance(field, SimpleArrayField):
                field.delimiter = "\n"
                field.widget = Lines(attrs={"rows": 3, "cols": 60})
                field.help_text = f"{field.help_text} One per line."
        if "owner" in self.fields:
            self.fields["owner"].queryset = Person.objects.filter(is_active=True)

    def check(self) -> None:
        policies.check_source(self.instance)


class IssueForm(ActForm):
    env = forms.ChoiceField(
        label="Environment", choices=[(ApiKey.LIVE, "live"), (ApiKey.TEST, "test")],
        help_text="What a test key submits is marked, and left out of figures, learning and notices.",
    )
    expires_at = forms.SplitDateTimeField(
        required=False, label="Expires (UTC)", widget=forms.SplitDateTimeWidget(
            date_attrs={"placeholder": "2027-01-31", "size": 10}, time_attrs={"placeholder": "18:00", "size": 8}
        ), help_text="A day and a time. Empty: until it is revoked."
    )


class RevokeForm(ActForm):
    key = forms.ModelChoiceField(queryset=ApiKey.objects.none())

    def about(self, row: Source) -> None:
        self.fields["key"].queryset = row.keys.filter(revoked_at=None)


def _issue(source: Source, request: HttpRequest, data: dict[str, Any]) -> Told:
    minted = policies.issue_key(source, env=data["env"], expires_at=data["expires_at"], actor=actor_of(request))
    return Told(f"A new {data['env']} key for {source.name}", [("Key", minted.text)])


def _issue_dsn(source: Source, request: HttpRequest, data: dict[str, Any]) -> Told:
    dsn = policies.issue_dsn(source, env=data["env"], expires_at=data["expires_at"], actor=actor_of(request))
    return Told(f"A new Sentry DSN for {source.name}", [("Sentry DSN", dsn)])


def _revoke(source: Source, request: HttpRequest, data: dict[str, Any]) -> str:
    policies.revoke_key(data["key"], actor=actor_of(request))
    return f"The key {data['key']} is revoked and refused from now on."


def _rotate(source: Source, request: HttpRequest, data: dict[str, Any]) -> Told:
    secret = policies.rotate_secret(source, actor=actor_of(request))
    return Told(f"A new signing secret for {source.name}", [("Signing secret", secret)])


def _retire(source: Source, request: HttpRequest, data: dict[str, Any]) -> str:
    return f"{policies.retire_secrets(source, actor=actor_of(request))} older signing secret(s) retired; one signature from now on."


def _disable(source: Source, request: HttpRequest, data: dict[str, Any]) -> str:
    policies.disable_source(source, actor=actor_of(request))
    return f"{source.name} is disabled; its keys are refused."


def _enable(source: Source, request: HttpRequest, data: dict[str, Any]) -> str:
    policies.enable_source(source, actor=actor_of(request))
    return f"{source.name} is enabled."


def _enable_endpoint(source: Source, request: HttpRequest, data: dict[str, Any]) -> str:
    waited = deliver.enable_endpoint(source, actor_of(request))
    return f"Outcomes are sent to the callback again; {waited} waited. What was given up can be sent again from its delivery."


@admin.register(Source)
class SourceAdmin(Seconded):
    form = SourceForm
    list_display = ("name", "owner", "callback_url", "state", "is_demo", "created_at")
    list_select_related = ("owner",)
    ordering = ("name",)
    search_fields = ("name", "description")
    readonly_fields = ("state", "keys_table", "secrets_table", "addresses", "created_at")
    acts = (
        Act("issue-key", "Issue a key", "The key is shown once. Two of each environment may be alive, so that callers can change over.",
            _issue, form=IssueForm, when=lambda source: source.disabled_at is None),
        Act("issue-dsn", "Issue a Sentry DSN",
            "Give it to Sentry's SDK in a program or a page, and what fails there is reported here. It may report failures and "
            "nothing else. It is shown once; two of each environment may be alive.",
            _issue_dsn, form=IssueForm, when=lambda source: source.disabled_at is None),
        Act("revoke-key", "Revoke a key", "The key is refused from the next request on. This cannot be undone.", _revoke,
            form=RevokeForm, grave=True, when=lambda source: source.keys.filter(revoked_at=None).exists()),
        Act("rotate-secret", "Rotate the signing secret",
            "A new secret is made and shown once. Outcomes carry two signatures, with the new and the last one, until the older is "
            "retired.", _rotate),
        Act("retire-secrets", "Retire older secrets", "Outcomes are signed with the newest secret only.", _retire, grave=True,
            when=lambda source: source.signing_secrets.filter(retired_at=None).count() > 1),
        Act("enable-endpoint", "Enable the callback again", "Outcomes are sent there again.", _enable_endpoint,
            when=lambda source: source.endpoint_disabled_at is not None),
        Act("disable", "Disable the source", "Its keys are refused at once. What it submitted stays and is still decided.", _disable,
            grave=True, when=lambda source: source.disabled_at is None),
        Act("enable", "Enable the source", "Its keys are taken again.", _enable, when=lambda source: source.disabled_at is not None),
    )

    def get_fieldsets(self, request: HttpRequest, obj: Source | None = None) -> Any:
        about = ("Who it is", {"fields": ("name", "description", "owner", "is_demo", "requests_per_minute")})
        outcomes = ("Where outcomes go", {"fields": ("callback_url", "allowed_hosts", "may_email")})
        believed = ("What is believed of it", {"fields": ("authoritative_paths", "known_irreversible", "may_chat", "why_now")})
        if obj is None:
            return (about, outcomes, believed)
        return (
            about, ("Keys", {"fields": ("state", "keys_table", "addresses")}), ("Where outcomes go", {
                "fields": (*outcomes[1]["fields"], "secrets_table")}), believed,
        )

    def get_readonly_fields(self, request: HttpRequest, obj: Source | None = None) -> tuple[str, ...]:
        return (*self.readonly_fields, "name") if obj else self.readonly_fields

    @admin.display(description="State")
    def state(self, source: Source) -> str:
        if source.disabled_at:
            return f"disabled since {source.disabled_at:%Y-%m-%d %H:%M} UTC"
        if source.endpoint_disabled_at:
            return f"callback disabled since {source.endpoint_disabled_at:%Y-%m-%d %H:%M} UTC: {source.endpoint_disabled_why}"
        return "enabled"

    @admin.display(description="Keys")
    def keys_table(self, source: Source) -> str:
        alive = set(ApiKey.objects.alive().filter(source=source).values_list("pk", flat=True))
        revoke = reverse("admin:escalations_source_act", args=[source.pk, "revoke-key"])
        rows = format_html_join(
            "", "<tr><td><code>{}</code></td><td>{}</td><td>{}</td><td>{}</td><td>{}</td></tr>",
            (
                (
                    f"{key}{' (Sentry DSN)' if EVENTS in key.scopes else ''}", f"{key.created_at:%Y-%m-%d %H:%M}",
                    f"{key.last_used_at:%Y-%m-%d %H:%M}" if key.last_used_at else "never",
                    "revoked" if key.revoked_at else f"until {key.expires_at:%Y-%m-%d %H:%M}" if key.expires_at else "until revoked",
                    format_html('<a href="{}?key={}">Revoke</a>', revoke, key.pk) if key.pk in alive else "",
                )
                for key in source.keys.order_by("-pk")
            ),
        )
        if not rows:
            return "None yet. Issue one above."
        return format_html(
            "<table><thead><tr><th>Key</th><th>Issued</th><th>Last used</th><th>Holds</th><th></th></tr></thead><tbody>{}</tbody></table>",
            rows,
        )

    @admin.display(description="Addresses for clients")
    def addresses(self, source: Source) -> str:
        return addresses.table()

    @admin.display(description="Signing secrets")
    def secrets_table(self, source: Source) -> str:
        live = list(source.signing_secrets.filter(retired_at=None).order_by("-pk"))
        return "; ".join(f"no. {secret.pk}, since {secret.created_at:%Y-%m-%d %H:%M} UTC" for secret in live) or "None yet."

    def save_model(self, request: HttpRequest, obj: Source, form: Any, change: bool) -> None:
        saved = policies.save_source(
            obj, actor=actor_of(request), person=request.user, why=form.cleaned_data.get("why_now", "")
        )
        self.outcome(request, saved)
        request.first_secret = saved if isinstance(saved, str) else None

    def response_add(self, request: HttpRequest, obj: Source, post_url_continue: str | None = None) -> HttpResponse:
        """A new source has a signing secret: this is the one moment in which it can be read."""
        if (change := policies.waiting(obj)) is not None:
            self.message_user(request, f"It is registered without this. {waits_said(change)}", messages.WARNING)
        told = Told(f"{obj.name} is registered", [("Signing secret", request.first_secret)])
        return self.once(request, obj, told, reverse("admin:escalations_source_change", args=[obj.pk]))
