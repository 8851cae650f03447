"""What was settled as a file: by rights, masked, no formula, on the record, a piece at a time."""

import asyncio
import csv
import io
import json

import pytest
from django.test import AsyncClient, Client

from escalations import spreadsheet
from escalations.models import AuditEntry, Role
from reviews import export
from tests.factories import role

from .conftest import decided


def taken(client, form, **filters):
    answer = client.post("/settled/file/", {"format": form, **filters})
    assert answer.status_code == 200, answer.content
    text = b"".join(answer.streaming_content).decode()
    return [json.loads(line) for line in text.splitlines()] if form == "jsonl" else list(csv.DictReader(io.StringIO(text.removeprefix("\ufeff"))))


@pytest.mark.parametrize("form", ["csv", "jsonl"])
def test_what_was_settled_can_be_taken_away_and_the_record_says_so(page, ask, reviewer, form):
    one = decided(ask(title="Zoë’s turbine"), reviewer, reason="right")
    decided(ask(title="Other"), reviewer)

    rows = taken(page, form, q="turbine", state="approved")

    assert [(row["proposal"], row["outcome"], row["decided_by"], row["reason"], row["title"]) for row in rows] == [
        (str(one.pk), "approved", "Rosa Reviewer", "right", "Zoë’s turbine")
    ]
    entry = json.loads(AuditEntry.objects.get(action="record.exported").body)
    assert entry["actor"]["id"] == "rosa"
    assert entry["facts"] == {"format": form, "filters": {"q": "turbine", "state": "approved"}}


def test_the_file_has_all_pages_of_what_one_may_read(page, ask, reviewer, stranger, signed_in, monkeypatch):
    monkeypatch.setattr(export, "CHUNK", 2)
    monkeypatch.setattr(export, "SEARCHED", 2)
    ours = {str(decided(ask(title="Turbine"), reviewer).pk) for _ in range(5)}
    theirs = decided(ask(title="Turbine", role=role("security")), stranger)

    assert {row["proposal"] for row in taken(page, "jsonl")} == ours
    assert {row["proposal"] for row in taken(page, "csv", q="turbine")} == ours
    assert [row["proposal"] for row in taken(signed_in(stranger), "csv")] == [str(theirs.pk)]
    assert taken(page, "jsonl", q="nothing") == []


@pytest.mark.parametrize(
    "text",
    ["=1+1", "+1+1", "-1+cmd|' /C calc'!A0", "@SUM(A1)", "\t=1", "\r=1", " =1", "＝1+1", "a;=1+1", "a\n=1+1", "a\t@x", '"=1', "|calc"],
)
def test_no_cell_is_a_formula(page, ask, reviewer, text):
    decided(ask(title=text, action=text, args={"x": text}), reviewer, reason=text)

    answer = page.post("/settled/file/", {"format": "csv"})
    whole = b"".join(answer.streaming_content).decode().removeprefix("\ufeff")
    for parting in (",", ";", "\t"):
        for cells in csv.reader(io.StringIO(whole, newline=""), delimiter=parting):
            for line in cells:
                for cell in line.replace("\r", "\n").split("\n"):
                    if cell.strip("\"' \t")[:1] in tuple("=+-@|＝＋－＠"):
                        assert cell.lstrip()[:1] == "'", (parting, cell)
    assert json.loads(b"".join(page.post("/settled/file/", {"format": "jsonl"}).streaming_content))["title"] == text


def test_numbers_stay_numbers_in_a_spreadsheet():
    assert [spreadsheet.cell(one) for one in (-5, 2.5, True, None, "-5", "")] == ["-5", "2.5", "true", "", "-5", ""]


@pytest.mark.parametrize("form", ["csv", "jsonl"])
def test_the_file_masks_what_the_page_masks(ask, reviewer, page, form, signed_in):
    card, secret = "4111 1111 1111 1111", "hunter2!x"
    one = ask(title=f"Pay to {card}", args={"card": 4111111111111111, "password": secret, "note": {card: [f"use {secret}"]}})
    decided(one, reviewer, reason=f"card {card}")
    Role.objects.update(clearance=[])
    said = json.dumps(taken(page, form), ensure_ascii=False)

    assert "1111 1111" not in said and "4111111111111111" not in said and secret not in said
    assert "a payment card number ending in 1111" in said and "a password" in said

    Role.objects.filter(name="finance").update(clearance=["financial", "identity", "secret"])
    cleared = json.dumps(taken(page, form), ensure_ascii=False)
    assert card in cleared and secret in cleared


def test_what_cannot_be_seen_shows_in_the_file(page, ask, reviewer):
    decided(ask(title="Pay\u202e\u200bme"), reviewer)

    assert "U+202E" in taken(page, "csv")[0]["title"]
    raw = b"".join(page.post("/settled/file/", {"format": "jsonl"}).streaming_content).decode()
    assert "\\u202e" in raw and "\u202e" not in raw


def test_the_words_of_an_export_leave_no_secret_in_the_record(page):
    taken(page, "csv", q="4111 1111 1111 1111 turbine")

    body = AuditEntry.objects.get(action="record.exported").body
    assert "turbine" in body and "1111" not in body


def test_a_file_is_asked_for_by_a_form_and_by_who_is_signed_in(page, client):
    assert page.get("/settled/file/").status_code == 405
    assert page.post("/settled/file/", {"format": "exe"}).status_code == 400
    assert client.post("/settled/file/", {"format": "csv"}).status_code in (302, 303)
    assert Client(enforce_csrf_checks=True).post("/settled/file/", {"format": "csv"}).status_code != 200
    assert not AuditEntry.objects.filter(action="record.exported").exists()


@pytest.mark.django_db(transaction=True)
def test_a_server_that_waits_for_nobody_gets_the_file_piece_by_piece(ask, reviewer, monkeypatch):
    monkeypatch.setattr(export, "CHUNK", 2)
    for _ in range(5):
        decided(ask(), reviewer)

    async def read():
        client = AsyncClient()
        await client.aforce_login(reviewer, backend="django.contrib.auth.backends.ModelBackend")
        answer = await client.post("/settled/file/", {"format": "jsonl"})
        assert answer.is_async
        return [part async for part in answer.streaming_content]

    parts = asyncio.run(read())
    assert [part.count(b"\n") for part in parts] == [2, 2, 1]
