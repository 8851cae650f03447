"""Signing in and out, and pages for when something is not there."""

import re
from pathlib import Path

import pytest
from django.conf import settings

from tests.factories import PersonFactory

ROOT = Path(settings.BASE_DIR)


def test_signing_in_leads_where_one_wanted_to_go(client, db):
    PersonFactory(username="rosa", password="correct horse battery")

    shown = client.get("/login/?next=/settled/")
    wrong = client.post("/login/", {"username": "rosa", "password": "no", "next": "/settled/"})
    right = client.post("/login/", {"username": "rosa", "password": "correct horse battery", "next": "/settled/"})

    assert 'name="next" value="/settled/"' in shown.content.decode()
    assert wrong.status_code == 422 and 'value="rosa"' in wrong.content.decode()
    assert right["Location"] == "/settled/"


def test_signing_in_leads_nowhere_else(client, db):
    PersonFactory(username="rosa", password="correct horse battery")

    answer = client.post("/login/", {"username": "rosa", "password": "correct horse battery", "next": "https://evil.example/"})

    assert answer["Location"] == "/"


def test_signing_out_is_a_post(page):
    assert page.get("/logout/").status_code == 405
    assert page.post("/logout/").status_code == 302
    assert page.get("/").status_code == 302


def test_too_many_wrong_passwords_lock_with_a_page_that_says_so(client, db, settings):
    settings.AXES_ENABLED = True
    PersonFactory(username="rosa", password="correct horse battery")

    for _ in range(settings.AXES_FAILURE_LIMIT + 1):
        answer = client.post("/login/", {"username": "rosa", "password": "no"})

    assert answer.status_code == 429
    assert "Too many tries" in answer.content.decode()


def test_what_is_not_there_is_a_page(page):
    answer = page.get("/nowhere/")

    assert answer.status_code == 404
    assert "There is nothing here" in answer.content.decode()


@pytest.mark.parametrize("url", ["/", "/settled/", "/tokens/", "/login/"])
def test_pages_carry_a_strict_policy_and_nothing_inline(page, client, url):
    answer = (client if url == "/login/" else page).get(url)

    text, policy = answer.content.decode(), answer["Content-Security-Policy"]
    assert "unsafe" not in policy and "default-src 'none'" in policy
    assert not re.search(r"<script(?![^>]*\bsrc=)|<style|\sstyle=|\son[a-z]+=|javascript:", text)
    assert not re.search(r'(src|href)="(https?:)?//', text)


def test_every_script_is_short():
    for path in (ROOT / "static" / "js").glob("*.js"):
        assert len(path.read_text().splitlines()) <= 80, path.name


def test_only_furniture_is_swapped_out_of_band():
    base = "".join((ROOT / "templates" / name).read_text() for name in ("base.html", "components/top.html"))
    templates = [path.read_text() for path in (ROOT / "templates").rglob("*.html")]
    swapped = {found for text in templates for found in re.findall(r'id="([^"]+)"[^>]*hx-swap-oob', text)}

    assert swapped <= {"flash", "inbox-count", "live-clock"}
    assert all(f'id="{one}"' in base or one == "live-clock" for one in swapped)
