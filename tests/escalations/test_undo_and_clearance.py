"""What administrators say of taking back and of masked values: checked, audited, and there from the start."""

import pytest

from escalations import audit, policies
from escalations.errors import Invalid
from escalations.models import AuditEntry, EscalationPolicy, Role

pytestmark = pytest.mark.django_db


@pytest.mark.parametrize("seconds", [-1, 301])
def test_a_signature_can_be_taken_back_for_five_minutes_at_most(seconds):
    policy = EscalationPolicy.objects.get(is_default=True)
    policy.undo_seconds = seconds
    with pytest.raises(Invalid, match="undo_seconds"):
        policies.check_policy(policy, [])


def test_the_seconds_to_undo_and_clearance_are_audited():
    policy = EscalationPolicy.objects.get(is_default=True)
    policy.undo_seconds = 20
    steps = [policies.Step(one.role, one.after, one.repeat) for one in policy.steps.all()]
    policies.save_policy(policy, steps=steps, actor=audit.SYSTEM)
    support = Role.objects.get(name="support")
    support.clearance = ["secret", "financial", "secret"]
    policies.save_role(support, actor=audit.SYSTEM)

    assert '"undo_seconds":{"new":20,"old":0}' in AuditEntry.objects.get(action="policy.saved").body
    assert '"clearance":{"new":["financial","secret"],"old":[]}' in AuditEntry.objects.get(action="role.saved").body
    support.clearance = ["everything"]
    with pytest.raises(Invalid, match="clearance"):
        policies.save_role(support, actor=audit.SYSTEM)


def test_roles_start_with_the_clearance_their_work_needs():
    cleared = {role.name: role.clearance for role in Role.objects.all() if role.clearance}
    assert cleared == {
        "finance": ["financial"], "specialist": ["financial", "identity", "secret"], "security": ["identity", "secret"],
        "manager": ["financial", "identity"],
    }
