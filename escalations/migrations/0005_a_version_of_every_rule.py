"""Every rule that is there gets the version it has: what it said before its next edit can be read, and put back."""

from django.db import migrations

# `values` as `policies.versions.values_of` writes them: rows by their names.
WRITE = """
INSERT INTO escalations_ruleversion (rule_id, version, "values", why, actor_kind, actor, confirmed_by, at)
SELECT rule.id, rule.version,
       jsonb_build_object(
           'name', rule.name, 'why', rule.why, 'priority', rule.priority, 'condition', rule.condition, 'floor', rule.floor,
           'by', rule.by, 'role', role.name, 'policy', policy.name, 'severity', rule.severity, 'category', category.name,
           'threshold', rule.threshold, 'model_counts', rule.model_counts, 'state', rule.state
       ),
       'As it was found.', 'system', 'system', '', rule.changed_at
FROM escalations_routingrule AS rule
LEFT JOIN auth_group AS role ON role.id = rule.role_id
LEFT JOIN escalations_escalationpolicy AS policy ON policy.id = rule.policy_id
LEFT JOIN escalations_category AS category ON category.id = rule.category_id
ON CONFLICT (rule_id, version) DO NOTHING
"""


class Migration(migrations.Migration):
    dependencies = [("escalations", "0004_what_administrators_stand_on")]
    operations = [migrations.RunSQL(WRITE, migrations.RunSQL.noop)]
