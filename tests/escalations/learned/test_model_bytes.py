"""A model is numbers: it comes back as it was, and what is damaged, foreign or code is refused without being run."""

import hashlib
import json
import os
import pickle

import numpy as np
import pytest

from escalations.learned import SPEC, of
from escalations.learned.fitting import model_of
from escalations.learned.model import MAGIC, BadWeights, Model
from escalations.learned.reading import read
from tests.teaching import case, cases, posted

pytestmark = pytest.mark.django_db  # for the clock


@pytest.fixture(scope="module")
def model(django_db_blocker):
    with django_db_blocker.unblock():
        return model_of([
            case(number, right=number % 4 != 0, category=("refund", "late", "size")[number % 3], severity=("info", "warning")[number % 2])
            for number in range(240)
        ])


def signed(body):
    return body + hashlib.sha256(body).digest()


def with_header(weights, change):
    length = int.from_bytes(weights[8:12], "little")
    header = json.loads(weights[12 : 12 + length])
    change(header)
    told = json.dumps(header).encode()
    return signed(MAGIC + len(told).to_bytes(4, "little") + told + weights[12 + length : -32])


def test_a_model_comes_back_as_it_was_and_says_the_same(model):
    vectors = [one.features for one in cases(20)]
    weights = model.dump()

    again = Model.load(weights)

    assert again.dump() == weights
    assert again.speak(vectors) == model.speak(vectors)


def test_a_model_says_the_same_of_one_as_of_many(model):
    vectors = [one.features for one in cases(20)]

    alone = [model.speak([vector])[0] for vector in vectors]

    for one, other in zip(alone, model.speak(vectors), strict=True):
        assert one.approve == pytest.approx(other.approve, abs=1e-6)
        assert (one.category, one.severity) == (other.category, other.severity)


class Explodes:
    def __reduce__(self):
        return os.mkdir, ("weights-were-unpickled",)


@pytest.mark.parametrize("broken", ["empty", "pickle", "bit", "short", "long", "huge", "objects", "spec", "nan", "order", "kinds"])
def test_weights_that_are_not_in_the_layout_are_refused_and_never_run(model, broken, tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)
    weights = model.dump()
    body = weights[:-32]
    made = {
        "empty": b"",
        "pickle": signed(MAGIC + pickle.dumps(Explodes())),
        "bit": weights[:-40] + bytes([weights[-40] ^ 1]) + weights[-39:],
        "short": signed(body[:-4]),
        "long": signed(body + b"\x00\x00\x00\x00"),
        "huge": with_header(weights, lambda header: header["arrays"].__setitem__(0, ["<u4", [1 << 60]])),
        "objects": with_header(weights, lambda header: header["arrays"].__setitem__(0, ["|O", [1]])),
        "spec": with_header(weights, lambda header: header.__setitem__("spec", 99)),
        "nan": signed(body[:-4] + b"\x00\x00\xc0\x7f"),
        "order": with_header(weights, lambda header: header["arrays"].reverse()),
        "kinds": with_header(weights, lambda header: header["heads"]["approve"].pop("kinds")),
    }[broken]

    with pytest.raises(BadWeights):
        Model.load(made)

    assert not list(tmp_path.iterdir())


@pytest.mark.parametrize("told", [
    b"[" * 100_000, b'{"arrays": [["<u4", [1e400]]]}', b'{"spec": 0, "heads": [1], "past": null, "arrays": []}',
    b'{"spec": %d, "heads": [1], "past": null, "arrays": [["<u4", [0]], ["<f4", [0]]]}' % SPEC,
    b'{"spec": %d, "heads": {}, "past": "x", "arrays": [["<u4", [0]], ["<f4", [0]]]}' % SPEC,
    b'{"spec": %d, "heads": {}, "past": null, "arrays": [%s]}' % (SPEC, b",".join([b'["<u4", [0]]'] * 1_000)),
], ids=["deep", "endless", "no heads", "a list of heads", "a past of words", "many arrays"])
def test_a_header_nobody_would_write_is_refused_in_words(told):
    with pytest.raises(BadWeights):
        Model.load(signed(MAGIC + len(told).to_bytes(4, "little") + told))


@pytest.mark.parametrize(("spoiled", "into"), [
    ("mix", lambda mix: (float("nan"), 0.3, 0.4)), ("ranks", lambda ranks: ranks[:, ::-1].copy()), ("ranks", lambda ranks: ranks[0]),
    ("ranks", lambda ranks: ranks[:, :0]), ("works", lambda works: works + np.uint32(1_000)), ("works", lambda works: works[:, :2]),
    ("works", lambda works: works[0]), ("kept", lambda kept: kept[:, 1:]), ("axes", lambda axes: axes[1:]),
], ids=["mix", "falling", "one rank", "no ranks", "ranks nobody has", "works without ranks", "one work", "kept", "axes"])
def test_a_past_that_makes_no_sense_is_refused(model, spoiled, into, monkeypatch):
    monkeypatch.setattr(model.past, spoiled, into(getattr(model.past, spoiled)))

    with pytest.raises(BadWeights):
        Model.load(model.dump())


@pytest.mark.parametrize("told", ["x", {}, {"mix": [0.3, 0.3, 1.0]}, {"mix": [0.3], "kinds": []}, {"mix": [0.3, 0.3, 1.0], "kinds": 3}])
def test_a_past_whose_header_makes_no_sense_is_refused(model, told):
    with pytest.raises(BadWeights):
        Model.load(with_header(model.dump(), lambda header: header.__setitem__("past", told)))


def test_of_a_kind_it_has_never_seen_decided_a_model_says_nothing(model):
    other = case(3).features
    alert = case(3)

    from_alert = model.speak([_of_kind("alert"), other])

    assert from_alert[0].approve is None and from_alert[0].category == "" and from_alert[0].severity == ""
    assert from_alert[1].approve is not None and alert.kind == "action"


def _of_kind(kind):
    return of(*read(posted(3, right=True, kind=kind)))
