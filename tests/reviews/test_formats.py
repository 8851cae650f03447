"""How a value reads beside the raw one."""

from datetime import UTC, datetime

import pytest

from reviews.formats import readings


def said(path, value, **beside):
    return [one.said for one in readings(path, value, beside)]


@pytest.mark.parametrize(
    ("path", "value", "beside", "expected"),
    [
        ("amount", 1234567.5, {"currency": "eur"}, "EUR 1,234,567.50"),
        ("amount_usd", 250, {}, "USD 250.00"),
        ("price", 1500, {"currency": "JPY"}, "JPY 1,500"),
        ("amount_cents", 12345, {"currency": "GBP"}, "GBP 123.45"),
        ("amount", "$1,200", {}, "USD 1,200.00"),
        ("amount", 0.005, {"currency": "EUR"}, "EUR 0.00 (rounded)"),
        ("rows", 1200345, {"currency": "EUR"}, "1,200,345"),
        ("on", True, {}, "yes"),
        ("day", "2024-05-20", {}, "Monday, 20 May 2024"),
        ("day", "2024-02-31", {}, "there is no such date"),
        ("start", "2024-05-20 10:00", {}, "Monday, 20 May 2024, 10:00; no time zone is given"),
        ("to", "Ann@Shop.Example", {}, "at shop.example"),
        ("url", "https://bank.example@evil.example/x", {}, "what stands before the @ is no part of where it leads"),
        ("url", "https://www.shop.example/x", {}, "leads to www.shop.example"),
        ("iban", "DE89370400440532013000", {}, "IBAN of DE, its check digits are right"),
        ("iban", "DE89370400440532013001", {}, "not a valid IBAN"),
        ("id", "8f14e45f-ceea-467f-a83b-2d6e0a5ff3c1", {}, "UUID"),
        ("name", " Ann", {}, "begins or ends with spaces"),
        ("name", "", {}, "empty text"),
        ("note", "word " * 100, {}, "500 characters, 100 words"),
    ],
)
def test_a_value_reads_as_a_person_would_say_it(path, value, beside, expected):
    assert expected in said(path, value, **beside)


@pytest.mark.parametrize("value", ["2024-05-20T10:00:00Z", "2024-05-20T12:00:00+02:00"])
def test_a_moment_is_kept_to_be_said_in_the_readers_time(value):
    assert readings("when", value)[0].when.astimezone(UTC) == datetime(2024, 5, 20, 10, tzinfo=UTC)


def test_seconds_are_a_moment_only_where_the_name_says_so():
    assert readings("expires_at", 1716199200)[0].when == datetime(2024, 5, 20, 10, tzinfo=UTC)
    assert said("rows", 1716199200) == ["1,716,199,200"]


@pytest.mark.parametrize("path", ["order", "order_id", "invoice.number", "customerId", "tools[0].id"])
def test_a_number_that_names_something_is_no_count(path):
    assert said(path, 20391) == []


@pytest.mark.parametrize("value", [None, {}, [], "x", 7, float("nan"), float("inf"), 10**400, "\x00", "@", "www.", "://", "9" * 5_000])
def test_nothing_is_too_odd_to_be_read(value):
    assert isinstance(readings("amount", value, {"currency": value}), list)


@pytest.mark.parametrize("host", ["xn--pypal-4ve.example", "p\u0430ypal.example", "127.0.0.1"])
def test_a_host_that_may_be_taken_for_another_is_odd(host):
    assert readings("url", f"https://{host}/")[0].odd
