"""Slack workspaces, who a Slack user is here, and where a role is told. For administrators of people: a link says who signs."""

from typing import Any

from django import forms
from django.conf import settings
from django.contrib import admin
from django.http import HttpRequest
from django.urls import reverse
from django.utils.html import format_html, format_html_join

from escalations.models import Person, Role, SlackAccount, SlackWorkspace
from escalations.policies import chat

from .bases import Act, ActForm, CheckedForm, actor_of, shown
from .people import ForSuperusers

SEALED = "Sealed; it is never shown again. Empty: it stays as it is."


def _secret(label: str, help_text: str) -> forms.CharField:
    widget = forms.PasswordInput(attrs={"autocomplete": "off"})
    return forms.CharField(label=label, required=False, max_length=250, widget=widget, help_text=f"{help_text} {SEALED}")


class WorkspaceForm(CheckedForm):
    signing_secret = _secret("Signing secret", "The app's page in Slack, Basic Information: what Slack signs its requests with.")
    bot_token = _secret("Bot token", "The app's page, OAuth & Permissions: begins with xoxb-. It needs the scope chat:write.")

    class Meta:
        model = SlackWorkspace
        fields = ("name", "team_id")
        labels = {"team_id": "Workspace ID"}
        help_texts = {"team_id": "Begins with T; it stands in the address of Slack in a browser."}

    def check(self) -> None:
        chat.check_workspace(self.instance, signing_secret=self._given("signing_secret"), bot_token=self._given("bot_token"))

    def _given(self, name: str) -> str:
        return str(self.cleaned_data.get(name) or "").strip()


class LinkForm(ActForm):
    user_id = forms.CharField(label="Slack member ID", max_length=20, help_text="In Slack: the person's profile, More, Copy member ID.")
    person = forms.ModelChoiceField(queryset=Person.objects.filter(is_active=True).order_by("username"))


class UnlinkForm(ActForm):
    account = forms.ModelChoiceField(queryset=SlackAccount.objects.none(), label="Link")

    def about(self, row: SlackWorkspace) -> None:
        self.fields["account"].queryset = row.accounts.select_related("person").order_by("user_id")


class ChannelForm(ActForm):
    channel_id = forms.CharField(
        label="Channel ID", max_length=20, help_text="In Slack: the channel's name, About, at the end. A member ID reaches that person alone."
    )
    role = forms.ModelChoiceField(queryset=Role.objects.order_by("name"), required=False, help_text="Whose notices are posted there…")
    person = forms.ModelChoiceField(
        queryset=Person.objects.filter(is_active=True).order_by("username"), required=False, help_text="…or which one person's."
    )


class TryForm(ActForm):
    channel_id = forms.CharField(label="Channel ID", max_length=20)


def _link(workspace: SlackWorkspace, request: HttpRequest, data: dict[str, Any]) -> str:
    account = chat.link_account(workspace, user_id=data["user_id"], person=data["person"], actor=actor_of(request))
    return f"What {account.user_id} presses, {account.person.name} has signed. {account.person.name} is told."


def _unlink(workspace: SlackWorkspace, request: HttpRequest, data: dict[str, Any]) -> str:
    chat.unlink_account(data["account"], actor=actor_of(request))
    return f"{data['account'].user_id} is nobody here any more."


def _channel(workspace: SlackWorkspace, request: HttpRequest, data: dict[str, Any]) -> str:
    channel = chat.add_slack_channel(
        workspace, channel_id=data["channel_id"], role=data["role"], person=data["person"], actor=actor_of(request)
    )
    return f"{channel.role or channel.person} is told there from now on."


def _try(workspace: SlackWorkspace, request: HttpRequest, data: dict[str, Any]) -> str:
    return chat.try_out(workspace, channel_id=data["channel_id"])


def _disable(workspace: SlackWorkspace, request: HttpRequest, data: dict[str, Any]) -> str:
    chat.disable_workspace(workspace, actor=actor_of(request))
    return "Disabled. Nothing is posted there, and no button there decides anything."


def _enable(workspace: SlackWorkspace, request: HttpRequest, data: dict[str, Any]) -> str:
    chat.enable_workspace(workspace, actor=actor_of(request))
    return "Enabled."


@admin.register(SlackWorkspace)
class SlackWorkspaceAdmin(ForSuperusers):
    form = WorkspaceForm
    list_display = ("name", "team_id", "state", "linked")
    ordering = ("name",)
    sortable_by = ()
    fields = ("name", "team_id", "signing_secret", "bot_token", "requests_go_to", "state", "accounts_table", "channels_table")
    acts = (
        Act("link", "Link a Slack account", "What this Slack user presses counts as this person's signature, wherever that person may "
            "decide. The person is told.", _link, form=LinkForm),
        Act("unlink", "Take a link away", "What that Slack user presses decides nothing any more. What was signed stays.", _unlink,
            form=UnlinkForm, grave=True, when=lambda workspace: workspace.accounts.exists()),
        Act("channel", "Tell a role in a channel", "Whoever is in that channel reads what is asked of the role. Details that are masked "
            "on a page are left out; buttons are there where source and policy allow them.", _channel, form=ChannelForm),
        Act("try", "Post a test message", "Asks Slack whose token it is and posts one line. Nothing is asked of anybody.", _try,
            form=TryForm, when=lambda workspace: workspace.disabled_at is None),
        Act("disable", "Disable", "Nothing is posted there, and no button there decides anything, from now on.", _disable, grave=True,
            when=lambda workspace: workspace.disabled_at is None),
        Act("enable", "Enable", "Posts and takes presses again.", _enable, when=lambda workspace: workspace.disabled_at is not None),
    )

    def get_readonly_fields(self, request: HttpRequest, obj: SlackWorkspace | None = None) -> tuple[str, ...]:
        told = ("requests_go_to", "state", "accounts_table", "channels_table")
        return ("team_id", *told) if obj else told

    @admin.display(description="Requests go to")
    def requests_go_to(self, workspace: SlackWorkspace) -> str:
        return f"{settings.PUBLIC_URL.rstrip('/')}{reverse('slack-interactivity')} (the app's page, Interactivity & Shortcuts, Request URL)"

    @admin.display(description="State")
    def state(self, workspace: SlackWorkspace) -> str:
        if workspace.disabled_at is not None:
            return f"disabled since {workspace.disabled_at:%Y-%m-%d %H:%M} UTC"
        if workspace.failing_since is not None:
            return f"failing since {workspace.failing_since:%Y-%m-%d %H:%M} UTC: {workspace.last_error}"
        return "enabled"

    @admin.display(description="Linked accounts")
    def linked(self, workspace: SlackWorkspace) -> int:
        return int(workspace.accounts.count())

    @admin.display(description="Who is who")
    def accounts_table(self, workspace: SlackWorkspace) -> str:
        if workspace.pk is None:
            return "–"
        unlink = reverse("admin:escalations_slackworkspace_act", args=[workspace.pk, "unlink"])
        rows = format_html_join(
            "", "<tr><td><code>{}</code></td><td>{}</td><td>{}</td><td>{}</td></tr>",
            (
                (
                    account.user_id, shown(account.person.name),
                    "active" if account.person.is_active else "deactivated: decides nothing",
                    format_html('<a href="{}?account={}">Take away</a>', unlink, account.pk),
                )
                for account in workspace.accounts.select_related("person").order_by("user_id")
            ),
        )
        if not rows:
            return "Nobody is linked: every button there is refused."
        head = "<table><thead><tr><th>Slack member</th><th>Person</th><th>State</th><th>Link</th></tr></thead><tbody>{}</tbody></table>"
        return format_html(head, rows)

    @admin.display(description="Who is told where")
    def channels_table(self, workspace: SlackWorkspace) -> str:
        if workspace.pk is None:
            return "–"
        rows = format_html_join(
            "", "<tr><td>{}</td><td>{}</td><td>{}</td></tr>",
            (
                (
                    format_html('<a href="{}">{}</a>', reverse("admin:escalations_channel_change", args=[one.pk]), one.label),
                    shown(str(one.role or one.person)),
                    "switched off" if one.disabled_at else f"failing: {one.last_error}" if one.failing_since else "on",
                )
                for one in chat.channels_of(workspace)
            ),
        )
        if not rows:
            return "Nobody yet."
        return format_html("<table><thead><tr><th>Channel</th><th>Told</th><th>State</th></tr></thead><tbody>{}</tbody></table>", rows)

    def save_model(self, request: HttpRequest, obj: SlackWorkspace, form: Any, change: bool) -> None:
        given = {name: str(form.cleaned_data.get(name) or "").strip() for name in ("signing_secret", "bot_token")}
        chat.save_workspace(obj, actor=actor_of(request), **given)
