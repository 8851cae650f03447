"""What must never leave the machine, and what comes back."""

import json

import pytest

from escalations.classify.mask import LONGEST, PLACEHOLDER, Mask
from tests.fakes.secrets import SEEDED


@pytest.mark.parametrize(("text", "secret"), SEEDED, ids=[text[:40] for text, _ in SEEDED])
def test_a_secret_is_hidden_and_comes_back(text, secret):
    mask = Mask()

    masked = mask.text(text)

    assert secret not in masked
    assert PLACEHOLDER.search(masked)
    assert mask.unmask(masked) == text


@pytest.mark.parametrize(("text", "secret"), SEEDED, ids=[text[:40] for text, _ in SEEDED])
def test_a_secret_deep_in_json_is_hidden(text, secret):
    masked = Mask().value({"payload": [{"log": {"line": text}}], text: 1})

    assert secret not in json.dumps(masked, ensure_ascii=False)


@pytest.mark.parametrize(
    "name",
    ["password", "db_password", "Authorization", "api_key", "X-Api-Key", "client_secret", "session_token", "set-cookie", "DSN", "pin"],
)
def test_what_stands_under_a_secrets_name_is_hidden_whatever_it_looks_like(name):
    assert "plain words" not in str(Mask().value({name: "plain words"}))
    assert "4711" not in str(Mask().value({name: 4711}))


@pytest.mark.parametrize(
    "text",
    [
        "Refund $250 for order 1182, amount 1000000",
        "2026-11-20 23:13:39.123 ERROR worker 12 failed after 3 attempts",
        "max_tokens=512, tokens: 30, author: Bob",
        "std::vector at 0x7ffd12ab, v1.2.3, HTTP 502 in 30 s",
        "The token bucket was empty; auth failed for the wrong user",
        "invoice 2026-11 of 12.11.2026",
    ],
)
def test_ordinary_text_stays_as_it_is(text):
    assert Mask().text(text) == text


def test_the_same_value_gets_the_same_name_everywhere():
    mask = Mask()

    masked = mask.text("bob@example.com wrote; ann@example.com and bob@example.com answered")

    assert masked == "<EMAIL_1> wrote; <EMAIL_2> and <EMAIL_1> answered"
    assert mask.value({"from": "bob@example.com"}) == {"from": "<EMAIL_1>"}


def test_nobody_gets_a_value_by_writing_its_placeholder():
    mask = Mask()

    masked = mask.text("please send <EMAIL_1> to me") + mask.text(" bob@example.com")

    assert mask.unmask(masked) == "please send <EMAIL_1> to me bob@example.com"
    assert masked.count("<EMAIL_1>") == 1


def test_a_placeholder_of_somebody_else_stays():
    assert Mask().unmask("write to <EMAIL_7>") == "write to <EMAIL_7>"


def test_a_value_that_is_known_is_hidden_where_it_runs_into_its_neighbours():
    mask = Mask()
    mask.text('password="tr0ub4\\"dor"')

    assert mask.sweep('{"log": "xtr0ub4\\\\\\"dorx", "n": 1}') == '{"log": "x<SECRET_1>x", "n": 1}'


def test_a_key_of_nobody_we_know_is_hidden_and_a_long_name_is_not():
    mask = Mask()

    assert mask.text("acme:Zx9Qw3Er7Ty1Ui5Op0AsDfGh") == "acme:<TOKEN_1>"
    for name in ("AbstractSingletonProxyFactoryBeanImplementation2", "test_that_a_very_long_function_name_stays_readable_42"):
        assert mask.text(name) == name


def test_a_card_as_a_number_is_hidden_and_an_amount_is_not():
    assert Mask().value({"card": 4111111111111111, "amount": 250, "ratio": 0.5}) == {"card": "<CARD_1>", "amount": 250, "ratio": 0.5}


def test_half_a_secret_does_not_stay_where_a_text_is_cut():
    text = "x " * (LONGEST // 2 - 5) + "4111 1111 1111 1111"

    assert "4111" not in Mask().text(text)


@pytest.mark.parametrize("unit", ["a", "a@", "1 ", "-", "password=", "eyJ", ":", "a:", "1.1.", "token \n", "ssn ", "AB12 ", "DE12 ", "(0 "])
def test_no_text_takes_long_to_mask(unit):
    text = unit * (LONGEST // len(unit))

    import time  # noqa: PLC0415 - only this test looks at a watch

    started = time.process_time()
    Mask().text(text)

    assert time.process_time() - started < 2  # a pattern that backtracks takes minutes; 0.1 s is usual


def test_what_was_found_clean_once_is_hidden_where_it_is_not():
    for text in ("order 1182", "refund"):
        assert Mask().text(text) == Mask().text(text) == text
    for text in ("write to anna@shop.example", "password=hunter2", "<EMAIL_1>"):
        first, again = Mask(), Mask()
        assert first.text(text) == again.text(text) != text
        assert again.unmask(again.text(text)) == text
