"""Pages whose edits may have to wait for a second administrator: saved, or asked for; what waits is shown, with who asked."""

from typing import Any

from django import forms
from django.contrib import messages
from django.contrib.admin.utils import unquote
from django.http import HttpRequest, HttpResponse, HttpResponseRedirect
from django.urls import reverse

from escalations import policies
from escalations.models import Change, RoutingRule
from escalations.states import RuleState

from .bases import Act, ActForm, CheckedForm, Edited, actor_of, shown

WAITS = "Nothing has changed yet: it waits for a second administrator."


class WhyForm(CheckedForm):
    """Asks why, for the version that is kept and for whoever has to confirm it."""

    why_now = forms.CharField(
        required=False, max_length=2000, label="Why this change",
        widget=forms.Textarea(attrs={"rows": 2, "cols": 100}),
        help_text="Kept with the version, and read by the second administrator where one is needed.",
    )


class Seconded(Edited):
    """What one administrator edits and, where it would let the machine do more or look at less, another confirms."""

    def outcome(self, request: HttpRequest, saved: Any) -> None:
        """Remember what the verb gave back, for what is said after the save."""
        request.asked = saved if isinstance(saved, Change) else None
        if isinstance(saved, RoutingRule) and saved.state == RuleState.LIVE:
            for said in conflicts_said(saved):
                self.message_user(request, said, messages.WARNING)

    def changeform_view(
        self, request: HttpRequest, object_id: str | None = None, form_url: str = "", extra_context: dict[str, Any] | None = None
    ) -> HttpResponse:
        extra = dict(extra_context or {})
        if object_id and request.method == "GET" and (row := self.get_object(request, unquote(object_id))) is not None:
            extra["waits"] = waits_of(row)
        return super().changeform_view(request, object_id, form_url, extra)

    def response_add(self, request: HttpRequest, obj: Any, post_url_continue: str | None = None) -> HttpResponse:
        return self._asked(request, obj) or super().response_add(request, obj, post_url_continue)

    def response_change(self, request: HttpRequest, obj: Any) -> HttpResponse:
        return self._asked(request, obj) or super().response_change(request, obj)

    def _asked(self, request: HttpRequest, obj: Any) -> HttpResponse | None:
        change = getattr(request, "asked", None)
        if change is None:
            return None
        self.message_user(request, waits_said(change), messages.WARNING)
        return HttpResponseRedirect(page_of(obj))


def waits_said(change: Change) -> str:
    """Return what is said to who asked: that nothing has changed, why, and where there is nobody to confirm it, that too."""
    alone = " There is no other administrator who could: make somebody one first." if policies.second.nobody_can(change) else ""
    return f"{WAITS} {' '.join(change.lowers)}{alone}"


def page_of(row: Any) -> str:
    """Return the address of a row's page here."""
    return reverse(f"admin:{row._meta.app_label}_{row._meta.model_name}_change", args=[row.pk])


def waits_of(row: Any) -> dict[str, Any] | None:
    """Return what waits for this row, for `waits.html`; None when nothing does. One query, about four more when something does."""
    if (change := policies.waiting(row)) is None:
        return None
    return {
        "change": change, "url": page_of(change), "asked_by": shown(change.asked_by.name), "why": shown(change.why),
        "lowers": [shown(one) for one in change.lowers], "differences": told(policies.second.asked(change).differences),
    }


def told(differences: list[Any]) -> list[dict[str, str]]:
    """Return differences with every character an eye would miss written out."""
    return [{"label": one.label, "before": shown(one.before), "after": shown(one.after)} for one in differences]


# -- what is done to a rule by a button


class StateForm(ActForm):
    seen = forms.IntegerField(widget=forms.HiddenInput, required=False)
    why = forms.CharField(required=False, max_length=2000, label="Why", widget=forms.Textarea(attrs={"rows": 2, "cols": 80}))

    def about(self, row: RoutingRule) -> None:
        self.initial["seen"] = row.version


class RestoreForm(StateForm):
    version = forms.TypedChoiceField(coerce=int, label="Version")

    field_order = ("version", "why", "seen")

    def about(self, row: RoutingRule) -> None:
        super().about(row)
        self.fields["version"].choices = [
            (one.version, f"{one.version}: {one.at:%Y-%m-%d %H:%M} UTC, {one.actor}")
            for one in row.versions.exclude(version=row.version).order_by("-version")[:200]
        ]


def conflicts_said(rule: RoutingRule) -> list[str]:
    """Return in words which live rules of equal priority want something else of the same past incidents. See `policies.conflicts`."""
    return [
        f"“{one.other.name}” has the same priority and asks for {one.other.floor}"
        + (f" by {one.other.role}" if one.other.role else "")
        + f": both matched {one.count} of the newest {one.looked} proposals, and their like will come to a person as a conflict."
        for one in policies.conflicts(rule)
    ]


def _said(outcome: Any, done: str) -> str:
    if isinstance(outcome, Change):
        return waits_said(outcome)
    return " ".join([done, *(conflicts_said(outcome) if outcome.state == RuleState.LIVE else [])])


def _by(request: HttpRequest, data: dict[str, Any]) -> dict[str, Any]:
    return {"actor": actor_of(request), "person": request.user, "why": data["why"], "seen": data["seen"]}


def _promote(rule: RoutingRule, request: HttpRequest, data: dict[str, Any]) -> str:
    return _said(policies.promote(rule, **_by(request, data)), "It is live. It holds for whatever is routed from now on.")


def _shadow(rule: RoutingRule, request: HttpRequest, data: dict[str, Any]) -> str:
    return _said(policies.to_shadow(rule, **_by(request, data)), "It is in shadow: evaluated on real traffic, and it decides nothing.")


def _draft(rule: RoutingRule, request: HttpRequest, data: dict[str, Any]) -> str:
    return _said(policies.to_draft(rule, **_by(request, data)), "It is a draft: it is not evaluated.")


def _archive(rule: RoutingRule, request: HttpRequest, data: dict[str, Any]) -> str:
    return _said(policies.archive_rule(rule, **_by(request, data)), "Archived. It can still be read, and be taken back as a draft.")


def _restore(rule: RoutingRule, request: HttpRequest, data: dict[str, Any]) -> str:
    outcome = policies.restore(rule, data["version"], **_by(request, data))
    return _said(outcome, f"It says again what it said in version {data['version']}; its state is as it was.")


RULE_ACTS = (
    Act(
        "promote", "Make live",
        "It will hold for whatever is routed from now on. Where it lets the machine do more, a second administrator confirms it first.",
        _promote, form=StateForm, when=lambda rule: rule.state in (RuleState.DRAFT, RuleState.SHADOW),
    ),
    Act(
        "shadow", "Put in shadow",
        "It is evaluated on real traffic and recorded beside what happened. It decides nothing and executes nothing.",
        _shadow, form=StateForm, when=lambda rule: rule.state in (RuleState.DRAFT, RuleState.LIVE),
    ),
    Act(
        "draft", "Take back to draft", "It is not evaluated until somebody puts it in shadow or makes it live.",
        _draft, form=StateForm, when=lambda rule: rule.state != RuleState.DRAFT,
    ),
    Act(
        "restore", "Restore a version",
        "It will say again what it said then. Its state stays as it is, and this too is a new version.",
        _restore, form=RestoreForm, when=lambda rule: rule.version > 1,
    ),
    Act(
        "archive", "Archive", "Nothing new is judged by it. It can still be read, and be taken back as a draft.",
        _archive, form=StateForm, when=lambda rule: rule.state != RuleState.ARCHIVED, grave=True,
    ),
)


def versions_context(rule: RoutingRule) -> dict[str, Any]:
    """Return what `rule_versions.html` shows: a rule's versions, newest first, each with what it changed, and, for a live one, which
    others it is in conflict with. Two queries where there are none."""
    restore = reverse("admin:escalations_routingrule_act", args=[rule.pk, "restore"])
    return {
        "conflicts": [shown(one) for one in conflicts_said(rule)] if rule.state == RuleState.LIVE else [],
        "versions": [
            {
                "version": one.version, "at": one.at, "actor": shown(one.actor), "confirmed_by": shown(one.confirmed_by),
                "why": shown(one.why), "restored_from": one.restored_from, "differences": told(differences),
                "restore": f"{restore}?version={one.version}" if one.version != rule.version else "",
            }
            for one, differences in policies.versions_of(rule)
        ]
    }
