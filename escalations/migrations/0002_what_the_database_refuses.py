"""Promises the database itself keeps: what is signed, said and recorded does not change."""

from django.db import migrations

REFUSE = """
CREATE FUNCTION countersign_refuse() RETURNS trigger LANGUAGE plpgsql AS $$
BEGIN
    RAISE EXCEPTION 'Countersign: % on % is refused; this is the record', TG_OP, TG_TABLE_NAME
        USING ERRCODE = 'restrict_violation';
END $$;
"""

# What may only ever be inserted.
APPEND_ONLY = (
    "escalations_auditentry",
    "escalations_auditseal",
    "escalations_signature",
    "escalations_decision",
    "escalations_acknowledgement",
    "escalations_steprun",
)

# Columns that may change; everything else of the row is fixed at INSERT.
MUTABLE = {
    "escalations_incident": ("status", "severity", "category", "triggers", "escalate", "pattern", "settled_at"),
    "escalations_proposal": (
        "routed_at", "title", "severity", "category", "confidence", "risk", "floor", "triggers", "rules", "policy", "state",
        "version", "role_id", "asked", "step", "due_at", "expires_at", "parked_at", "warned_at", "claimed_by_id", "claim_until",
        "settled_at",
    ),
}

FIXED = """
CREATE FUNCTION countersign_keep_fixed() RETURNS trigger LANGUAGE plpgsql AS $$
BEGIN
    IF (to_jsonb(OLD) - TG_ARGV) IS DISTINCT FROM (to_jsonb(NEW) - TG_ARGV) THEN
        RAISE EXCEPTION 'Countersign: what was submitted in % does not change', TG_TABLE_NAME
            USING ERRCODE = 'restrict_violation';
    END IF;
    RETURN NEW;
END $$;
"""

SETTLED_STAYS = """
CREATE FUNCTION countersign_settled_stays() RETURNS trigger LANGUAGE plpgsql AS $$
BEGIN
    IF OLD.state <> 'pending' AND (NEW.state, NEW.settled_at, NEW.version)
            IS DISTINCT FROM (OLD.state, OLD.settled_at, OLD.version) THEN
        RAISE EXCEPTION 'Countersign: a settled proposal never moves again' USING ERRCODE = 'restrict_violation';
    END IF;
    RETURN NEW;
END $$;
CREATE TRIGGER settled_stays BEFORE UPDATE ON escalations_proposal
    FOR EACH ROW EXECUTE FUNCTION countersign_settled_stays();
"""


def statements() -> list[tuple[str, str]]:
    """Return (forwards, backwards) pairs."""
    pairs = [
        (REFUSE, "DROP FUNCTION countersign_refuse()"),
        (FIXED, "DROP FUNCTION countersign_keep_fixed()"),
    ]
    for table in APPEND_ONLY:
        pairs.append((
            f"CREATE TRIGGER append_only BEFORE UPDATE OR DELETE ON {table} "
            "FOR EACH ROW EXECUTE FUNCTION countersign_refuse();"
            f"CREATE TRIGGER never_truncated BEFORE TRUNCATE ON {table} "
            "FOR EACH STATEMENT EXECUTE FUNCTION countersign_refuse()",
            f"DROP TRIGGER append_only ON {table}; DROP TRIGGER never_truncated ON {table}",
        ))
    for table, columns in MUTABLE.items():
        names = ", ".join(f"'{column}'" for column in columns)
        pairs.append((
            f"CREATE TRIGGER fixed BEFORE UPDATE ON {table} FOR EACH ROW EXECUTE FUNCTION countersign_keep_fixed({names});"
            f"CREATE TRIGGER kept BEFORE DELETE ON {table} FOR EACH ROW EXECUTE FUNCTION countersign_refuse()",
            f"DROP TRIGGER fixed ON {table}; DROP TRIGGER kept ON {table}",
        ))
    pairs.append((
        SETTLED_STAYS,
        "DROP TRIGGER settled_stays ON escalations_proposal; DROP FUNCTION countersign_settled_stays()",
    ))
    # The pusher reads by (key, lock); django-q2 ships no index for it.
    pairs.append((
        "CREATE INDEX django_q_ormq_by_lock ON django_q_ormq (key, lock)", "DROP INDEX django_q_ormq_by_lock",
    ))
    return pairs


class Migration(migrations.Migration):
    dependencies = [("escalations", "0001_the_record"), ("django_q", "__latest__")]
    operations = [migrations.RunSQL(forwards, backwards) for forwards, backwards in statements()]
