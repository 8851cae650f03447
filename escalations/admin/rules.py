"""Routing rules: what comes to a person, and to whom. Written in rows or as an expression, tried on the bench, saved by the verb."""

from typing import Any

from django.contrib import admin
from django.core.exceptions import ValidationError
from django.http import HttpRequest, HttpResponse
from django.template.response import TemplateResponse
from django.urls import path
from django.views.decorators.http import require_POST

from escalations import policies
from escalations.floors import builder
from escalations.floors.names import EXAMPLES
from escalations.floors.rulebook import marked_paths
from escalations.models import RoutingRule
from escalations.states import Floor, Kind, RuleState

from . import bench, replays
from .bases import actor_of
from .rule_form import ACT, RuleForm
from .seconded import RULE_ACTS, Seconded, versions_context

WHEN = "When it matches"


@admin.register(RoutingRule)
class RoutingRuleAdmin(Seconded):
    form = RuleForm
    acts = RULE_ACTS  # and what is said after a save that has to wait: Seconded
    change_form_template = "admin/escalations/rule_form.html"
    change_list_template = "admin/escalations/rule_list.html"
    list_display = ("name", "priority", "floor_and_by", "role", "policy", "state", "why")
    list_select_related = ("role", "policy")
    list_filter = ("state", "floor", "role")
    search_fields = ("name", "condition", "why")
    readonly_fields = ("version", "changed_at")
    fieldsets = (
        (None, {"fields": ("name", "why", "state", "seen")}),
        (WHEN, {"fields": ("condition",)}),
        ("What it demands", {
            "fields": (
                "floor", ("by", "threshold"), "model_counts", "role", "policy", "priority", "severity", "category",
            ),
            "description": "The strictest floor of all live rules that match wins. With floor auto nobody looks, unless a trigger "
            "fires or what “by” asks for is not there; such a rule may read only source, incident.kind, proposal.action, "
            "proposal.args, now, and the paths marked authoritative for a source.",
        }),
        ("This change", {"fields": ("changed_why",)}),
    )

    def get_fieldsets(self, request: HttpRequest, obj: RoutingRule | None = None) -> Any:
        return (*self.fieldsets, ("Saved", {"fields": ("version", "changed_at")})) if obj else self.fieldsets

    def get_changeform_initial_data(self, request: HttpRequest) -> dict[str, Any]:
        """A new rule is a draft: it is tried before it does anything."""
        return {"state": RuleState.DRAFT, **super().get_changeform_initial_data(request)}

    def get_form(self, request: HttpRequest, obj: Any = None, change: bool = False, **kwargs: Any) -> Any:
        form = super().get_form(request, obj, change, **kwargs)
        typed = getattr(request, "typed", None)
        return form if typed is None else type(form)(form.__name__, (form,), {"typed": typed})

    def get_urls(self) -> list[Any]:
        return [
            path("bench/", self.admin_site.admin_view(self.bench_view), name="escalations_routingrule_bench"),
            path("said/", self.admin_site.admin_view(require_POST(self.said_view)), name="escalations_routingrule_said"),
            *super().get_urls(),
        ]

    @admin.display(description="Floor", ordering="floor")
    def floor_and_by(self, rule: RoutingRule) -> str:
        if rule.floor != Floor.AUTO or rule.by == "rule":
            return str(rule.floor)
        return f"{rule.floor} by {rule.by}" + (f" {rule.threshold:g}" if rule.threshold is not None else "")

    # -- editing

    def changeform_view(
        self, request: HttpRequest, object_id: str | None = None, form_url: str = "", extra_context: dict[str, Any] | None = None
    ) -> HttpResponse:
        """A button of the builder draws the form anew with what was typed, and saves nothing."""
        extra = dict(extra_context or {})
        if request.method == "POST" and ACT in request.POST:
            request.typed = request.POST  # type: ignore[attr-defined]
            request.method = "GET"
        extra |= self.beside(self.get_object(request, object_id) if object_id else None)
        return super().changeform_view(request, object_id, form_url, extra)

    def beside(self, rule: RoutingRule | None) -> dict[str, Any]:
        """Return what stands beside a rule's form: replays, what it said in shadow, its versions and conflicts. Eight queries at most."""
        return replays.beside(rule) | (versions_context(rule) if rule is not None else {})

    def render_change_form(self, request: HttpRequest, context: dict[str, Any], *args: Any, **kwargs: Any) -> HttpResponse:
        form = context["adminform"].form
        if hasattr(form, "acted"):  # not for who may only look
            context |= self.said(request, form)
        return super().render_change_form(request, context, *args, **kwargs)

    def said(self, request: HttpRequest, form: RuleForm) -> dict[str, Any]:
        """Return what the condition's part of the page is made of. About eight queries."""
        acted, typed = form.acted, getattr(request, "typed", None) or request.POST
        rows = acted["rows"]
        case = bench.sample(str(typed.get("b-incident", "")), rows.kind if rows else "", rows.action if rows else "")
        marked = marked_paths()
        verdict = case.verdict(acted["condition"], auto=form.is_auto, marked=marked) if case else ""
        return {
            "verdict": verdict, "said": acted, "place": form.place,
            "shortage": rows.shortage if rows and acted["condition"] else "", "case": case,
            "names": case.names(case.incident.source.authoritative_paths) if case else [], "asked_for": typed.get("b-incident", ""),
            "marked": sorted(marked), "examples": EXAMPLES, "operators": [(code, one[0]) for code, one in builder.OPERATORS.items()],
            "kinds": Kind.values, "builder_act": ACT, "when": WHEN, "is_auto": form.is_auto,
        }

    def said_view(self, request: HttpRequest) -> HttpResponse:
        """Answer with the condition's part of the page as it would be drawn with what is typed. Saves nothing."""
        request.typed = request.POST  # type: ignore[attr-defined]
        form = self.get_form(request)()
        context = {"condition_field": form["condition"], **self.said(request, form)}
        return TemplateResponse(request, "admin/escalations/rule_anew.html", context)

    def save_model(self, request: HttpRequest, obj: RoutingRule, form: Any, change: bool) -> None:
        given = form.cleaned_data
        saved = policies.save_rule(
            obj, actor=actor_of(request), person=request.user, why=given.get("changed_why", ""), seen=given.get("seen") if change else None
        )
        self.outcome(request, saved)

    # -- the bench

    def bench_view(self, request: HttpRequest) -> HttpResponse:
        """Show what every rule says of one incident, stored or pasted, and what results. Writes nothing."""
        given = request.POST if request.method == "POST" else request.GET
        form = bench.BenchForm(given if any(given.get(name) for name in ("incident", "pasted")) else None, initial=given.dict())
        case = why = None
        rule = None
        if form.is_bound and form.is_valid():
            rule = form.cleaned_data["rule"]
            try:
                if form.cleaned_data["pasted"]:
                    case = bench.pasted(form.cleaned_data["pasted"], form.cleaned_data["source"])
                elif (case := bench.stored(form.cleaned_data["incident"])) is None:
                    form.add_error("incident", "There is no incident and no proposal with this id.")
            except ValidationError as refused:
                form.add_error("pasted", refused)
            why = bench.tried(case, rule) if case else None
        context = {
            **self.admin_site.each_context(request), "title": "Bench: try the rules on an incident", "opts": self.opts, "form": form,
            "case": case, "why": why, "rule": rule, "recent": (recent := bench.recent()),
            "recent_texts": [text for one in recent for text in (one.title, one.content)],
        }
        return TemplateResponse(request, "admin/escalations/rule_bench.html", context)
