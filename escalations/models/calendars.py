"""When people work, and when one of them does not."""

from datetime import date, datetime, timedelta
from typing import Any

from django.db import models
from django.db.models import Exists, F, OuterRef, Q

from escalations import clock

from .people import Person, Role
from .sources import Source

FROZEN_AHEAD = timedelta(days=800)  # holidays further away are not copied


class Calendar(models.Model):
    """Working hours in one time zone. Outside of them, and on its holidays, a clock that goes by it stands still.

    `hours` is {"mon": [["09:00", "12:30"], ["13:30", "18:00"]], …}: local times, in order, not overlapping; "24:00" ends a day.
    """

    name = models.CharField(max_length=120, unique=True)
    time_zone = models.CharField(max_length=64, default="UTC")
    hours = models.JSONField(default=dict)
    country = models.CharField(max_length=2, blank=True, help_text="ISO 3166 code; its public holidays are filled in each year.")
    subdivision = models.CharField(max_length=10, blank=True, help_text="A state or region of it, as the holidays package names it.")
    archived_at = models.DateTimeField(null=True, blank=True)
    version = models.PositiveIntegerField(default=1)

    def __str__(self) -> str:
        return self.name

    def frozen(self, moment: datetime) -> dict[str, Any]:
        """Return the copy a policy carries, as `worktime` reads it. One query, none when the holidays are prefetched."""
        since, until = moment.date() - timedelta(days=2), moment.date() + FROZEN_AHEAD
        days: list[date] = [holiday.day for holiday in self.holidays.all()]
        return {
            "name": self.name,
            "version": self.version,
            "time_zone": self.time_zone,
            "hours": self.hours,
            "holidays": sorted(day.isoformat() for day in days if since <= day <= until),
        }


class Holiday(models.Model):
    """A day of a calendar on which nobody works."""

    calendar = models.ForeignKey(Calendar, on_delete=models.CASCADE, related_name="holidays")
    day = models.DateField()
    name = models.CharField(max_length=120)
    filled_in = models.BooleanField(default=False)  # from the country, not by hand

    class Meta:
        ordering = ["day"]
        constraints = [models.UniqueConstraint(fields=["calendar", "day"], name="holiday_once")]

    def __str__(self) -> str:
        return f"{self.day} {self.name}"


class AbsenceQuerySet(models.QuerySet):
    def at(self, moment: datetime) -> "AbsenceQuerySet":
        """Absences during which this moment falls."""
        return self.filter(since__lte=moment, until__gt=moment)


class Absence(models.Model):
    """A person is away. Claims and mentions go to the deputy, if there is one who may read what they are about."""

    person = models.ForeignKey(Person, on_delete=models.PROTECT, related_name="absences")
    since = models.DateTimeField()
    until = models.DateTimeField()
    deputy = models.ForeignKey(Person, null=True, blank=True, on_delete=models.PROTECT, related_name="+")
    note = models.CharField(max_length=200, blank=True)
    passed_on_at = models.DateTimeField(null=True, editable=False)  # their claims were given on when it began
    created_at = models.DateTimeField(default=clock.now, editable=False)

    objects = AbsenceQuerySet.as_manager()

    class Meta:
        ordering = ["since"]
        constraints = [
            models.CheckConstraint(condition=Q(until__gt=F("since")), name="absence_ends_after_it_begins"),
            models.CheckConstraint(condition=~Q(person=F("deputy")), name="deputy_is_somebody_else"),
        ]
        indexes = [models.Index(fields=["until", "since"], name="absence_now")]

    def __str__(self) -> str:
        return f"{self.person} away"


def people_here(moment: datetime) -> models.QuerySet[Person]:
    """Return the active people who are not away at this moment."""
    away = Absence.objects.at(moment).filter(person=OuterRef("pk"))
    return Person.objects.filter(~Exists(away), is_active=True)


def roles_with_somebody(moment: datetime) -> frozenset[int]:
    """Return the ids of the roles of which an active member is not away. One small query."""
    found = people_here(moment).filter(groups__isnull=False).values_list("groups", flat=True)
    return frozenset(found.order_by().distinct())


class MuteWindow(models.Model):
    """Maintenance: notices about this source or to this role (or all) wait until it ends. The clock goes on."""

    name = models.CharField(max_length=120)
    since = models.DateTimeField()
    until = models.DateTimeField()
    source = models.ForeignKey(Source, null=True, blank=True, on_delete=models.PROTECT, related_name="+")
    role = models.ForeignKey(Role, null=True, blank=True, on_delete=models.PROTECT, related_name="+")
    created_by = models.ForeignKey(Person, null=True, on_delete=models.PROTECT, related_name="+", editable=False)
    created_at = models.DateTimeField(default=clock.now, editable=False)

    class Meta:
        ordering = ["-since"]
        constraints = [models.CheckConstraint(condition=Q(until__gt=F("since")), name="mute_ends_after_it_begins")]
        indexes = [models.Index(fields=["until", "since"], name="mute_now")]

    def __str__(self) -> str:
        return self.name
