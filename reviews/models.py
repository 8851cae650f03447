"""What the room remembers of a person: what was looked at, the lists they keep, how they like to work. Decides nothing."""

from django.db import models

from escalations import clock
from escalations.models import Person, Proposal


class Glance(models.Model):
    """One reading of one proposal: when it was opened, and how much there was to read. Insert only."""

    proposal = models.ForeignKey(Proposal, on_delete=models.CASCADE, related_name="glances")
    person = models.ForeignKey(Person, on_delete=models.PROTECT, related_name="+")
    version = models.PositiveIntegerField()
    length = models.PositiveIntegerField()  # characters shown
    at = models.DateTimeField(default=clock.now)

    class Meta:
        indexes = [
            # the incident's story, and how long before a signature its page was opened.
            models.Index(fields=["proposal", "person", "-at"], name="glance_of_proposal"),
        ]


class SavedView(models.Model):
    """A person's own name for a list: the filters and the order, as they stand in the URL."""

    person = models.ForeignKey(Person, on_delete=models.CASCADE, related_name="saved_views")
    name = models.CharField(max_length=60)
    query = models.CharField(max_length=1000, blank=True)
    created_at = models.DateTimeField(default=clock.now)

    class Meta:
        ordering = ["name"]
        constraints = [models.UniqueConstraint(fields=["person", "name"], name="saved_view_once")]

    def __str__(self) -> str:
        return self.name


class Preferences(models.Model):
    """How a person likes to work."""

    ORDERS = [("due", "due soonest first"), ("urgent", "what it would cost to be late or wrong")]

    person = models.OneToOneField(Person, primary_key=True, on_delete=models.CASCADE, related_name="preferences")
    claim_on_open = models.BooleanField("claim what I open", default=False)
    single_keys = models.BooleanField("single keys", default=True)
    order = models.CharField("order of the inbox", max_length=6, choices=ORDERS, default="due")

    class Meta:
        verbose_name_plural = "preferences"
