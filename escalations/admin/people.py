"""People and roles. For superusers alone: who may make somebody a manager may decide everything."""

from typing import Any

from django import forms
from django.contrib import admin
from django.contrib.auth import password_validation
from django.http import HttpRequest

from escalations import policies
from escalations.models import Person, PersonToken, Role
from escalations.states import Sensitive

from .bases import Act, ActForm, CheckedForm, Edited, Told, actor_of


class ForSuperusers(Edited):
    def has_module_permission(self, request: HttpRequest) -> bool:
        return super().has_module_permission(request) and bool(request.user.is_superuser)


@admin.register(Role)
class RoleAdmin(ForSuperusers):
    list_display = ("name", "description", "sees_everything", "decides_everything", "cleared_for", "notify_email", "people")
    ordering = ("name",)
    fields = ("name", "description", "sees_everything", "decides_everything", "clearance", "notify_email", "people")
    sortable_by = ()

    def get_queryset(self, request: HttpRequest) -> Any:
        return super().get_queryset(request).prefetch_related("user_set")

    @admin.display(description="Reads without asking")
    def cleared_for(self, role: Role) -> str:
        return ", ".join(str(Sensitive(kind).label) for kind in role.clearance) or "nothing that is masked"

    @admin.display(description="People")
    def people(self, role: Role) -> str:
        if role.pk is None:
            return "–"
        return ", ".join(sorted(person.name for person in role.user_set.all() if person.is_active)) or "nobody"

    def get_readonly_fields(self, request: HttpRequest, obj: Role | None = None) -> tuple[str, ...]:
        return ("name", "people") if obj else ("people",)

    def get_form(self, request: HttpRequest, obj: Role | None = None, change: bool = False, **kwargs: Any) -> Any:
        return super().get_form(request, obj, change, form=RoleForm, **kwargs)

    def save_model(self, request: HttpRequest, obj: Role, form: Any, change: bool) -> None:
        policies.save_role(obj, actor=actor_of(request))


class RoleForm(CheckedForm):
    clearance = forms.MultipleChoiceField(
        choices=Sensitive.choices, required=False, widget=forms.CheckboxSelectMultiple,
        help_text="Kinds of values that members read as they are. For everybody else they are masked; who may read the proposal can "
        "still have them shown, on purpose, and that is recorded.",
    )

    def check(self) -> None:
        policies.check_role(self.instance)


def _password_field(label: str) -> forms.CharField:
    return forms.CharField(label=label, strip=False, widget=forms.PasswordInput(attrs={"autocomplete": "new-password"}))


class PersonForm(CheckedForm):
    roles = forms.ModelMultipleChoiceField(
        queryset=Role.objects.order_by("name"), required=False, widget=forms.CheckboxSelectMultiple,
        help_text="Whose queues this person sits at.",
    )

    class Meta:
        model = Person
        fields = ("username", "first_name", "last_name", "email", "time_zone", "is_staff", "is_superuser")
        labels = {"is_staff": "Administrator", "is_superuser": "Administrator of people"}
        help_texts = {
            "username": "The name to sign in with.",
            "is_staff": "Edits rules, policies and sources here.",
            "is_superuser": "Also edits people and roles. Decides nothing by that: only roles decide.",
        }

    def __init__(self, *args: Any, **kwargs: Any) -> None:
        super().__init__(*args, **kwargs)
        if self.instance.pk:
            self.initial["roles"] = list(self.instance.roles())

    def check(self) -> None:
        policies.check_person(self.instance)


def look_at_passwords(form: forms.BaseForm, person: Person) -> None:
    """Add what is wrong with a new password to the form: the two fields differ, or the validators are not pleased."""
    first, second = form.cleaned_data.get("password"), form.cleaned_data.get("again")
    if first and second and first != second:
        form.add_error("again", "These are two different passwords.")
    elif first:
        try:
            password_validation.validate_password(first, person)
        except forms.ValidationError as error:
            form.add_error("password", error)


class NewPersonForm(PersonForm):
    password = _password_field("Password")
    again = _password_field("Once more")

    def _post_clean(self) -> None:
        super()._post_clean()
        look_at_passwords(self, self.instance)


class PasswordForm(ActForm):
    password = _password_field("New password")
    again = _password_field("Once more")

    def about(self, row: Person) -> None:
        self.person = row

    def clean(self) -> dict[str, Any]:
        look_at_passwords(self, self.person)
        return self.cleaned_data


class TokenForm(ActForm):
    days = forms.IntegerField(initial=policies.TOKEN_DAYS, min_value=1, max_value=policies.LONGEST_TOKEN_DAYS, label="Days")
    interactive = forms.BooleanField(
        required=False, label="Interactive",
        help_text="A person is at the other end at the moment of deciding (a chat bridge). Such decisions count as a person's own.",
    )


class RevokeForm(ActForm):
    token = forms.ModelChoiceField(queryset=PersonToken.objects.none())

    def about(self, row: Person) -> None:
        self.fields["token"].queryset = row.tokens.filter(revoked_at=None)


def _deactivate(person: Person, request: HttpRequest, data: dict[str, Any]) -> str:
    policies.deactivate(person, actor=actor_of(request))
    return f"{person.name} is deactivated: signed out everywhere, tokens revoked, claims given back."


def _reactivate(person: Person, request: HttpRequest, data: dict[str, Any]) -> str:
    policies.reactivate(person, actor=actor_of(request))
    return f"{person.name} may sign in again."


def _password(person: Person, request: HttpRequest, data: dict[str, Any]) -> str:
    policies.save_person(person, actor=actor_of(request), password=data["password"])
    return f"{person.name} has a new password; sessions with the old one have ended."


def _mint(person: Person, request: HttpRequest, data: dict[str, Any]) -> Told:
    minted = policies.mint_token(person, actor=actor_of(request), interactive=data["interactive"], days=data["days"])
    return Told(f"A new token for {person.name}, who is told of it", [("Token", minted.text)])


def _revoke(person: Person, request: HttpRequest, data: dict[str, Any]) -> str:
    policies.revoke_token(data["token"], actor=actor_of(request))
    return "The token is revoked and refused from now on."


@admin.register(Person)
class PersonAdmin(ForSuperusers):
    form = PersonForm
    list_display = ("username", "name", "email", "in_roles", "is_active", "is_staff", "is_superuser", "last_login")
    list_filter = ("is_active", "is_staff")
    search_fields = ("username", "first_name", "last_name", "email")
    ordering = ("username",)
    readonly_fields = ("state", "last_login", "date_joined", "live_tokens")
    acts = (
        Act("password", "Set a password", "Sessions begun with the old password end.", _password, form=PasswordForm,
            when=lambda person: person.is_active),
        Act("mint-token", "Mint a token", "It lets this person decide over the API. It is shown once, and the person is told.", _mint,
            form=TokenForm, when=lambda person: person.is_active),
        Act("revoke-token", "Revoke a token", "It is refused from the next request on.", _revoke, form=RevokeForm, grave=True,
            when=lambda person: person.tokens.filter(revoked_at=None).exists()),
        Act("deactivate", "Deactivate", "Signs this person out everywhere at once, revokes their tokens and gives their claims back. "
            "What they decided stays.", _deactivate, grave=True, when=lambda person: person.is_active),
        Act("reactivate", "Reactivate", "This person may sign in again. Tokens and claims do not come back.", _reactivate,
            when=lambda person: not person.is_active),
    )

    def get_queryset(self, request: HttpRequest) -> Any:
        return super().get_queryset(request).prefetch_related("groups")

    def get_form(self, request: HttpRequest, obj: Person | None = None, change: bool = False, **kwargs: Any) -> Any:
        return super().get_form(request, obj, change, **({} if obj else {"form": NewPersonForm}) | kwargs)

    def get_fieldsets(self, request: HttpRequest, obj: Person | None = None) -> Any:
        signs_in = ("username",) if obj else ("username", "password", "again")
        about = (
            ("Who it is", {"fields": (*signs_in, "first_name", "last_name", "email", "time_zone")}),
            ("What they may", {"fields": ("roles", "is_staff", "is_superuser")}),
        )
        if obj is None:
            return about
        return (*about, ("State", {"fields": ("state", "live_tokens", "last_login", "date_joined")}))

    @admin.display(description="Roles")
    def in_roles(self, person: Person) -> str:
        return ", ".join(sorted(group.name for group in person.groups.all()))

    @admin.display(description="State")
    def state(self, person: Person) -> str:
        return "active" if person.is_active else "deactivated"

    @admin.display(description="Live tokens")
    def live_tokens(self, person: Person) -> str:
        live = PersonToken.objects.alive().filter(person=person).order_by("pk")
        return "; ".join(
            f"{token.key_id} until {token.expires_at:%Y-%m-%d}{', interactive' if token.interactive else ''}" for token in live
        ) or "none"

    def save_model(self, request: HttpRequest, obj: Person, form: Any, change: bool) -> None:
        policies.save_person(
            obj, actor=actor_of(request), roles=form.cleaned_data["roles"], password=form.cleaned_data.get("password")
        )

    def save_related(self, request: HttpRequest, form: Any, formsets: Any, change: bool) -> None:
        """Roles are part of the one audited edit."""
