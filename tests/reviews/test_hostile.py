"""Whatever stands in an incident, every page shows it as text, with what cannot be seen made visible."""

import re
from html.parser import HTMLParser

import pytest

from escalations.models import Classification, ContextItem, Decision
from tests.factories import SourceFactory, WorkFactory

from .conftest import signature

PAYLOADS = [
    "<script>alert(1)</script>",
    '"><img src=x onerror=alert(1)>',
    "' onmouseover='alert(1)",
    "</textarea><script>alert(1)</script>",
    "</title></style><svg/onload=alert(1)>",
    "{{ 7|add:7 }}{% debug %}",
    "javascript:alert(1)",
    "<!--<img src=x>-->",
    "&lt;script&gt;alert(1)&lt;/script&gt;",
    "pay \u202e001$\u202c now\u200b\u2066x\u2069",
    "\U000e0069\U000e0067\U000e006e\U000e006f\U000e0072\U000e0065 hidden tag",
    "W" * 5_000,
    "\r\n\r\n<b>HTTP/1.1 200</b>",
]
HIDDEN = re.compile("[\u202a-\u202e\u2066-\u2069\U000e0001-\U000e007f]")
LOADS = {"img", "svg", "iframe", "object", "embed", "style", "video", "audio", "base", "math"}


class Reader(HTMLParser):
    """What a browser would make of a page: everything that could run, load or reorder what is read."""

    def __init__(self, page):
        super().__init__()
        self.bad, self.inside = [], []
        self.feed(page)
        self.close()

    def handle_starttag(self, tag, attrs):
        facts = dict(attrs)
        if tag not in ("meta", "link", "input", "br", "hr"):
            self.inside.append(tag)
        if tag in LOADS or (tag == "script" and not facts.get("src", "").startswith("/static/")):
            self.bad.append((tag, attrs))
        self.bad += [(tag, name) for name in facts if name.startswith("on") or name in ("style", "hx-on", "srcdoc")]
        self.bad += [
            (tag, facts[name])
            for name in ("href", "src", "action", "hx-get", "hx-post")
            if name in facts and not re.match(r"(/|#|https://ok\.example/)(?!/)", facts[name])
        ]

    def handle_endtag(self, tag):
        if tag in self.inside:
            while self.inside.pop() != tag:
                pass

    def handle_data(self, data):
        # In a field a hidden character is only data, to be edited; in text it is a token.
        if HIDDEN.search(data) and "textarea" not in self.inside:
            self.bad.append(("hidden", ascii(data)))


def filled(ask, text):
    """Return a proposal with this text everywhere a source can put text."""
    source = SourceFactory()
    context = {
        "request": text,
        "summary": text,
        "why": text,
        "other": {text[:40]: text},
        "messages": [{"role": text, "content": text}, text],
        "attempts": [{"tool": text, "arguments": {text[:40]: text}, "result": text, "error": text, "at": text}, text],
        "links": [{"label": text, "url": text}, {"label": text, "url": f"https://ok.example/?{text[:100]}"}, text],
    }
    proposal = ask(
        source=source,
        risk="high",
        action=text[:200],
        args={text[:60]: text, "nested": [{"deep": text}]},
        description=text,
        draft={"to": text, "subject": text, "body": text, "format": "text"},
        claims={"impact": text, "confidence": 0.3},
        triggers=[{"name": "sensitive_data", "why": text, "where": text}],
        rules=[{"name": text[:100], "floor": "review", "why": text, "error": text}],
        incident_title=text[:500],
        incident_body=text,
        incident_context=context,
        incident_fingerprint=text[:200],
        incident_payload={"any": text},
        incident_customer={"id": text},
        incident_on_behalf_of=text[:200],
        incident_session=text[:200],
        incident_external_id=text[:200],
        incident_environment=text[:60],
    )
    Classification.objects.create(
        incident=proposal.incident,
        work=WorkFactory(incident=proposal.incident),
        engine="llm",
        severity="info",
        category=text[:80],
        rationale=text,
    )
    ContextItem.objects.create(incident=proposal.incident, context=context)
    return proposal


@pytest.mark.parametrize("text", PAYLOADS, ids=lambda text: ascii(text)[:24])
def test_every_text_field_is_inert_on_every_page(page, ask, text):
    proposal = filled(ask, text)
    ask(source=proposal.source, incident_fingerprint=text[:200])

    urls = ["/", f"/proposals/{proposal.pk}/", f"/incidents/{proposal.incident_id}/"]
    answers = [page.get(url) for url in urls]
    answers.append(page.get("/groups/", {"source": proposal.source.name, "fingerprint": text[:200]}))
    answers.append(
        page.post(urls[1], signature(proposal, type="edit", to=text, subject=text, text=text, reason=text, message=text, args=text))
    )
    answers.append(page.post(urls[1], signature(proposal, type="reject", reason=text)))
    assert answers[-1].status_code == 303, answers[-1].content.decode()
    answers += [
        page.get("/settled/"),
        page.get(urls[1]),
        page.get(urls[2]),
        page.post(urls[1], signature(proposal, type="reject", reason=text)),
    ]

    for answer in answers:
        assert answer.status_code in (200, 303, 409, 422)
        assert not Reader(answer.content.decode()).bad
    assert Decision.objects.count() == 1


def test_the_invisible_is_named(page, ask):
    proposal = ask(args={"to": "acc\u200bount \u202egnp.exe"})

    text = page.get(f"/proposals/{proposal.pk}/").content.decode()

    assert "U+202E RIGHT-TO-LEFT OVERRIDE" in text and "U+200B ZERO WIDTH SPACE" in text
    assert "Characters that cannot be seen" in text


@pytest.mark.parametrize(
    "url",
    ["javascript:alert(1)", "data:text/html,x", "//evil.example", "ftp://x.example", "https://user@evil.example", "https://[bad"],
)
def test_only_web_addresses_become_links(page, ask, url):
    proposal = ask(incident_context={"links": [{"label": "look", "url": url}]})

    text = page.get(f"/proposals/{proposal.pk}/").content.decode()

    assert "(not a web address)" in text
    assert 'target="_blank"' not in text


def test_a_web_address_names_its_host_and_gives_nothing_away(page, ask):
    proposal = ask(incident_context={"links": [{"label": "our bank", "url": "https://evil.example/bank"}]})

    text = page.get(f"/proposals/{proposal.pk}/").content.decode()

    assert 'rel="noopener noreferrer nofollow"' in text and "leads to <b>evil.example</b>" in text


@pytest.mark.parametrize(
    "page",
    ["<img src=x>", "<p onclick=x>", "<a href='javascript:x'>", "<p>\u202e</p>", "<script>x</script>", "<a href='//evil.example'>"],
)
def test_the_reader_sees_what_is_bad(page):
    assert Reader(page).bad
