"""What the classifier expected when something came in: the chance that a person would approve it as proposed. Of what is decided alone.

The version that spoke for its lane's grant, else the one that was live: whose word on category and severity was written with it. What
a version said that nobody heard is nobody's expectation, and what a source says of itself is no word of ours. Before somebody has
decided nothing comes back: whoever knew it could tell an audit sample from other work.
"""

from django.db.models import Case, CharField, Exists, F, OuterRef, Subquery, When
from django.db.models.functions import Cast, Coalesce

from escalations.models import Classification, Estimate
from escalations.states import Kind

ENGINE = "learned"
OF_KINDS = (Kind.ACTION, Kind.DRAFT)

# The same for a proposal that a statement calls `recent` and knows to be decided, as `expected.approve`.
JOINED = f"""
LEFT JOIN LATERAL (
    SELECT coalesce(
        (SELECT score FROM escalations_trial WHERE proposal_id = recent.id AND grant_id IS NOT NULL),
        (SELECT estimate.approve FROM escalations_work AS work
         JOIN escalations_classification AS word ON word.work_id = work.id AND word.engine = '{ENGINE}'
         JOIN escalations_classifierversion AS version ON version.number::text = word.version
         JOIN escalations_estimate AS estimate ON estimate.work_id = work.id AND estimate.version_id = version.id
         WHERE work.proposal_id = recent.id ORDER BY work.id + 0 DESC LIMIT 1)  -- in an order that no index has, or all are walked
    ) AS approve
) AS expected ON recent.kind IN {tuple(map(str, OF_KINDS))}
"""


def expected() -> Case:
    """Return the expression that gives it for each row of a query of proposals; null where nobody decided, or nothing was said."""
    heard = Classification.objects.filter(
        work=OuterRef("work"), engine=ENGINE, version=Cast(OuterRef("version__number"), CharField())
    )
    said = Estimate.objects.filter(Exists(heard), work__proposal=OuterRef("pk"))
    of_live = said.order_by((F("work_id") + 0).desc()).values("approve")[:1]  # in an order that no index has, or all are walked
    pinned = Case(When(trial__grant__isnull=False, then=F("trial__score")))
    return Case(When(decision__isnull=False, kind__in=OF_KINDS, then=Coalesce(pinned, Subquery(of_live))))
