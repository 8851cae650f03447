"""Unfamiliar is what is unlike its own kind of work, however much of another kind there was; and what grows is not strange for it."""

import random
from datetime import UTC, datetime, timedelta

import numpy as np
import pytest

from escalations.learned import Case, features, of
from escalations.learned.fitting import model_of
from escalations.learned.past import evenly
from escalations.learned.reading import read

ABOVE = 0.98
START = datetime(2026, 1, 1, tzinfo=UTC)
OTHERS = ("refund", "send_payment", "book_visit", "close_account", "change_address", "send_parts")
SAYS = {
    "voucher": ("It came {n} days late.", "There is a scratch on it.", "Two screws were missing."),
    "refund": ("It arrived broken, I want my money back.", "It never came, please give the money back.", "I have sent it back to you."),
    "send_payment": ("Pay the invoice of the timber yard.", "The couriers want to be paid.", "Pay the glass maker, goods have come."),
    "book_visit": ("The table wobbles, somebody should look.", "Have a technician mend the door.", "The drawer sticks, please come."),
    "close_account": ("Close my account and forget me.", "I do not want an account any more.", "Delete what you know of me."),
    "change_address": ("We have moved to another town.", "Deliver to my office instead.", "The street has a new name."),
    "send_parts": ("A handle is missing from the box.", "Please send a new hinge.", "One of the shelves is cracked."),
}
THINGS = ("shelf", "chair", "table", "lamp", "mirror", "bench", "desk", "stool")


def asked(action, number, draw):
    said = draw.choice(SAYS[action]).format(n=draw.randint(2, 9))
    return {
        "kind": "action", "title": f"{action} for order {number}",
        "context": {"request": f"My {draw.choice(THINGS)}: {said}", "why": draw.choice(("The table says so.", "The customer asks for it."))},
        "proposal": {"action": action, "args": {"order": number, "amount": draw.randint(1, 400), "day": f"2026-0{draw.randint(1, 9)}-11"}},
    }


def case(said, at, action):
    return Case(of(*read(said, 1)), said["kind"], True, "", "", START + timedelta(hours=at), lane=f"1/action/{action}", source="1")


def novelties(model, said):
    return np.array([one.novelty for one in model.speak([of(*read(one, 1)) for one in said])])


@pytest.fixture(scope="module")
def dominated():
    """A past of which 95 in a hundred are vouchers; of six other kinds of work a dozen each was decided."""
    draw = random.Random(3)
    work = ["voucher"] * 1_368 + list(OTHERS) * 12
    draw.shuffle(work)
    return model_of([case(asked(action, 20_000 + at, draw), at, action) for at, action in enumerate(work)])


def test_what_is_rare_but_known_is_not_unfamiliar_however_much_of_another_kind_there_was(dominated):
    draw = random.Random(9)

    strange = {
        action: np.mean(novelties(dominated, [asked(action, 21_500 + number, draw) for number in range(100)]) > ABOVE)
        for action in ("voucher", *OTHERS)
    }

    assert max(strange.values()) <= 0.06 and np.mean(list(strange.values())) <= 0.03, strange


def test_new_kinds_of_work_are_unfamiliar_in_a_dominated_past(dominated):
    new = [
        {
            "kind": "action", "title": "Give the agency write access", "context": {"request": "They need to change prices themselves."},
            "proposal": {"action": "grant_permission", "args": {"user": "agency", "role": "editor"}},
        },
        {
            "kind": "action", "title": "Drop the table of customers", "context": {"request": "Clean up the database after the import."},
            "proposal": {"action": "run_sql", "args": {"statement": "DROP TABLE customers CASCADE"}},
        },
        {
            "kind": "action", "title": "Wire the treasury to Vanuatu", "context": {"request": "zxcv qwer asdf uiop"},
            "proposal": {"action": "send_payment", "args": {"wallet": "everything", "chain": "moon", "memo": "quietly tonight"}},
        },
    ]

    assert np.all(novelties(dominated, new) > ABOVE)


def test_numbers_that_grow_make_nothing_unfamiliar(dominated):
    draw = random.Random(11)

    grown = [asked(action, 40_000_000 + number, draw) for number in range(20) for action in ("voucher", *OTHERS)]
    for one in grown:
        one["proposal"]["args"] |= {"amount": 90_000, "day": "2031-12-24"}

    assert np.mean(novelties(dominated, grown) > ABOVE) <= 0.06


def test_of_a_kind_of_incident_that_nobody_decided_it_says_nothing(dominated):
    assert dominated.speak([of(*read({"kind": "alert", "title": "Nightly import finished", "severity": "info"}, 1))])[0].novelty is None


def test_a_feature_knows_whether_it_is_a_numbers():
    said = read({
        "kind": "action", "title": "Refund 4711 today", "payload": {"level": "high", "host": "web-12", "read": 38_112},
        "proposal": {"action": "refund", "args": {"amount": 12.5, "note": "in a hurry"}},
    }, 1)

    names, vector = features.named(*said), of(*said)
    numbers = {names[int(at)] for at in features.unpacked(vector)[0][features.are_numbers(vector)]}

    assert {"arg amount is about 2^3.5", "payload.host is web-12", "payload.read is about 2^15", "text: #4", "text: refund #4"} <= numbers
    assert not {"action: refund", "payload.level is high", "arg note is in a hurry", "text: refund", "text: today"} & numbers


@pytest.mark.parametrize("most", [5, 30, 100, 5_000])
def test_of_each_kind_of_work_as_many_are_kept(most):
    works = np.array([0] * 900 + [1] * 50 + [2] * 8 + [3])

    kept = evenly(works, most)

    times = np.bincount(works[kept], minlength=4)
    assert len(kept) == len(set(kept)) <= most and list(kept) == sorted(kept)
    assert len(kept) >= min(most, len(works)) - len(times)
    assert most < 30 or (times >= np.minimum(np.bincount(works), most // 4)).all()


def test_where_all_was_the_same_one_other_word_is_not_strange_but_other_work_is():
    same = {
        "kind": "action", "title": "Restart the stock feed", "context": {"request": "The stock feed hangs, restart it please.", "why": "It hangs."},
        "proposal": {"action": "restart", "args": {"service": "stock", "wait": 30}, "description": "Restart the service and wait for it."},
    }
    model = model_of([case(same, at, "restart") for at in range(220)])
    other = same | {"title": "Stop the payment page", "context": {"request": "Customers complain about prices.", "why": "It costs too much."}}

    assert novelties(model, [same, same | {"title": "Restart the stock feed again"}, other]) == pytest.approx([0, 0, 1])
