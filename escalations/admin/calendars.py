"""Calendars: hours a line a day, holidays by country and by hand, and when it is open next."""

import re
from datetime import datetime, timedelta
from typing import Any
from zoneinfo import ZoneInfo, available_timezones

from django import forms
from django.contrib import admin
from django.core.exceptions import ValidationError
from django.forms.models import BaseInlineFormSet
from django.http import HttpRequest, HttpResponse

from escalations import clock, policies, worktime
from escalations.errors import Invalid
from escalations.models import Calendar, Holiday

from .bases import Act, CheckedForm, Edited, actor_of

WEEK = {"mon": "monday", "tue": "tuesday", "wed": "wednesday", "thu": "thursday", "fri": "friday", "sat": "saturday", "sun": "sunday"}
NEXT_DAYS = 10
_DASH = re.compile(r"\s*(?:-|–|to)\s*")
_CLOCK = re.compile(r"(\d{1,2})(?::(\d\d))?")


def read_hours(text: str) -> list[list[str]]:
    """Return "9-12:30, 13:30-18" as [["09:00", "12:30"], ["13:30", "18:00"]]; raises ValidationError for what is no time."""
    stretches = []
    for piece in filter(None, (piece.strip() for piece in text.split(","))):
        ends = [_CLOCK.fullmatch(end) for end in _DASH.split(piece)]
        if len(ends) != 2 or not all(ends):
            raise ValidationError(f"“{piece}” is no time of opening: write 09:00-12:30, 13:30-18:00.")
        stretches.append([f"{int(end[1]):02}:{end[2] or '00'}" for end in ends if end])
    return stretches


def written_hours(stretches: Any) -> str:
    """Return a day's hours as they are typed."""
    return ", ".join(f"{opens}-{closes}" for opens, closes in stretches or [])


class CalendarForm(CheckedForm):
    """Hours in seven lines. What is read of them is kept on the calendar as one value."""

    country = forms.ChoiceField(required=False, help_text="Its public holidays, of this year and the next, are filled in each year.")

    class Meta:
        model = Calendar
        fields = ("name", "time_zone", "country", "subdivision")

    def __init__(self, *args: Any, **options: Any) -> None:
        super().__init__(*args, **options)
        if "time_zone" not in self.fields:  # shown and not edited
            return
        self.fields["country"].choices = [("", "none"), *((code, f"{name} ({code})") for code, name in policies.countries().items())]
        self.fields["time_zone"].widget = forms.Select(choices=[(name, name) for name in sorted(available_timezones())])
        for day, name in WEEK.items():
            self.fields[name].initial = written_hours(self.instance.hours.get(day) if self.instance.hours else "")

    def clean(self) -> dict[str, Any]:
        cleaned = super().clean()
        hours = {}
        for day, name in WEEK.items():
            try:
                if read := read_hours(cleaned.get(name) or ""):
                    hours[day] = read
            except ValidationError as error:
                self.add_error(name, error)
        self.instance.hours = hours
        return cleaned

    def check(self) -> None:
        policies.check_calendar(self.instance)

    def add_error(self, field: str | None, error: Any) -> None:
        """What is wrong with the hours stands at the day it names, else at the first."""
        if field is None and self.instance.hours == {}:
            field = "monday"
        super().add_error(field, error)


for _day in WEEK.values():
    # Declared in a loop: seven alike, in the order of the week.
    CalendarForm.base_fields[_day] = forms.CharField(
        required=False, max_length=120, widget=forms.TextInput(attrs={"placeholder": "closed", "autocomplete": "off"}),
    )
    CalendarForm.declared_fields[_day] = CalendarForm.base_fields[_day]


class HolidayFormSet(BaseInlineFormSet):
    """The days, checked with the calendar as the verb will."""

    def days(self) -> list[policies.Day]:
        """Return the days that stay, each with where it came from."""
        kept = [form for form in self.forms if form.cleaned_data.get("day") and not form.cleaned_data.get("DELETE")]
        return [
            policies.Day(form.cleaned_data["day"], form.cleaned_data["name"], form.instance.filled_in and not form.has_changed())
            for form in kept
        ]

    def clean(self) -> None:
        super().clean()
        if any(self.errors) or not self.instance.hours:
            return
        try:
            policies.check_calendar(self.instance, self.days())
        except Invalid as refused:
            of_days = [error["detail"] for error in refused.errors if error["pointer"] == "/holidays"]
            if of_days:
                raise ValidationError(of_days) from None


class Holidays(admin.TabularInline):
    model = Holiday
    formset = HolidayFormSet
    fields = ("day", "name")
    extra = 1

    def formfield_for_dbfield(self, db_field: Any, request: HttpRequest, **kwargs: Any) -> Any:
        if db_field.name == "day":
            kwargs["widget"] = forms.DateInput(attrs={"type": "date"}, format="%Y-%m-%d")
        return super().formfield_for_dbfield(db_field, request, **kwargs)

    def has_view_permission(self, request: HttpRequest, obj: Any = None) -> bool:
        return bool(request.user.is_active and request.user.is_staff)

    has_add_permission = has_change_permission = has_delete_permission = has_view_permission


def _fill_in(calendar: Calendar, request: HttpRequest, data: dict[str, Any]) -> str:
    came = policies.fill_in(calendar, actor=actor_of(request))
    return f"{came} holidays came." if came else "This and next year's holidays are there already."


def _archive(calendar: Calendar, request: HttpRequest, data: dict[str, Any]) -> str:
    policies.archive_calendar(calendar, actor=actor_of(request))
    return "Archived. What already runs by it keeps the copy it was given."


@admin.register(Calendar)
class CalendarAdmin(Edited):
    form = CalendarForm
    change_form_template = "admin/escalations/calendar_form.html"
    list_display = ("name", "time_zone", "country", "now", "used_by", "version", "archived_at")
    ordering = ("archived_at", "name")
    fieldsets = (
        (None, {"fields": ("name", "time_zone")}),
        ("Open", {
            "fields": tuple(WEEK.values()),
            "description": "One line a day: 09:00-12:30, 13:30-18:00. Empty: closed. 00:00-24:00: all day. Outside of these hours the "
            "clock of whatever goes by this calendar stands still.",
        }),
        ("Holidays", {"fields": ("country", "subdivision", "version", "archived_at")}),
    )
    readonly_fields = ("version", "archived_at")
    inlines = (Holidays,)
    acts = (
        Act(
            "fill_in", "Fill in holidays", "Adds this and next year's public holidays of its country, where a year has none yet. Days "
            "that were added or removed by hand stay as they are.", _fill_in,
            when=lambda calendar: bool(calendar.country) and calendar.archived_at is None,
        ),
        Act(
            "archive", "Archive", "No policy can go by it any more. It can still be read.", _archive,
            when=lambda calendar: calendar.archived_at is None,
        ),
    )

    def get_queryset(self, request: HttpRequest) -> Any:
        return super().get_queryset(request).prefetch_related("holidays", "policies")

    def has_change_permission(self, request: HttpRequest, obj: Calendar | None = None) -> bool:
        return super().has_change_permission(request, obj) and (obj is None or obj.archived_at is None)

    def changeform_view(
        self, request: HttpRequest, object_id: str | None = None, form_url: str = "", extra_context: dict[str, Any] | None = None
    ) -> HttpResponse:
        extra = dict(extra_context or {})
        if object_id and (calendar := self.get_object(request, object_id)) is not None:
            extra["openings"] = openings(calendar)
        return super().changeform_view(request, object_id, form_url, extra)

    @admin.display(description="Now")
    def now(self, calendar: Calendar) -> str:
        now = clock.now()
        frozen = calendar.frozen(now)
        if why := worktime.why_unusable(frozen):
            return why
        return "open" if worktime.is_open(frozen, now) else "closed"

    @admin.display(description="Policies")
    def used_by(self, calendar: Calendar) -> str:
        return ", ".join(policy.name for policy in calendar.policies.all() if policy.archived_at is None) or "–"

    def save_model(self, request: HttpRequest, obj: Calendar, form: Any, change: bool) -> None:
        """Hours and holidays are one edit: see save_related."""

    def save_related(self, request: HttpRequest, form: Any, formsets: list[Any], change: bool) -> None:
        days = [day for formset in formsets for day in formset.days()]
        policies.save_calendar(form.instance, days=days, actor=actor_of(request))

    def construct_change_message(self, request: HttpRequest, form: Any, formsets: Any, add: bool = False) -> str:
        return ""  # the audit entry says it


def openings(calendar: Calendar) -> list[dict[str, Any]]:
    """Return the next days with their hours or why it is closed, as on the wall there. No query when holidays are loaded."""
    now = clock.now()
    frozen = calendar.frozen(now)
    if worktime.why_unusable(frozen):
        return []
    zone = ZoneInfo(calendar.time_zone)
    names = {one.day: one.name for one in calendar.holidays.all()}
    today = now.astimezone(zone).date()
    days = []
    for number in range(NEXT_DAYS):
        day = today + timedelta(days=number)
        begin, end = (datetime(one.year, one.month, one.day, tzinfo=zone) for one in (day, day + timedelta(days=1)))
        stretches = worktime.open_stretches([frozen], begin, end)
        said = ", ".join(f"{opens.astimezone(zone):%H:%M}–{_closing(closes, end, zone)}" for opens, closes in stretches)
        days.append({"day": day, "hours": said, "name": names.get(day, "")})
    return days


def _closing(closes: datetime, midnight: datetime, zone: ZoneInfo) -> str:
    return "24:00" if closes == midnight else f"{closes.astimezone(zone):%H:%M}"
