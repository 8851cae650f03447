"""Hostile text, put everywhere an incident can hold text, and a reader that says what a browser would make of the page."""

import base64
import gzip
import json
import re
from collections import Counter
from html.parser import HTMLParser
from pathlib import Path

import pytest

from escalations.floors import text as floor
from escalations.models import Classification, Comment, ContextItem, Question, Role
from escalations.states import Sensitive
from tests.factories import WorkFactory

DATA = Path(__file__).resolve().parents[3] / "shared" / "data" / "hostile_payloads.jsonl.gz"
# Attributes that lead somewhere or fetch something.
ADDRESSES = {"href", "src", "srcset", "action", "formaction", "hx-get", "hx-post", "poster", "data", "cite", "background", "xlink:href"}
OURS = re.compile(r"/(?!/)|#|\?|$")
OUTSIDE = re.compile(r"https?://[^\s@]+$")
VOID = {"meta", "link", "input", "br", "hr", "img", "wbr", "col", "area", "base", "embed", "source", "track"}
# What no eye sees, or what reorders what an eye sees. Not the product's own list: a second opinion.
INVISIBLE = re.compile(
    "[\x00-\x08\x0b\x0c\x0e-\x1f\x7f-\x9f\xad\u061c\u200b\u200e\u200f\u2028-\u202e\u2060-\u206f\ufeff\U000e0000-\U000e0fff]"
)
READ_ALOUD = ("aria-label", "title", "alt", "aria-description", "placeholder")


def payloads() -> list[str]:
    """Return the 3,124 payloads as ingest would store them: what is no UTF-8, and NUL, becomes U+FFFD. Skips where they are absent."""
    if not DATA.exists():
        pytest.skip(f"NOT CHECKED against the hostile payloads: {DATA} is not there.")
    with gzip.open(DATA, "rt", encoding="utf-8") as lines:
        found = [base64.b64decode(json.loads(line)["payload_b64"]).decode("utf-8", "replace") for line in lines]
    assert len(found) == 3124
    return [one.replace("\0", "\ufffd") for one in found]


def readable(text: str) -> str:
    """Return what a person must be able to read of a text: everything, with the hidden written out, its white space folded."""
    return " ".join("".join(piece for _, piece in floor.tokens(text)).split())


class Reader(HTMLParser):
    """What a browser would make of a page: what could run, load or reorder what is read, and all that is said."""

    def __init__(self, page: str):
        super().__init__(convert_charrefs=True)
        self.bad: list = []
        self.shapes: Counter = Counter()  # (element, names of its attributes)
        self.inside: list[str] = []
        self._said: list[str] = []
        self.feed(page)
        self.close()
        if self.inside:
            self.bad.append(("never closed", self.inside))

    @property
    def said(self) -> str:
        return " ".join("".join(self._said).split())

    def handle_starttag(self, tag, attrs):
        facts = dict(attrs)
        self.shapes[tag, tuple(sorted(facts))] += 1
        if tag not in VOID:
            self.inside.append(tag)
        if len(facts) != len(attrs):
            self.bad.append((tag, "an attribute twice"))
        if tag == "script" and not (facts.get("src") or "").startswith("/static/"):
            self.bad.append((tag, attrs))
        self.bad += [(tag, name) for name in facts if name.startswith("on") or name in ("style", "srcdoc", "hx-on", "ping")]
        for name in ADDRESSES & set(facts):
            url = facts[name] or ""
            # The only way out is a link that says where it leads and gives nothing away.
            leaves = tag == "a" and name == "href" and "noopener" in (facts.get("rel") or "") and OUTSIDE.match(url)
            if not OURS.match(url) and not leaves:
                self.bad.append((tag, name, url))
        self.bad += [(tag, name, ascii(facts[name])) for name in READ_ALOUD if INVISIBLE.search(facts.get(name) or "")]

    def handle_endtag(self, tag):
        if tag in VOID:
            return
        if not self.inside or self.inside.pop() != tag:
            self.bad.append(("closed and never opened", tag))

    def handle_comment(self, data):
        self.bad.append(("comment", data))

    def handle_pi(self, data):
        self.bad.append(("instruction", data))

    def unknown_decl(self, data):
        self.bad.append(("declaration", data))

    def handle_data(self, data):
        self._said.append(data)
        # In a field a hidden character is only data, to be edited; in text it is a token.
        if "textarea" not in self.inside and "option" not in self.inside and INVISIBLE.search(data):
            self.bad.append(("hidden", " > ".join(self.inside[-3:]), ascii(data)[:200]))


def cleared(name: str = "finance") -> Role:
    """Return the role with clearance for everything: what is masked cannot be looked for."""
    role, _ = Role.objects.get_or_create(name=name)
    role.clearance = list(Sensitive.values)
    role.save()
    return role


def filled(ask, texts, person, *, short=None, **facts):
    """Return a proposal with these texts everywhere a source, a model or a colleague can put text.

    Each stands alone where there can be many, and all together, a line each, where there is one; `short` cuts those to a column.
    """
    whole = "\n".join(texts)

    def one(longest):
        return whole[: longest if short else None]

    keyed = {f"{text[:300]} {at}": text for at, text in enumerate(texts)}
    context = {
        "request": whole,
        "summary": whole,
        "why": whole,
        "other": keyed,
        "messages": [*({"role": text, "content": text} for text in texts), whole],
        "attempts": [*({"tool": text, "arguments": {text: text}, "result": text, "error": text, "at": text} for text in texts), whole],
        "links": [*({"label": text, "url": text} for text in texts), {"label": whole, "url": "https://ok.example/"}],
    }
    proposal = ask(
        **{
            "risk": "high",
            "action": one(200),
            "args": {"each": texts, "nested": [keyed], **({texts[0][:60]: whole} if texts else {})},
            "description": whole,
            "draft": {"to": whole, "subject": whole, "body": whole, "format": "text"},
            "claims": {"impact": whole, "confidence": 0.3},
            "category": one(80),
            "triggers": [{"name": "sensitive_data", "why": text, "where": text} for text in texts],
            "rules": [{"name": text, "floor": "review", "why": text, "error": text} for text in texts],
            "title": one(500),
            "incident_title": one(500),
            "incident_body": whole,
            "incident_context": context,
            "incident_fingerprint": one(200),
            "incident_payload": {"any": texts, **keyed},
            "incident_customer": {"id": whole, **keyed},
            "incident_on_behalf_of": whole[:255],  # as long as it can be: who it names is looked up, which may cost by its length
            "incident_session": one(200),
            "incident_external_id": one(200),
            "incident_environment": one(60),
            **facts,
        }
    )
    Classification.objects.create(
        incident=proposal.incident, work=WorkFactory(incident=proposal.incident), engine="llm", severity="info", category=one(80),
        rationale=whole,
    )  # fmt: skip
    # The same template draws what was added later.
    ContextItem.objects.create(incident=proposal.incident, context={"request": whole, "links": [{"label": whole, "url": whole}]})
    Question.objects.create(incident=proposal.incident, person=person, text=whole)
    Comment.objects.create(proposal=proposal, person=person, text=whole)
    return proposal
