"""Structural triggers: what is over a limit or cannot be read, cannot be undone, asks for a person, complains, or failed."""

import pytest
from hypothesis import example, given, settings
from hypothesis import strategies as st

from escalations.floors.facts import context_texts
from escalations.floors.triggers import DEFAULT_SETTINGS, asked_in, customer_texts, structural, words_in_name
from escalations.states import TRIGGERS


def facts(action="refund", args=None, *, kind="action", reversible=None, irreversible=(), **incident):
    return {
        "incident": {"kind": kind, "title": "A title", "body": "", "request": "", "messages": [], "attempts": [], "exception": {}, **incident},
        "proposal": {"action": action, "args": args if args is not None else {}, "reversible": reversible},
        "source": {"irreversible": list(irreversible)},
    }


def fired(given, settings_of=None):
    return {one.trigger for one in structural(given, settings_of)}


@pytest.mark.parametrize(
    "args",
    [
        {"amount": 100.01}, {"amount": -250}, {"amount": "250"}, {"amount": "250.00 USD"}, {"amount": "1.000"}, {"amount": [250]}, {"amount": None},
        {"amount": True}, {"amount": {}}, {"amount": float("nan")}, {"amount": 10**400}, {"amountCents": 10001}, {"refund": {"amount": 250}},
        {"amount": {"major": 250, "currency": "EUR"}}, {"items": [{"price": 60}, {"price": 60}]}, {"count": 101}, {"rows": "all"}, {"ids": list(range(101))},
        {"input": '{"amount": 2500}'}, {"value": "$500"}, {"value": 500}, {"total_price": 101},
    ],
)  # fmt: skip
def test_high_stakes_fires_over_a_limit_and_on_what_cannot_be_read(args):
    assert "high_stakes" in fired(facts("adjust", args))


@pytest.mark.parametrize(
    "args",
    [{"amount": 100}, {"amount": "99.50"}, {"amount_cents": 10000}, {"order": 118200}, {"order_id": 99999}, {"value": "dark"}, {"rows": [{"a": 1}]}, {"recipients": ["a@b.c"]}, {"number": "2026-11-20"}, {"amount_currency": "USD"}, {}, {"text": "please pay 5000"}],
)
def test_high_stakes_leaves_small_and_other_things_alone(args):
    assert "high_stakes" not in fired(facts("adjust", args))


def test_limits_are_the_administrators():
    given = facts("refund", {"amount": 250})
    assert "high_stakes" not in fired(given, {"high_stakes": {"money_limit": 500}})
    assert "high_stakes" not in fired(given, {"high_stakes": {"limits": {"refund.amount": 300}}})
    assert "high_stakes" in fired(facts("payout", {"amount": 250}), {"high_stakes": {"limits": {"refund.amount": 300}}})
    assert "high_stakes" in fired(facts("x", {"betrag": 250}), {"high_stakes": {"money_words": ["betrag"]}})


@pytest.mark.parametrize("broken", [{"money_limit": "many"}, {"money_words": "amount"}, {"limits": []}, {"money_limit": None}, {"money_limit": True}, [], "x", None])
def test_settings_of_the_wrong_shape_fall_back_to_the_defaults(broken):
    assert "high_stakes" in fired(facts("refund", {"amount": 250}), {"high_stakes": broken})


@pytest.mark.parametrize("action", ["delete_user", "deleteUser", "send_money", "transfer_funds", "close_account", "cancel_reservation", "publish_post", "purge-cache", "DROP", "list_and_delete"])
def test_known_verbs_are_irreversible(action):
    assert "irreversible" in fired(facts(action))


@pytest.mark.parametrize("action", ["refund", "get_deleted_items", "list_transfers", "transfer_to_human_agents", "update_profile", "undelete", "send_message", "drop_off_parcel", "search_published"])
def test_reading_and_handing_over_is_not(action):
    assert "irreversible" not in fired(facts(action))


def test_claims_and_registered_actions_and_destructive_commands_are_irreversible():
    assert "irreversible" in fired(facts("tidy", reversible=False))
    assert "irreversible" not in fired(facts("tidy", reversible=True))
    assert "irreversible" in fired(facts("delete_user", reversible=True))  # a claim never takes a finding away
    assert "irreversible" in fired(facts("Reboot_Router", irreversible=["reboot_router"]))
    assert "irreversible" in fired(facts("run", {"sql": "select 1; DROP TABLE users"}))
    assert "irreversible" in fired(facts("run", {"command": "sudo rm -rf /var"}))
    assert "irreversible" in fired(facts("call", {"method": "DELETE", "url": "/x"}))
    assert "irreversible" not in fired(facts("run", {"sql": "select dropped from tables"}))


@pytest.mark.parametrize(
    "words",
    [
        "I want to speak to a human", "let me talk to a real person please", "Can I speak with your manager?", "transfer me to an agent", "agent please.", "I need a human!",
        "get me a representative", "I don't want to talk to a bot", "please have someone call me", "Ich möchte mit einem Mitarbeiter sprechen", "Verbinden Sie mich mit einem Menschen",
        "je veux parler à un conseiller", "Quiero hablar con una persona", "vorrei parlare con un operatore", "quero falar com um atendente", "ik wil met een medewerker spreken",
        "chcę porozmawiać z konsultantem", "Соедините меня с оператором", "转人工", "担当者と話したい", "상담원 연결해 주세요", "SPEAK  TO\nA HUMAN", "spe\u200bak to a hum\u0430n",
    ],
)  # fmt: skip
def test_a_customer_who_asks_for_a_person_is_heard(words):
    assert "user_request" in fired(facts("reply", request=words))
    assert "user_request" in fired(facts("", kind="question", body=words))
    assert "user_request" in fired(facts("reply", messages=[{"role": "user", "content": words}]))
    assert "user_request" in fired(facts("reply", messages=[{"role": "customer", "content": [{"type": "text", "text": words}]}]))
    assert "user_request" in fired(facts("reply", request=words), {"user_request": {"phrases": [], "enabled": False}})


@pytest.mark.parametrize("words", ["Where is my parcel?", "I sent money to a person I know", "my travel agent booked it", "What is the exchange rate?", "the person at the desk was kind"])
def test_who_asks_something_else_does_not(words):
    assert "user_request" not in fired(facts("reply", request=words))


def test_only_the_customers_own_words_count():
    assert "user_request" not in fired(facts("reply", messages=[{"role": "assistant", "content": "Do you want to speak to a human?"}]))
    assert "user_request" not in fired(facts("reply", request="customer: where is it?\nagent: do you want to speak to a human?"))
    assert "user_request" in fired(facts("reply", request="customer: hello\nagent: hi\ncustomer: I want to speak to a human"))
    assert "user_request" in fired(facts("reply", request="agent: I want to speak to a human"))  # no transcript: whoever wrote it


def test_what_a_customer_says_later_counts_as_well():
    asks = "Let me speak to a human"
    assert {one.trigger for one in asked_in(context_texts({"request": asks}))} == {"user_request"}
    assert {one.trigger for one in asked_in(context_texts({"messages": [{"role": "user", "content": asks}]}))} == {"user_request"}
    assert {one.trigger for one in asked_in(context_texts({"messages": [{"role": "user", "content": [{"text": asks}]}]}))} == {"user_request"}
    assert asked_in(context_texts({"messages": [{"role": "assistant", "content": asks}], "summary": asks, "attempts": [{"result": asks}]})) == []


@pytest.mark.parametrize("words", ["I want to file a complaint", "This is unacceptable", "your bot cancelled my order by mistake", "I never agreed to this", "Ich möchte mich beschweren", "je conteste cette décision", "quiero presentar una queja"])
def test_a_customer_who_disputes_it_is_heard(words):
    assert "user_complaint" in fired(facts("reply", request=words))


def test_phrases_of_complaints_are_the_administrators():
    given = facts("reply", request="das ist ja Wucher")
    assert "user_complaint" not in fired(given)
    assert "user_complaint" in fired(given, {"user_complaint": {"phrases": ["wucher"]}})


def test_failed_agents_are_named():
    assert "agent_failed" in fired(facts(kind="exception", exception={"retryable": False}))
    assert "agent_failed" in fired(facts(kind="exception", exception={"attempts": 3}))
    assert "agent_failed" in fired(facts(kind="exception", exception={"message": "Max retries exceeded with url: /"}))
    assert "agent_failed" in fired(facts(attempts=[{"tool": "a", "error": "x"}] * 3))
    assert "agent_failed" not in fired(facts(kind="exception", exception={"retryable": True, "attempts": 1, "message": "boom"}))
    assert "agent_failed" not in fired(facts(attempts=[{"error": "x"}, {"error": "x"}, {"result": "ok", "error": None}]))
    assert "agent_failed" not in fired(facts(kind="exception", exception={"attempts": 4}), {"agent_failed": {"max_attempts": 5}})


def test_names_split_into_words():
    assert words_in_name("sendMoney") == words_in_name("send_money") == words_in_name("Send-Money") == ["send", "money"]
    assert words_in_name("HTTPDelete2") == ["http", "delete", "2"]


def test_default_settings_belong_to_triggers():
    assert set(DEFAULT_SETTINGS) <= set(TRIGGERS)


JSON = st.recursive(st.none() | st.booleans() | st.integers() | st.floats() | st.text(st.characters(exclude_categories=()), max_size=30), lambda inner: st.lists(inner, max_size=5) | st.dictionaries(st.sampled_from(["amount", "rows", "to", "x", "method"]) | st.text(max_size=8), inner, max_size=5), max_leaves=25)


@settings(max_examples=200, deadline=None)
@given(args=JSON, request=JSON, exception=JSON, messages=JSON, attempts=JSON, settings_of=JSON)
def test_nothing_makes_it_raise(args, request, exception, messages, attempts, settings_of):
    given_facts = facts("act", args, request=request, exception=exception, messages=messages, attempts=attempts, payload=args)
    for one in structural(given_facts, settings_of if isinstance(settings_of, dict) else {"high_stakes": settings_of}):
        assert one.trigger in TRIGGERS and one.why
    structural({"incident": args, "proposal": request, "source": exception})
    customer_texts({"incident": messages})


@settings(max_examples=150, deadline=None)
@given(base=st.dictionaries(st.sampled_from(["amount", "rows", "value", "note"]), st.integers(-1000, 1000) | st.text(max_size=10), max_size=4), more=JSON, said=st.text(max_size=40))
@example(base={"amount": "0\x1f"}, more=None, said="")
def test_more_args_and_more_words_never_take_a_trigger_away(base, more, said):
    request = "I want to speak to a human. I want to file a complaint."
    before = fired(facts("delete_rows", base, request=request))
    after = fired(facts("delete_rows", {**base, "something else": more}, request=f"{request} {said}"))
    assert before <= after
