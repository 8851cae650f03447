"""Every rule that is there gets the version it has: what it said before its next edit can be read, and put back."""

from django.db import migrations

FIELDS = ("name", "why", "priority", "condition", "floor", "by", "severity", "threshold", "model_counts", "state")
NAMED = ("role", "policy", "category")


def write(apps, schema_editor):
    """Write `values` as `policies.versions.values_of` does: rows by their names."""
    rules = apps.get_model("escalations", "RoutingRule")
    versions = apps.get_model("escalations", "RuleVersion")
    owner = schema_editor.connection.alias  # the application may not read these tables yet
    known = set(versions.objects.using(owner).values_list("rule_id", "version"))
    versions.objects.using(owner).bulk_create(
        versions(
            rule=rule, version=rule.version, why="As it was found.", actor_kind="system", actor="system", at=rule.changed_at,
            values={name: getattr(rule, name) for name in FIELDS}
            | {name: getattr(rule, name).name if getattr(rule, name) else None for name in NAMED},
        )
        for rule in rules.objects.using(owner).select_related(*NAMED) if (rule.pk, rule.version) not in known
    )


class Migration(migrations.Migration):
    dependencies = [("escalations", "0004_what_administrators_stand_on")]
    operations = [migrations.RunPython(write, migrations.RunPython.noop)]
