"""What an SDK sends arrives, however it was squeezed, cut, mismeasured or broken; and nothing that was sent costs more than agreed."""

import base64
import gzip
import itertools
import json
import tracemalloc
import zlib

import brotli
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from escalations.adapters.sentry import envelope, salvage, wire

EVENT = {"event_id": "a" * 32, "message": "it broke", "level": "error"}
BODY = b"\n".join([
    json.dumps({"event_id": "a" * 32}).encode(), json.dumps({"type": "event", "length": len(json.dumps(EVENT))}).encode(),
    json.dumps(EVENT).encode(), b"",
])


def opened(body, encoding=""):
    return envelope.opened(wire.pieces(body, encoding))


def deflated(body, bits):
    machine = zlib.compressobj(wbits=bits)
    return machine.compress(body) + machine.flush()


@pytest.mark.parametrize(("body", "encoding"), [
    (BODY, ""),
    (BODY, "identity"),
    (gzip.compress(BODY), "gzip"),
    (gzip.compress(BODY), "x-gzip"),
    (gzip.compress(BODY), ""),  # nobody said so
    (brotli.compress(BODY), "br"),
    (deflated(BODY, 15), "deflate"),
    (deflated(BODY, -15), "deflate"),
    (brotli.compress(gzip.compress(BODY)), "gzip, br"),
    (BODY, "gzip"),  # a proxy undid it and left the header
    (BODY, "br"),
    (BODY, "deflate"),
    (BODY, "zstd"),
], ids=(str(number) for number in itertools.count()))
def test_a_body_is_read_however_it_was_squeezed(body, encoding):
    assert opened(body, encoding).events == [EVENT]


@given(st.binary(max_size=200), st.sampled_from([1, 255, 1000, 3000]), st.sampled_from([
    (gzip.compress, "gzip"), (zlib.compress, "deflate"), (lambda raw: brotli.compress(raw, quality=4), "br"), (brotli.compress, "br"),
]))
@settings(max_examples=100, deadline=None)
def test_every_byte_comes_out_again(seed, times, way):
    """Longer than a piece, and as well squeezed as can be: what is left inside the machine must not be forgotten."""
    squeeze, encoding = way
    raw = (seed * times + b"x" * 66_000) * 2 + seed

    assert b"".join(wire.pieces(squeeze(raw), encoding)) == raw


@pytest.mark.parametrize(("squeeze", "encoding"), [(gzip.compress, "gzip"), (brotli.compress, "br"), (zlib.compress, "deflate")])
def test_what_was_cut_off_on_its_way_is_read_as_far_as_it_came(squeeze, encoding):
    many = json.dumps({**EVENT, "extra": {str(number): f"{number * 7919:x}" for number in range(20_000)}}).encode()
    body = squeeze(b'{}\n{"type":"event"}\n' + many)

    [event] = opened(body[: len(body) // 2], encoding).events

    assert event["message"] == "it broke"


@pytest.mark.parametrize(("squeeze", "encoding"), [(gzip.compress, "gzip"), (brotli.compress, "br"), (zlib.compress, "deflate")])
def test_a_small_body_that_becomes_a_huge_one_is_never_held_whole(squeeze, encoding):
    bomb = squeeze(b'{}\n{"type":"attachment"}\n' + b"x" * (150 * 1024 * 1024))
    assert len(bomb) < 1024 * 1024

    tracemalloc.start()
    passed = sum(len(piece) for piece in wire.pieces(bomb, encoding))
    opened(bomb, encoding)
    most = tracemalloc.get_traced_memory()[1]
    tracemalloc.stop()

    assert passed == wire.MOST
    assert most < 8 * 1024 * 1024


def test_a_bomb_that_says_it_is_an_event_is_kept_to_its_beginning():
    bomb = gzip.compress(b'{}\n{"type":"event"}\n{"message":"it broke","extra":"' + b"x" * (100 * 1024 * 1024) + b'"}')

    tracemalloc.start()
    [event] = opened(bomb, "gzip").events
    most = tracemalloc.get_traced_memory()[1]
    tracemalloc.stop()

    assert event["message"] == "it broke" and len(event["extra"]) <= salvage.LONGEST
    assert most < 24 * 1024 * 1024


def test_everything_that_is_no_event_is_passed_by():
    body = b"\n".join([
        b'{"event_id":"' + b"a" * 32 + b'"}',
        b'{"type":"attachment","length":12,"filename":"a.txt"}', b"raw\n{\"type\":", b"",
        b'{"type":"session"}', b'{"sid":"1"}',
        b'{"type":"transaction","length":2}', b"{}",
        b'{"type":"event"}', json.dumps(EVENT).encode(),
        b'{"type":"client_report"}', b'{"discarded_events":[]}',
    ])

    found = opened(body)

    assert found.events == [EVENT]
    assert found.dropped >= 4


@pytest.mark.parametrize("length", [0, 5, len(json.dumps(EVENT)) - 1, len(json.dumps(EVENT)) + 3, 10**9, -1, "12", None, 1.5])
def test_a_length_that_is_wrong_loses_neither_the_event_nor_what_follows(length):
    second = {**EVENT, "event_id": "b" * 32}
    body = b"\n".join([
        b"{}", json.dumps({"type": "event", "length": length}).encode(), json.dumps(EVENT).encode(),
        json.dumps({"type": "event", "length": len(json.dumps(second))}).encode(), json.dumps(second).encode(),
    ])

    assert opened(body).events == [EVENT, second]


@pytest.mark.parametrize("broken", [b"not json", b'{"type":"event","len', b"[]", b"\xff\xfe", b"{" * 2000])
def test_an_item_whose_line_is_broken_does_not_take_the_next_with_it(broken):
    body = b"\n".join([b"{}", broken, json.dumps(EVENT).encode(), b'{"type":"event"}', json.dumps({**EVENT, "message": "two"}).encode()])

    assert [one["message"] for one in opened(body).events] == ["it broke", "two"]


def test_an_event_that_was_written_over_several_lines_is_one():
    written = json.dumps(EVENT, indent=2).encode()
    body = b'{}\n{"type":"event","length":%d}\n' % len(written) + written + b"\n"

    assert opened(body).events == [EVENT]


@pytest.mark.parametrize("body", [b"", b"\n\n\n", b"{}", b"nonsense", b"\x00" * 100, b"{}\n" * 5000])
def test_a_body_without_events_is_no_mistake(body):
    assert opened(body).events == []


@given(st.binary(max_size=400), st.sampled_from(["", "gzip", "br", "deflate"]))
@settings(max_examples=200, deadline=None)
def test_no_bytes_make_it_fail(noise, encoding):
    opened(noise, encoding)
    opened(b'{}\n{"type":"event"}\n' + noise, encoding)
    salvage.read(noise)


JSON = st.recursive(
    st.none() | st.booleans() | st.integers(-(10**12), 10**12) | st.text(max_size=20),
    lambda below: st.lists(below, max_size=4) | st.dictionaries(st.text(max_size=8), below, max_size=4), max_leaves=20,
)


@given(JSON)
@settings(max_examples=200, deadline=None)
def test_reading_token_by_token_reads_what_json_reads(value):
    assert salvage._as_far_as_it_goes(json.dumps(value).encode()) == value


@given(st.dictionaries(st.text(max_size=8), JSON, min_size=1, max_size=4), st.integers(1, 200))
@settings(max_examples=200, deadline=None)
def test_what_is_cut_off_keeps_what_came_before(value, cut):
    whole = json.dumps({"message": "it broke", **{f"x{name}": one for name, one in value.items()}}).encode()

    found = salvage.read(whole[: max(24, len(whole) - cut)])

    assert found["message"] == "it broke"


@pytest.mark.parametrize("literal", ["NaN", "Infinity", "-Infinity", "1e999", "9" * 5000, "1." + "1" * 3000])
def test_numbers_that_are_none_are_text(literal):
    found = salvage.read(f'{{"a": {literal}, "message": "x"}}'.encode())

    assert isinstance(found["a"], str) and found["message"] == "x"
    json.dumps(found, allow_nan=False)


def test_a_value_nested_without_end_is_read_to_a_depth():
    found = salvage.read(b'{"message":"x","a":' + b"[" * 100_000)

    assert found["message"] == "x"


@pytest.mark.parametrize("many", [b"[],", b'"",', b"1,", b"{}," , b'{"a":'])
def test_many_values_cost_what_is_agreed(many):
    found = salvage.read(b'{"message":"x","a":[' + many * (3 * 1024 * 1024 // len(many)))

    assert found["message"] == "x"
    assert len(found["a"]) <= salvage.TOKENS


def test_the_older_way_may_be_base64_of_deflate():
    raw = json.dumps(EVENT).encode()
    assert wire.unwrapped(base64.b64encode(zlib.compress(raw))) == raw
    assert wire.unwrapped(base64.b64encode(raw)) == raw
    assert wire.unwrapped(raw) == raw
    assert wire.unwrapped(b"%%%") == b"%%%"
