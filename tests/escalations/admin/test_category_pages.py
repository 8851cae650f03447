"""What an administrator tells the reviewers of a category, and what a new database tells them already."""

import json

import pytest
from django.urls import reverse

from escalations import defaults
from escalations.guidance import GUIDANCE
from escalations.models import AuditEntry, Category

pytestmark = pytest.mark.django_db


def test_every_default_category_has_guidance_and_reasons_a_reviewer_may_pick():
    assert set(GUIDANCE) == set(defaults.CATEGORIES)
    for name, told in GUIDANCE.items():
        assert 60 < len(told.text) < 400, name
        assert 2 <= len(told.reasons) <= 6 and all(0 < len(reason) <= 120 for reason in told.reasons), name


def test_installing_tells_new_categories_and_leaves_those_that_were_emptied():
    refund = Category.objects.get(name="refund")
    assert refund.guidance == GUIDANCE["refund"].text and refund.reject_reasons == list(GUIDANCE["refund"].reasons)
    Category.objects.filter(pk=refund.pk).update(guidance="", reject_reasons=[])
    Category.objects.filter(name="other").delete()

    defaults.install()

    refund.refresh_from_db()
    assert refund.guidance == "" and refund.reject_reasons == []
    assert Category.objects.get(name="other").guidance == GUIDANCE["other"].text


def test_guidance_and_reasons_are_edited_one_on_each_line_and_audited(admin):
    category = Category.objects.get(name="refund")
    page = reverse("admin:escalations_category_change", args=[category.pk])
    form = {"description": category.description, "role": category.role_id, "guidance": "At most what was paid.",
            "reject_reasons": "Refunded before, twice\r\n\r\n  Not theirs \r\nNot theirs\r\n"}  # fmt: skip

    assert "Refunded before" not in admin.get(page).content.decode()
    assert admin.post(page, form).status_code == 302

    category.refresh_from_db()
    assert (category.guidance, category.reject_reasons) == ("At most what was paid.", ["Refunded before, twice", "Not theirs"])
    entry = AuditEntry.objects.filter(action="category.saved").order_by("-id").first()
    assert set(json.loads(entry.body)["facts"]["changed"]) == {"guidance", "reject_reasons"}


@pytest.mark.parametrize("reasons", ["x" * 121, "\n".join(f"reason {number}" for number in range(13)), "a\0b"])
def test_reasons_that_are_too_long_or_too_many_are_refused(admin, reasons):
    category = Category.objects.get(name="refund")
    page = reverse("admin:escalations_category_change", args=[category.pk])

    answer = admin.post(page, {"description": "d", "role": category.role_id, "guidance": "", "reject_reasons": reasons})

    assert answer.status_code == 200 and "errorlist" in answer.content.decode()
    category.refresh_from_db()
    assert category.reject_reasons == list(GUIDANCE["refund"].reasons)
