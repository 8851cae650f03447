"""Finding loops: what goes round is found at its first chance, what gets on is never taken for a loop, however it is cut up."""

from hypothesis import given, settings
from hypothesis import strategies as st

from escalations.oversight import loops

SETTINGS = settings(max_examples=60, deadline=None)
json = st.recursive(
    st.none() | st.booleans() | st.integers(-5, 5) | st.text(max_size=4),
    lambda inner: st.lists(inner, max_size=3) | st.dictionaries(st.text(max_size=3), inner, max_size=3), max_leaves=5,
)
calls = st.tuples(st.sampled_from(["search", "read", "pay"]), json)


def walk(steps, repeats=loops.REPEATS):
    """Return after which step which loop was found first; None."""
    recent = []
    for number, step in enumerate(steps, 1):
        recent = loops.remember(recent, step)
        if found := loops.found(recent, step["tool"], repeats):
            return number, found.name
    return None


def step(call, result=None, error=""):
    return {"tool": call[0], "args": call[1], "result": result, "error": error}


@SETTINGS
@given(calls, st.integers(2, loops.KEPT), st.integers(0, 10))
def test_the_same_call_is_found_the_moment_it_is_one_too_many(call, repeats, before):
    different = [step(("other", {"n": n}), n) for n in range(before)]
    steps = different + [step(call, f"result {n}") for n in range(repeats)]
    assert walk(steps[:-1], repeats) is None
    assert walk(steps, repeats) == (len(steps), "loop")


@SETTINGS
@given(st.lists(calls, min_size=2, max_size=loops.LONGEST_CYCLE, unique_by=repr), st.integers(0, 10))
def test_a_cycle_is_found_at_the_end_of_its_third_turn(cycle, before):
    if len({repr((type(args), args, tool)) for tool, args in cycle}) < len(cycle):
        return
    different = [step(("other", {"n": n}), n) for n in range(before)]
    steps = different + [step(call, f"result {n}") for n, call in enumerate(cycle * loops.TURNS)]
    assert walk(steps) == (len(steps), "cycle")


@SETTINGS
@given(st.lists(json, min_size=1, max_size=60))
def test_an_agent_that_calls_something_new_each_time_gets_on(results):
    assert walk([step(("read", {"page": number}), result) for number, result in enumerate(results)]) is None


@SETTINGS
@given(st.integers(1, 60))
def test_new_results_to_varying_calls_are_progress(count):
    """Two calls by turns would be a cycle; three in no order, with something new in each answer, are work."""
    order = [0, 1, 2, 0, 2, 1, 1, 0, 2, 2, 0, 1, 2, 1, 0]
    steps = [step(("poll", {"of": order[n % len(order)]}), {"at": n}) for n in range(count)]
    found = walk(steps)
    assert found is None or found[1] != "no_progress"


@SETTINGS
@given(st.lists(st.integers(0, 2), min_size=loops.STALL, max_size=loops.STALL + 5))
def test_whoever_brings_nothing_new_for_long_is_found_at_the_latest_then(order):
    steps = [step(("look", {"at": n}), "the same") for n in [0, 1, 2, *order]]
    assert walk(steps) is not None


@SETTINGS
@given(st.text(alphabet="abc ", min_size=1, max_size=20), st.lists(st.integers(0, 10**9), min_size=3, max_size=3), st.integers(0, 3))
def test_the_same_error_is_the_same_whatever_numbers_stand_in_it(text, numbers, between):
    steps = []
    for at, number in enumerate(numbers):
        steps += [step(("other", {"n": [at, n]}), [at, n]) for n in range(between)]
        steps.append(step(("pay", {"try": at}), error=f"{text} at {number}"))
    assert walk(steps) == (len(steps), "same_error")


@SETTINGS
@given(st.lists(st.sampled_from(["timeout", ""]), min_size=1, max_size=30))
def test_errors_with_a_success_between_are_no_loop(errors):
    broken = []
    for error in errors:  # never three in a row
        broken.append("" if broken[-2:] == ["timeout", "timeout"] else error)
    assert walk([step(("pay", {"n": n}), n, error) for n, error in enumerate(broken)]) is None


@SETTINGS
@given(st.lists(st.tuples(calls, json, st.sampled_from(["", "e1", "broken"])), max_size=70), st.integers(1, 7))
def test_marks_are_bounded_and_do_not_depend_on_how_json_was_spelled(taken, _):
    recent = []
    for call, result, error in taken:
        recent = loops.remember(recent, step(call, result, error))
        assert len(recent) <= loops.KEPT
        assert all(len(mark) <= 56 for mark in recent)
    assert loops.remember([], step(("t", {"a": 1, "b": 2}))) == loops.remember([], step(("t", {"b": 2, "a": 1})))
