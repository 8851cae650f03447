"""The audit chain: entries written with the change, seals that number and chain them. Insert only, enforced by the database."""

from django.db import models

from escalations import clock


class AuditEntry(models.Model):
    """One step of the record. `body` is the exact canonical JSON that is chained; the columns repeat what pages filter by."""

    id = models.BigAutoField(primary_key=True)
    at = models.DateTimeField(default=clock.now)
    action = models.CharField(max_length=60)
    actor_kind = models.CharField(max_length=10)  # person, source, policy, clock, system
    actor = models.CharField(max_length=150)
    incident_id = models.UUIDField(null=True)
    proposal_id = models.UUIDField(null=True)
    subject = models.CharField(max_length=120, blank=True)  # "RoutingRule 12" for what is no incident
    body = models.TextField()

    class Meta:
        verbose_name_plural = "audit entries"
        indexes = [
            # the incident's story.
            models.Index(fields=["incident_id", "id"], condition=models.Q(incident_id__isnull=False), name="audit_of_incident"),
            # the admin's history of a rule, a policy, a source, a person.
            models.Index(fields=["subject", "id"], condition=~models.Q(subject=""), name="audit_of_subject"),
        ]

    def __str__(self) -> str:
        return f"{self.action} by {self.actor}"


class AuditSeal(models.Model):
    """The number of an entry in the chain, and the hash that binds it to everything before it. Written by one sealer."""

    seq = models.BigIntegerField(primary_key=True)
    entry = models.OneToOneField(AuditEntry, on_delete=models.PROTECT, related_name="seal")
    previous = models.CharField(max_length=64)
    hash = models.CharField(max_length=64)
    sealed_at = models.DateTimeField(default=clock.now)
