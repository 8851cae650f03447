"""Versions of the classifier that learns from decisions: what each was trained on and reached, made live with a reason, taken back."""

import re
from typing import Any

from django import forms
from django.contrib import admin, messages
from django.db import models
from django.http import HttpRequest, HttpResponse, HttpResponseRedirect
from django.template.response import TemplateResponse
from django.urls import reverse

from escalations.learn import asking, promoting
from escalations.models import ClassifierVersion
from escalations.states import VersionState

from .bases import Act, ActForm, Edited, shown

ABOUT = re.compile(r"is about (?P<sign>-?)2\^(?P<step>-?\d{1,2}(?:\.5)?)$")  # how a feature's name writes a number of an arg
QUESTIONS = (("approve", "whether a person would approve it"), ("category", "the category"), ("severity", "the severity"))


class ReasonForm(ActForm):
    reason = forms.CharField(label="Why", widget=forms.Textarea(attrs={"rows": 3, "cols": 80}), max_length=promoting.LONGEST_REASON)


def _promote(version: ClassifierVersion, request: HttpRequest, data: dict[str, Any]) -> str:
    promoting.promote(version.pk, person=request.user, reason=data["reason"])
    return f"Classifier {version.number} is live from the next incident on. It can be taken back."


def _take_back(version: ClassifierVersion, request: HttpRequest, data: dict[str, Any]) -> str:
    before = promoting.take_back(version.pk, person=request.user, reason=data["reason"])
    again = f"Classifier {before.number} is live again." if before else "No classifier is live now."
    return f"Classifier {version.number} was taken back. {again}"


def _compared(version: ClassifierVersion) -> dict[str, Any]:
    """Return what whoever is to say why reads first: what it is better at, and on which decisions that was measured. One query."""
    live = _live_beside(version)
    is_better, why = promoting.better(version, live)
    scores = version.scores or {}
    points = [f"It is {'' if is_better else 'no '}better: {why}"]
    earlier, later = scores.get("earlier", 0), scores.get("later", 0)
    asked = f"The same recipe, given only the {earlier} decisions before them, was asked of the {later} that came last."
    beside = scores.get("beside") or {}
    if live is None:
        return {"points": [*points, f"{asked} No classifier is live now."]}
    if beside.get("unseen"):
        seen = f"the {beside['cases']} of them that came after all that classifier {live.number} was trained on"
    else:
        seen = f"all of them; some it may have been trained on, which speaks for classifier {live.number} more than it should"
    points += [f"{asked} Both are measured on {seen}."]
    this, that = beside.get("this") or {}, beside.get("live") or {}
    for name, question in QUESTIONS:
        mine, theirs = (f"{one[name]['accuracy']:.1%}" if one.get(name) else "does not know" for one in (this, that))
        if this.get(name) or that.get(name):
            points.append(f"Right about {question}: this one {mine}, classifier {live.number} {theirs}.")
    return {"points": points}


@admin.register(ClassifierVersion)
class ClassifierVersionAdmin(Edited):
    """A new version is trained, never written; one that exists is read, made live, taken back."""

    change_form_template = "admin/escalations/classifier_form.html"
    list_display = ("named", "state", "taught", "window", "approvals", "named_rightly", "asked_by", "created_at", "promoted_by", "promoted_at")
    list_select_related = ("asked_by", "promoted_by")
    ordering = ("-number",)
    fields = ("state", "asked_by", "created_at", "trained_at", "promoted_by", "promoted_at", "promoted_why", "retired_at", "error")
    readonly_fields = fields
    acts = (
        Act(
            "promote", "Make it live",
            "From the next incident on it says category and severity, and what is unlike the past. What lanes have earned stays with the "
            "version they have earned it with.",
            _promote, form=ReasonForm, grave=True, shows=_compared,
            when=lambda version: version.state == VersionState.READY and _is_better(version)[0],
        ),
        Act(
            "take-back", "Take it back",
            "The version that was live before it is live again, if there was one. Every lane that lets things go by this version stops at "
            "once, and managers are told.",
            _take_back, form=ReasonForm, grave=True, when=lambda version: version.state == VersionState.LIVE,
        ),
    )

    def get_queryset(self, request: HttpRequest) -> models.QuerySet[ClassifierVersion]:
        queryset: models.QuerySet[ClassifierVersion] = super().get_queryset(request).defer("weights", "rungs")
        return queryset

    @admin.display(description="Classifier", ordering="number")
    def named(self, version: ClassifierVersion) -> str:
        return f"Classifier {version.number}"

    @admin.display(description="Decisions", ordering="rows")
    def taught(self, version: ClassifierVersion) -> int:
        return version.rows

    @admin.display(description="Decided")
    def window(self, version: ClassifierVersion) -> str:
        return f"{version.window_from:%Y-%m-%d} to {version.window_until:%Y-%m-%d}" if version.window_from and version.window_until else "–"

    @admin.display(description="Orders approvals rightly")
    def approvals(self, version: ClassifierVersion) -> str:
        auroc = (version.scores.get("approve") or {}).get("auroc")
        return f"{auroc:.1%}" if auroc is not None else "does not know"

    @admin.display(description="Category right")
    def named_rightly(self, version: ClassifierVersion) -> str:
        said = version.scores.get("category") or {}
        return f"{said['accuracy']:.1%}" if said else "does not know"

    def has_change_permission(self, request: HttpRequest, obj: Any = None) -> bool:
        return obj is None and super().has_change_permission(request, obj)

    def may_act(self, request: HttpRequest, row: Any) -> bool:
        return self.has_module_permission(request)

    def add_view(self, request: HttpRequest, form_url: str = "", extra_context: dict[str, Any] | None = None) -> HttpResponse:
        """GET says what training is, POST asks for it."""
        if request.method != "POST":
            context = {**self.admin_site.each_context(request), "title": "Train a classifier", "opts": self.opts, "enough": asking.ENOUGH}
            return TemplateResponse(request, "admin/escalations/classifier_add.html", context)
        row = asking.ask(request.user)
        self.message_user(request, f"Classifier {row.number} is being trained. That takes up to two minutes.", messages.SUCCESS)
        return HttpResponseRedirect(reverse("admin:escalations_classifierversion_change", args=[row.pk]))

    def changelist_view(self, request: HttpRequest, extra_context: dict[str, Any] | None = None) -> HttpResponse:
        return super().changelist_view(request, (extra_context or {}) | {"title": "Classifiers, each trained from what people decided"})

    def changeform_view(
        self, request: HttpRequest, object_id: str | None = None, form_url: str = "", extra_context: dict[str, Any] | None = None
    ) -> HttpResponse:
        extra = dict(extra_context or {})
        if object_id and (row := self.get_object(request, object_id)) is not None:
            extra |= _beside(row) | {"title": f"Classifier {row.number}", "subtitle": None}
        return super().changeform_view(request, object_id, form_url, extra)


def _beside(version: ClassifierVersion) -> dict[str, Any]:
    """Return what a version's page shows beside its dates. One query."""
    is_better, why = _is_better(version) if version.state == VersionState.READY else (False, "")
    largest = version.features.get("largest") or {}
    questions = [("category", largest.get("category") or {}), ("severity", largest.get("severity") or {})]
    return {
        "version": version, "approve": version.scores.get("approve") or {}, "later": version.scores.get("later", 0),
        "named": [(name, said) for name in ("category", "severity") if (said := version.scores.get(name))],
        "is_better": is_better, "measured": why, "speaks_for": _words((largest.get("approve") or {}).get("for")),
        "speaks_against": _words((largest.get("approve") or {}).get("against")),
        "classes": [
            (question, [(shown(name), _words(words)) for name, words in sorted(classes.items())[:40]])
            for question, classes in questions if classes
        ],
    }


def _is_better(version: ClassifierVersion) -> tuple[bool, str]:
    """Return whether a version could be made live, and why. One query."""
    return promoting.better(version, _live_beside(version))


def _live_beside(version: ClassifierVersion) -> ClassifierVersion | None:
    live: ClassifierVersion | None = (
        ClassifierVersion.objects.filter(state=VersionState.LIVE).exclude(pk=version.pk).only("number", "scores").first()
    )
    return live


def _words(told: Any) -> list[dict[str, Any]]:
    return [{"name": ABOUT.sub(_plainly, name), "weight": f"{weight:.2f}"} for name, weight in told or []]


def _plainly(power: re.Match[str]) -> str:
    """Return "is about 2^4.5" as "is about 23"; two numbers stand for the same where they are within a fifth or so of each other."""
    size = 2.0 ** float(power["step"])
    return f"is about {power['sign']}{size:,.0f}" if size >= 10 else f"is about {power['sign']}{size:.2g}"
