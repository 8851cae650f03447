"""What the language model is told, in versions: written, read against the live one, compared on past decisions, made live."""

import difflib
from typing import Any

from django import forms
from django.contrib import admin
from django.http import HttpRequest, HttpResponse, HttpResponseRedirect
from django.urls import path, reverse
from django.views.decorators.http import require_POST

from escalations import policies
from escalations.classify import comparing, conversation, llm, prompting
from escalations.errors import Invalid
from escalations.instructions import EXAMPLES, MOST_EXAMPLES
from escalations.models import Category, PromptTrial, PromptVersion
from escalations.states import PromptState

from .bases import Act, ActForm, CheckedForm, Edited, shown

WANTED = (25, 100, 300, 1000)  # past decisions a comparison may be asked over
RECENT = 5
CONTEXT = 3  # lines around each difference
MARK = "DATA-…"  # in place of the random mark, on the page


class PromptForm(CheckedForm):
    """A whole new version; what an older one says never changes."""

    class Meta:
        model = PromptVersion
        fields = ("instructions", "policy", "examples", "why")
        labels = {"examples": "Past decisions shown", "why": "Why this version"}
        widgets = {
            "instructions": forms.Textarea(attrs={"rows": 10, "cols": 110}), "policy": forms.Textarea(attrs={"rows": 8, "cols": 110}),
            "why": forms.Textarea(attrs={"rows": 2, "cols": 110}),
        }
        help_texts = {
            "instructions": (
                "How to judge severity and confidence, and how to write the rationale. That the incident is data, what an answer looks "
                "like and that the model decides nothing is said around it, always."
            ),
            "policy": "What may go and what may not, in the house's words. May be empty. Redrafts follow it too.",
            "examples": f"How many of the nearest past decisions of the same source are shown with each incident, 0 to {MOST_EXAMPLES}.",
        }

    def check(self) -> None:
        policies.check_prompt(self.instance)


class PromoteForm(ActForm):
    why = forms.CharField(label="Why", widget=forms.Textarea(attrs={"rows": 3, "cols": 80}), max_length=2_000)


def _promote(version: PromptVersion, request: HttpRequest, data: dict[str, Any]) -> str:
    policies.promote_prompt(version.pk, person=request.user, why=data["why"])
    return f"Version {version.number} speaks from the next incident on. To go back, make the older one live again."


@admin.register(PromptVersion)
class PromptVersionAdmin(Edited):
    """A new version is added; an existing one is read, compared and made live."""

    form = PromptForm
    change_form_template = "admin/escalations/prompt_form.html"
    list_display = ("named", "state", "examples", "why", "made_by", "made_at", "promoted_by", "promoted_at")
    list_select_related = ("made_by", "promoted_by")
    ordering = ("-number",)
    fields = ("instructions", "policy", "examples", "why")
    acts = (
        Act(
            "promote", "Make it live",
            "The model is told this from the next incident on. What it says may only ever add caution, whatever it is told: rules, "
            "triggers and people stay as they are.",
            _promote, form=PromoteForm, grave=True, when=lambda version: version.state != PromptState.LIVE,
        ),
    )

    @admin.display(description="Version", ordering="number")
    def named(self, version: PromptVersion) -> str:
        return f"Version {version.number}"

    def has_change_permission(self, request: HttpRequest, obj: Any = None) -> bool:
        return obj is None and super().has_change_permission(request, obj)

    def may_act(self, request: HttpRequest, row: Any) -> bool:
        return self.has_module_permission(request)

    def get_urls(self) -> list[Any]:
        view = self.admin_site.admin_view(require_POST(self.compare_view))
        return [path("<int:pk>/compare/", view, name="escalations_promptversion_compare"), *super().get_urls()]

    def get_changeform_initial_data(self, request: HttpRequest) -> dict[str, Any]:
        """Begin from the version asked for, else from the live one."""
        asked = request.GET.get("of", "")
        rows = PromptVersion.objects.all()
        known = asked.isascii() and asked.isdigit() and len(asked) < 10
        begun = (rows.filter(pk=asked).first() if known else None) or rows.filter(state=PromptState.LIVE).first()
        if begun is None:
            return {"instructions": prompting.BUILT_IN.instructions, "examples": EXAMPLES}
        return {"instructions": begun.instructions, "policy": begun.policy, "examples": begun.examples}

    def save_model(self, request: HttpRequest, obj: PromptVersion, form: Any, change: bool) -> None:
        policies.save_prompt(obj, person=request.user)

    def changeform_view(
        self, request: HttpRequest, object_id: str | None = None, form_url: str = "", extra_context: dict[str, Any] | None = None
    ) -> HttpResponse:
        extra = dict(extra_context or {})
        if object_id and (row := self.get_object(request, object_id)) is not None:
            extra |= _beside(row) | {"title": f"Version {row.number} of the prompt", "subtitle": None}
        return super().changeform_view(request, object_id, form_url, extra)

    def compare_view(self, request: HttpRequest, pk: int) -> HttpResponse:
        """Have this version and another asked about past decisions, and show the comparison."""
        page = reverse("admin:escalations_promptversion_change", args=[pk])
        other, wanted = (request.POST.get(name, "") for name in ("other", "wanted"))
        if not (other.isascii() and other.isdigit() and wanted in map(str, WANTED)):
            self.message_user(request, "Choose another version, and how many decisions.", "ERROR")
            return HttpResponseRedirect(page)
        try:
            trial = comparing.ask(int(other), pk, int(wanted), person=request.user)
        except Invalid as refused:
            self.message_user(request, " ".join(one["detail"] for one in refused.errors), "ERROR")
            return HttpResponseRedirect(page)
        return HttpResponseRedirect(reverse("admin:escalations_prompttrial_change", args=[trial.pk]))


def _beside(version: PromptVersion) -> dict[str, Any]:
    """Return what a version's page shows beside its words. Four queries."""
    others = list(PromptVersion.objects.exclude(pk=version.pk).order_by("-number")[:50])
    live = next((one for one in others if one.state == PromptState.LIVE), None)
    against = live or next((one for one in others if one.number < version.number), None)
    categories = dict(Category.objects.order_by("name").values_list("name", "description"))
    mine = PromptTrial.objects.filter(first=version) | PromptTrial.objects.filter(second=version)
    return {
        "version": version, "against": against, "diff": _differences(against, version) if against else [], "others": others,
        "wanted": WANTED, "trials": mine.select_related("first", "second")[:RECENT], "model_is_on": conversation.is_on(),
        "whole": prompting.system(
            prompting.Prompt.of(version), boundary=MARK, past=f"{MARK} (another)" if version.examples else "", triggers=llm.SEEN,
            categories=categories,
        ),
    }


def _differences(before: PromptVersion, after: PromptVersion) -> list[tuple[str, str]]:
    """Return (kind, line) of what differs: "same", "del", "ins", "gap" between places, "title" above each part."""
    lines: list[tuple[str, str]] = []
    for name in ("instructions", "policy"):
        old, new = getattr(before, name).splitlines(), getattr(after, name).splitlines()
        found = list(difflib.unified_diff(old, new, lineterm="", n=CONTEXT))[2:]
        if found:
            lines.append(("title", name.capitalize()))
            kinds = {"-": "del", "+": "ins", "@": "gap"}
            lines += [(kinds.get(line[0], "same"), "" if line[0] == "@" else line[1:]) for line in found]
    if before.examples != after.examples:
        lines += [("title", "Past decisions shown"), ("del", str(before.examples)), ("ins", str(after.examples))]
    return lines


def named(trial: PromptTrial) -> str:
    """Return a comparison's name, as the lists and its page say it."""
    return shown(f"Version {trial.first.number} against version {trial.second.number}")
