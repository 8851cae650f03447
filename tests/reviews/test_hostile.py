"""Whatever stands in an incident, every page shows it as text, with what cannot be seen made visible."""

import csv
import io
import json
import re

import pytest
from django.db import connection

from escalations import lifecycle, notify, outbox
from escalations.models import Decision
from tests.factories import SourceFactory

from .conftest import signature
from .hostile import INVISIBLE, Reader, cleared, filled, payloads, readable

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

@pytest.mark.parametrize("text", PAYLOADS, ids=lambda text: ascii(text)[:24])
def test_every_text_field_is_inert_on_every_page(page, reviewer, ask, text):
    proposal = filled(ask, [text], reviewer, short=True)
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
        reader = Reader(answer.content.decode())
        assert not reader.bad, (answer.wsgi_request.get_full_path(), reader.bad)
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


BATCH = 160  # payloads in one incident
SHORT = {
    "escalations_incident": ("title", "fingerprint", "external_id", "environment", "on_behalf_of", "session"),
    "escalations_proposal": ("title", "action", "category"),
    "escalations_classification": ("category",),
    "escalations_decision": ("action",),
}

# What only hostile text brings forth, and may.
OFTEN = {("mark", ("class",)), ("details", ("class",)), ("summary", ())}
# Indexes take no value of any length.
INDEXES_ON = """
SELECT DISTINCT pg_index.indexrelid::regclass::text FROM pg_index
JOIN pg_attribute ON pg_attribute.attrelid = pg_index.indexrelid
WHERE pg_index.indrelid = %s::regclass AND pg_attribute.attname = ANY(%s)
"""


@pytest.fixture
def endless_columns(db):
    """Let short columns hold any length while this test runs, so that each of them can hold each payload; rolled back with it."""
    with connection.cursor() as cursor:
        for table, columns in SHORT.items():
            cursor.execute(INDEXES_ON, [table, list(columns)])
            for (index,) in cursor.fetchall():
                cursor.execute(f"DROP INDEX {index}")
            cursor.execute(f"ALTER TABLE {table} {', '.join(f'ALTER COLUMN {one} TYPE text' for one in columns)}")


def batches(texts):
    by_length = sorted(texts, key=len)
    return [by_length[at : at + BATCH] for at in range(0, len(by_length) - 1, BATCH)] + [[by_length[-1]]]


def answers_about(page, reviewer, ask, texts, again=True):
    """Return every page and every mail that shows these texts, before it is decided and after."""
    source = SourceFactory()
    # One of a hundred thousand characters never stands in a short column: ingest refuses it there.
    proposal = filled(ask, texts, reviewer, role=cleared(), source=source, short=len(texts) == 1)
    item, story = f"/proposals/{proposal.pk}/", f"/incidents/{proposal.incident_id}/"
    answers = {url: page.get(url) for url in ("/", item)}
    answers["group"] = page.get("/groups/", {"source": source.name, "fingerprint": proposal.incident.fingerprint})
    answers["mail"] = [notify.message(one) for one in outbox.open_notice("escalated", proposal=proposal, role=cleared(), step=1)]
    lifecycle.decide(
        proposal.pk, person=reviewer, type="reject", digest=proposal.args_digest, version=proposal.version, reason="\n".join(texts)
    )
    # A story says on whose behalf too, and looks nobody up for it.
    behalf = ask(role=cleared(), source=source, incident_on_behalf_of="\n".join(texts)[: 255 if len(texts) == 1 else None])
    answers["whose"] = page.get(f"/incidents/{behalf.incident_id}/")
    answers |= {f"then {url}": page.get(url) for url in ("/settled/", story, *([item] if again else []))}
    return answers


def wrong_with(answers, texts, allowed):
    """Return what is wrong: what is no text, what only these texts brought forth, what of them cannot be read."""
    wrong = []
    for where, answer in answers.items():
        if where == "mail":
            continue
        reader = Reader(answer.content.decode())
        wrong += [(where, one) for one in reader.bad]
        wrong += [(where, answer.status_code)] if answer.status_code != 200 else []
        wrong += [(where, "unexpected", shape) for shape in set(reader.shapes) - allowed]
        if "proposals" in where or "incidents" in where or where == "whose" and len(texts) > 1:
            said = reader.said
            wrong += [(where, "unread", ascii(text)[:120]) for text in map(readable, texts) if text not in said]
    return wrong


def shapes_of(answers):
    pages = [answer for where, answer in answers.items() if where != "mail"]
    return {shape for answer in pages for shape in Reader(answer.content.decode()).shapes}


def taken_away(page, form):
    csv.field_size_limit(10_000_000)
    answer = page.post("/settled/file/", {"format": form})
    assert answer.status_code == 200
    return b"".join(answer.streaming_content).decode()


PARTS = 4
# What a spreadsheet would take for a formula and run.
FORMULA = re.compile(r"[\s\"]*[=+@|\-\uff1d\uff0b\uff0d\uff20]")
NUMBER = re.compile(r"-?[\d.]+")


@pytest.mark.parametrize("part", range(PARTS))
def test_every_payload_in_every_text_field_is_only_text_on_every_page(page, reviewer, ask, endless_columns, part):
    mine = batches(payloads())[part::PARTS]
    tame = [f"calm {at} https://ok.example/{at}" for at in range(20)]
    calm = [answers_about(page, reviewer, ask, texts) for texts in (tame, ["calm" * 1_000])]
    allowed = OFTEN.union(*map(shapes_of, calm))

    letters = 0
    for at, hostile in enumerate(mine):
        answers = answers_about(page, reviewer, ask, hostile, again=at % 3 == 0)
        wrong = wrong_with(answers, hostile, allowed)
        assert not wrong, "\n".join(map(str, wrong[:20]))
        for subject, body in answers["mail"]:
            letters += 1
            assert len(subject.splitlines()) == 1 and len(subject) < 400
            assert "://" not in body.replace("http://testserver/", "") and not INVISIBLE.search(body), body

    assert letters == len(mine) > 0
    rows = list(csv.reader(io.StringIO(taken_away(page, "csv"), newline="")))
    assert len(rows) > len(mine) and len({len(row) for row in rows}) == 1
    assert not [ascii(cell)[:80] for row in rows for cell in row if FORMULA.match(cell) and not NUMBER.fullmatch(cell)]
    lines = [json.loads(line) for line in taken_away(page, "jsonl").split("\n") if line]
    assert len(lines) == len(rows) - 1
    assert {line["reason"].strip() for line in lines} >= {"\n".join(hostile).strip() for hostile in mine}
