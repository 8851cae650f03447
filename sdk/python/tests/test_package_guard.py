"""What may work the next time is tried again; what does not is a person's."""

import asyncio

import pytest
from countersign_fakes import Fake, Hurried, HurriedAsync, gone

from countersign import HandedOver, Rejected


@pytest.fixture
def fake():
    return Fake()


class Flaky:
    """Fails so often, then works."""

    def __init__(self, failures, error=ConnectionError):
        self.failures, self.error, self.calls = failures, error, []

    def __call__(self, **args):
        self.calls.append(args)
        if len(self.calls) <= self.failures:
            raise self.error(f"no {len(self.calls)}")
        return "done"


def test_what_works_at_last_is_told_nobody(fake):
    client, task = Hurried(fake), Flaky(3)
    assert client.guard(task, {"order": 7}, retries=3) == "done"
    assert task.calls == [{"order": 7}] * 4 and fake.requests == [] and len(client.slept) == 3


def test_pauses_double_at_most_and_are_random(fake):
    client = Hurried(fake)
    for _ in range(30):
        client.guard(Flaky(3), retries=3, base=1, longest=3)
    for index, most in enumerate((1, 2, 3)):
        pauses = client.slept[index::3]
        assert 0 <= min(pauses) and max(pauses) <= most and len(set(pauses)) > 20


def test_what_fails_for_good_is_handed_over_with_every_attempt(fake):
    client, task = Hurried(fake), Flaky(99)
    with pytest.raises(HandedOver) as caught:
        client.guard(task, {"order": 7}, retries=2, title="Invoice 7", context={"summary": "The bank is asked"}, severity="warning")
    assert isinstance(caught.value.__cause__, ConnectionError) and len(task.calls) == 3
    posted = fake.incidents[caught.value.incident["id"]]["posted"]
    assert (posted["kind"], posted["title"], posted["severity"]) == ("handoff", "Invoice 7", "warning")
    assert posted["context"]["summary"] == "The bank is asked" and "exhausted" in posted["context"]["why"]
    assert [one["error"] for one in posted["context"]["attempts"]] == [f"ConnectionError: no {number}" for number in (1, 2, 3)]
    assert posted["context"]["attempts"][0]["arguments"] == {"order": 7} and posted["context"]["attempts"][0]["at"]
    exception = posted["payload"]["exception"]
    assert (exception["type"], exception["attempts"], exception["retryable"]) == ("ConnectionError", 3, True)
    assert "test_package_guard" in exception["stacktrace"]


@pytest.mark.parametrize("retry_on", [ConnectionError, (ConnectionError, TimeoutError), lambda error: "never" in str(error)])
def test_what_is_not_retryable_is_handed_over_at_once(fake, retry_on):
    task = Flaky(99, ValueError)
    with pytest.raises(HandedOver) as caught:
        Hurried(fake).guard(task, retries=5, retry_on=retry_on)
    assert len(task.calls) == 1
    assert fake.incidents[caught.value.incident["id"]]["posted"]["payload"]["exception"]["retryable"] is False


def test_when_nobody_can_be_told_the_error_itself_is_raised(fake, caplog):
    fake.troubles = [gone] * 10_000
    with pytest.raises(ConnectionError, match="no 1"):
        Hurried(fake, retry_for=0.02).guard(Flaky(99), retries=0)
    assert "nobody could be told" in caplog.text


def test_what_people_refused_is_not_tried_again(fake):
    client, ran = Hurried(fake), []

    @client.requires_approval()
    def refund(amount):
        ran.append(amount)

    fake.decides("reject", reason="no")
    with pytest.raises(Rejected):
        client.guard(refund, {"amount": 5})
    assert ran == [] and len(fake.incidents) == 1


def test_arguments_and_errors_of_any_kind_can_be_told(fake):
    class Odd(Exception):
        def __str__(self):
            raise RuntimeError("cannot be printed")

    class Thing:
        def __repr__(self):
            raise RuntimeError("neither")

    def task(**args):
        raise Odd

    loop = []
    loop.append(loop)
    with pytest.raises(HandedOver):
        Hurried(fake).guard(task, {"thing": Thing(), "nan": float("nan"), "big": 10**30, "text": "\ud800" * 50_000, "loop": loop}, retries=0)
    assert len(fake.incidents) == 1


def test_interrupting_is_no_failure(fake):
    def task():
        raise KeyboardInterrupt

    with pytest.raises(KeyboardInterrupt):
        Hurried(fake).guard(task)
    assert fake.requests == []


@pytest.mark.parametrize("options", [{"retries": -1}, {"base": -1}, {"longest": -1}])
def test_nonsense_is_refused(fake, options):
    with pytest.raises(ValueError):
        Hurried(fake).guard(Flaky(0), **options)


def test_an_asyncio_program_has_the_same(fake):
    task = Flaky(2)

    async def work(**args):
        return task(**args)

    async def both():
        async with HurriedAsync(fake) as client:
            assert await client.guard(work, {"a": 1}) == "done"
            with pytest.raises(HandedOver):
                await client.guard(Flaky(9), retries=1)

    asyncio.run(both())
    assert len(task.calls) == 3 and len(fake.incidents) == 1
