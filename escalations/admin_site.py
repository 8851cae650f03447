"""The site: only our own models, one way to sign in, pages grouped by what an administrator looks for.

Beside the package `admin` and not in it: Django imports this in order to find out where that package registers its pages.
"""

from typing import Any

from django.apps import apps
from django.contrib.admin import AdminSite
from django.contrib.admin.forms import AdminPasswordChangeForm
from django.contrib.auth.views import PasswordChangeView, redirect_to_login
from django.core.exceptions import PermissionDenied
from django.http import HttpRequest, HttpResponse, HttpResponseRedirect
from django.template.response import TemplateResponse
from django.urls import path, reverse
from django.utils.http import url_has_allowed_host_and_scheme

from escalations import audit, policies, upkeep
from escalations.models import Person

MOST_SHOWN = 10  # changes that wait, on the first page
OURS = frozenset({"escalations", "reviews"})

GROUPS: tuple[tuple[str, tuple[str, ...]], ...] = (
    ("What comes to a person, and to whom", ("RoutingRule", "Change", "Trigger", "Category", "EscalationPolicy", "Calendar", "Replay")),
    ("How people are reached, and when not", ("Channel", "SlackWorkspace", "Absence", "MuteWindow")),
    ("Who asks, and who decides", ("Source", "Person", "Role")),
    ("What the machine is taught", ("ClassifierVersion", "PromptVersion", "PromptTrial")),
    ("The record (read only)", ("Incident", "Proposal", "Decision", "Signature", "Classification", "Stop")),
    ("What leaves (read only)", ("Delivery", "Notice")),
    ("The machinery (read only)", ("AuditEntry", "AuditSeal", "Heartbeat")),
)


class OwnPassword(AdminPasswordChangeForm):
    """Saves by the verb, so that it is on the record (and the password is not)."""

    def save(self, commit: bool = True) -> Person:
        policies.save_person(self.user, actor=audit.Actor.of(self.user), password=self.cleaned_data["new_password1"])
        return self.user


class CountersignSite(AdminSite):
    """django-q2's Schedule would let an administrator run any Python path; other apps' models have their own ways round the audit
    record. So a registration from elsewhere is not taken."""

    site_header = "Countersign administration"
    site_title = "Countersign"
    index_title = "Administration"
    site_url = "/"
    enable_nav_sidebar = False
    index_template = "admin/escalations/index.html"

    def register(self, model_or_iterable: Any, admin_class: Any = None, **options: Any) -> None:
        models: list[Any] = [model_or_iterable] if isinstance(model_or_iterable, type) else list(model_or_iterable)
        ours = [model for model in models if model._meta.app_label in OURS]
        if ours:
            super().register(ours, admin_class, **options)

    def get_urls(self) -> list[Any]:
        """Without Django's short cut to an object's page: ours link to it themselves, and it falls over ids that are no UUID."""
        return [
            path("configuration/", self.admin_view(self.configuration), name="configuration"),
            *(one for one in super().get_urls() if getattr(one, "name", None) != "view_on_site"),
        ]

    def configuration(self, request: HttpRequest) -> HttpResponse:
        """What is configured and does nothing, as it is now. Nineteen queries, and those of any page here."""
        context = {
            **self.each_context(request), "title": "What is configured and does nothing",
            "findings": [{"finding": one, "url": self._page_of(one)} for one in upkeep.findings()],
        }
        response = TemplateResponse(request, "admin/escalations/configuration.html", context)
        response["Cache-Control"] = "no-store"
        return response

    def _page_of(self, finding: upkeep.Finding) -> str:
        """Return where a finding is mended: the row's page, the list, or "" where it is not done here."""
        if not finding.model:
            return ""
        if finding.model == "stop":
            return reverse("reviews:stop")
        model = apps.get_model("escalations", finding.model)
        if not self.is_registered(model):
            return ""
        name = f"admin:escalations_{finding.model}"
        return reverse(f"{name}_change", args=[finding.pk]) if finding.pk else reverse(f"{name}_changelist")

    def login(self, request: HttpRequest, extra_context: dict[str, Any] | None = None) -> HttpResponse:
        """Send everybody through the one sign-in page, which counts failures and asks for what the organisation asks for."""
        wanted = request.GET.get("next", "")
        if not url_has_allowed_host_and_scheme(wanted, allowed_hosts={request.get_host()}, require_https=request.is_secure()):
            wanted = reverse("admin:index")
        if not request.user.is_authenticated:
            return redirect_to_login(wanted)
        if not self.has_permission(request):
            raise PermissionDenied
        return HttpResponseRedirect(wanted)

    def password_change(self, request: HttpRequest, extra_context: dict[str, Any] | None = None) -> HttpResponse:
        """Change one's own password: the same page, through the audited verb."""
        view = PasswordChangeView.as_view(
            form_class=OwnPassword,
            success_url=reverse("admin:password_change_done"),
            template_name="registration/password_change_form.html",
            extra_context={**self.each_context(request), **(extra_context or {})},
        )
        return view(request)

    def index(self, request: HttpRequest, extra_context: dict[str, Any] | None = None) -> HttpResponse:
        """The first page also tells what waits for a second administrator, and what does nothing. Two queries more."""
        waiting = list(policies.waiting_changes()[: MOST_SHOWN + 1])
        shown = [
            {
                "name": change.name, "asked_by": change.asked_by, "asked_at": change.asked_at,
                "url": reverse("admin:escalations_change_change", args=[change.pk]),
            }
            for change in waiting[:MOST_SHOWN]
        ]
        kept = upkeep.kept()
        extra = {"upkeep": kept, "upkeep_named": _by_name(kept), **(extra_context or {})}
        extra |= {"waiting_changes": shown, "more_changes": len(waiting) > MOST_SHOWN}
        return super().index(request, extra)

    def get_app_list(self, request: HttpRequest, app_label: str | None = None) -> list[dict[str, Any]]:
        found = {one["object_name"]: one for app in self._build_app_dict(request).values() for one in app["models"]}
        label = apps.get_app_config("escalations").label
        groups = [
            {
                "name": title, "app_label": label, "app_url": reverse("admin:index"), "has_module_perms": True,
                "models": [found[name] for name in names if name in found],
            }
            for title, names in GROUPS
        ]
        return [group for group in groups if group["models"]]


def _by_name(kept: upkeep.Kept) -> list[dict[str, Any]]:
    """Return what was found as the first page tells it: each kind of trouble once, with how often, and what it is where it is one."""
    found: dict[str, list[upkeep.Finding]] = {}
    for one in kept.findings:
        found.setdefault(one.name, []).append(one)
    return [
        {"name": name, "count": len(those), "grave": those[0].grave, "what": those[0].what if len(those) == 1 else ""}
        for name, those in found.items()
    ]
