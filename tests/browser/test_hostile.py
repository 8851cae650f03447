"""Hostile text in a real browser: nothing runs, nothing is fetched, nothing breaks out of the page's width, all can be read."""

import re

import pytest

from escalations import lifecycle
from tests.factories import SourceFactory
from tests.reviews.hostile import cleared, filled, payloads, readable

from .test_look import SIDEWAYS

NASTY = re.compile(r"<script|onerror|onload|javascript:|<svg|<iframe|<style|srcdoc|<base|<meta|expression\(|[\u202a-\u202e\u2066-\u2069]", re.I)
BIG = 400  # payloads in one proposal
VIOLATED = "addEventListener('securitypolicyviolation', (event) => console.error('CSP: ' + event.blockedURI + event.violatedDirective))"


@pytest.fixture
def look(open_browser, server, reviewer):
    """Return how to look at an address, on a desk and on a phone: what is wrong there, and the text of the page."""
    page = open_browser(reviewer)
    page.set_default_timeout(60_000)  # pages as large as these are nobody's but ours
    page.add_init_script(VIOLATED)
    elsewhere = []
    page.on("request", lambda one: None if one.url.startswith((server.url, "data:image/")) else elsewhere.append(one.url))

    def at(url):
        page.set_viewport_size({"width": 1280, "height": 900})
        page.goto(url)
        text = " ".join(page.locator("main").text_content().split())
        wrong = [*elsewhere, *page.evaluate(SIDEWAYS)]
        page.set_viewport_size({"width": 390, "height": 844})
        return wrong + page.evaluate(SIDEWAYS), text

    return at


def test_the_nastiest_in_a_full_inbox_are_only_text(look, ask):
    nastiest = sorted((one for one in payloads() if NASTY.search(one)), key=len)
    for text in nastiest[:: len(nastiest) // 39]:
        ask(role=cleared(), title=text[:500], incident_title=text[:500], action=text[:200], args={text[:80]: text})

    wrong, text = look("/")

    assert text.count("Claim") >= 40
    assert not wrong


def test_every_payload_on_big_pages_is_only_text(look, ask, reviewer):
    every = sorted(payloads(), key=len)
    source = SourceFactory(name="mallory")
    # The last one is a hundred thousand opening brackets. It stands alone: beside a word of Arabic, in forty fields, the browser itself
    # pairs them for a minute, whatever the page's style.
    for at, texts in enumerate([*(every[at : min(at + BIG, 3123)] for at in range(0, 3123, BIG)), every[3123:]]):
        proposal = filled(ask, texts, reviewer, short=True, role=cleared(), source=source, incident_fingerprint=f"big {at}")
        for url in (f"/proposals/{proposal.pk}/", f"/incidents/{proposal.incident_id}/", f"/groups/?source=mallory&fingerprint=big+{at}"):
            wrong, text = look(url)
            assert not wrong, (url, wrong)
            if "groups" not in url:
                unread = [one for one in map(readable, texts) if one not in text]
                assert not unread, (url, unread[:3])
        lifecycle.decide(
            proposal.pk, person=reviewer, type="reject", digest=proposal.args_digest, version=proposal.version,
            reason="\n".join(texts)[:4000],
        )  # fmt: skip

    for url in ("/settled/", f"/proposals/{proposal.pk}/"):
        wrong, _ = look(url)
        assert not wrong, (url, wrong)
