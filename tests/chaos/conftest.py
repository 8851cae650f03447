"""Running Countersigns to be ill-treated, and how long each took to work again."""

import shutil
import time

import pytest

from tests.e2e.company import Company
from tests.fakes.llm import FakeModel

MEASURED = pytest.StashKey[list]()


def pytest_configure(config):
    config.stash[MEASURED] = []


def pytest_terminal_summary(terminalreporter, config):
    if config.stash[MEASURED]:
        terminalreporter.section("how long it took to work again")
        for what, seconds in config.stash[MEASURED]:
            terminalreporter.write_line(f"{seconds:6.1f} s  {what}")


@pytest.fixture
def took(request):
    """Call with what happened and when (monotonic): notes how long ago that is."""

    def note(what, since, until=None):
        seconds = (until or time.monotonic()) - since
        request.config.stash[MEASURED].append((what, seconds))
        return seconds

    return note


@pytest.fixture(autouse=True)
def keep_the_log_of_a_failure(request):
    """Where a test of a running system failed, its log is what says why."""
    failed, running = request.session.testsfailed, request.node.funcargs
    yield
    if request.session.testsfailed > failed:
        for name in ("company", "slow", "cramped"):
            if name in running:
                shutil.copy(running[name].log, f"/tmp/countersign-chaos-{request.node.name[:60]}.log")


@pytest.fixture(scope="session")
def company():
    """One worker process, so that killing it while it waits always leaves the queue's lock behind; a short patience with silence."""
    with Company(QUEUE_WORKERS="1", HEARTBEAT_DEAD_AFTER="30") as running:
        yield running


@pytest.fixture(scope="session")
def model():
    with FakeModel() as one:
        yield one


@pytest.fixture(scope="session")
def slow(model):
    """One that asks a model, which answers when the test says so."""
    with Company(OPENAI_BASE_URL=model.base_url, OPENAI_API_KEY="local", COUNTERSIGN_MODEL="fake-1", LLM_TIMEOUT_SECONDS="60") as running:
        yield running
