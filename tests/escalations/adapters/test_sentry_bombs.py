"""What a stranger, or whoever found a DSN in a page, may cost by what they send to Sentry's addresses."""

import gzip
import zlib

import pytest
from django.test import Client

from escalations import audit, clock, policies
from escalations.adapters.sentry import envelope, salvage, wire
from escalations.models import Incident
from tests.escalations.api.speaking import Speaker, key_for
from tests.factories import SourceFactory

pytestmark = pytest.mark.django_db


def test_nothing_is_unpacked_for_a_stranger(monkeypatch):
    unpacked = []
    monkeypatch.setattr(salvage, "read", lambda raw: unpacked.append(len(raw)))
    lines = b"{}\n" + b'{"type":"event"}\n{"message":"x"}\n' * 5

    for head in (b"", b'{"dsn":"http://cs_live_no_no@host/1"}'):
        answer = Client().post("/api/1/envelope/", head + lines, content_type="application/x-sentry-envelope")
        assert answer.status_code == 401
    assert unpacked == []


def test_what_comes_out_between_two_encodings_has_an_end_too(monkeypatch):
    read = []
    machine_for = wire._machine_for

    class Counting:
        def __init__(self, machine):
            self.machine = machine

        def decompress(self, piece, most):
            read.append(len(piece))
            return self.machine.decompress(piece, most)

        def __getattr__(self, name):
            return getattr(self.machine, name)

    monkeypatch.setattr(wire, "_machine_for", lambda piece: (found := machine_for(piece)) and Counting(found))
    raw = zlib.compressobj(wbits=-15)
    nothing = raw.compress(b"") + raw.flush(zlib.Z_SYNC_FLUSH)  # blocks that hold nothing
    bomb = gzip.compress(nothing * (8 * 1024 * 1024 // len(nothing)))

    assert b"".join(wire.pieces(bomb, "deflate, gzip", 1024)) == b""
    assert sum(read) < 2 * 1024 * 1024


def test_a_thousand_broken_lines_cost_no_more_than_a_few(monkeypatch):
    looked = []
    monkeypatch.setattr(salvage, "read", lambda raw: looked.append(raw))

    found = envelope.opened([b"{}\n", b"[[,,,,\n" * 5_000])

    assert found.events == [] and len(looked) <= envelope.LOST


def test_whoever_finds_a_dsn_cannot_keep_the_agents_of_its_source_from_asking():
    source = SourceFactory(requests_per_minute=60)  # ten in a window
    dsn = policies.issue_dsn(source, env="live", actor=audit.SYSTEM).partition("://")[2].partition("@")[0]
    many = b"{}\n" + b'{"type":"event"}\n{"message":"x"}\n' * 15
    with clock.frozen_at(clock.now()):
        flood = Client().post(f"/api/{source.pk}/envelope/?sentry_key={dsn}", many, content_type="application/x-sentry-envelope")
        one = Client().post(f"/api/{source.pk}/envelope/?sentry_key={dsn}", b"{}\n", content_type="application/x-sentry-envelope")
        asks = Speaker(key_for(source), source=source).post("/incidents", {"kind": "question", "title": "May I?"})

    assert (flood.status_code, one.status_code, asks.status_code) == (429, 429, 201)


@pytest.mark.parametrize("around", [lambda deep: deep, lambda deep: {"message": "x", "extra": deep}])
def test_what_can_just_be_read_and_no_more_be_written_is_kept_all_the_same(monkeypatch, around):
    deep = []
    for _ in range(50_000):
        deep = [deep]
    monkeypatch.setattr(salvage, "read", lambda raw: around(deep))
    source = SourceFactory()

    answer = Client().post(f"/api/{source.pk}/store/?sentry_key={key_for(source)}", b"[", content_type="application/json")

    assert answer.status_code == 200 and Incident.objects.count() == 1
