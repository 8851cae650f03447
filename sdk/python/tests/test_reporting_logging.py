"""Logging: what is logged as an error is reported once, and what the reporter says itself is not."""

import logging

import pytest
from hosting import PATIENCE, Away

from countersign import reporting
from countersign.reporting import logging as integration
from countersign.reporting import reporter as core


@pytest.fixture
def logged(reporter):
    log = logging.getLogger("shop.payments")
    handler = integration.install(reporter, logger="shop.payments")
    yield log
    log.removeHandler(handler)


def test_errors_that_are_logged_are_reported_with_their_exception_or_without(logged, reporter, posts):
    logged.warning("not yet")
    try:
        raise Away("x")
    except Away:
        logged.exception("could not pay %s", "A-1")
    logged.critical("no money left in %s", "till 3")
    assert reporter.flush(PATIENCE)
    one, two = posts
    assert one["kind"] == "exception" and one["title"] == "Away: x" and one["payload"]["log"]["message"] == "could not pay A-1"
    assert (two["kind"], two["title"], two["severity"]) == ("alert", "no money left in till 3", "critical")


def test_messages_of_one_template_are_alike(logged, reporter, posts):
    logged.error("till %s is stuck", 1)
    logged.error("till %s is stuck", 2)
    logged.error("something else")
    assert reporter.flush(PATIENCE)
    assert posts[0]["fingerprint"] == posts[1]["fingerprint"] != posts[2]["fingerprint"]


def test_what_was_reported_by_the_framework_is_not_reported_again_by_its_log(logged, reporter, posts):
    try:
        raise Away("x")
    except Away as error:
        reporter.report(error)
        logged.exception("unhandled")
    assert reporter.flush(PATIENCE) and len(posts) == 1


def test_what_the_reporter_itself_logs_is_not_reported(reporter, posts, monkeypatch):
    monkeypatch.setattr(logging, "raiseExceptions", False)
    root = logging.getLogger()
    handler = integration.install(reporter)
    try:
        logging.getLogger("countersign.reporting").error("x")
        logging.getLogger("httpx").error("y")
        logging.getLogger("host").error("%d", "a message that does not fit its arguments")
    finally:
        root.removeHandler(handler)
    assert reporter.flush(PATIENCE) and posts == []


def test_one_reporter_serves_all_that_are_given_none(posts, monkeypatch):
    monkeypatch.setattr(core._Default, "reporter", None)
    mine = reporting.configure("http://countersign", "k", spool=False)
    assert reporting.current() is mine
    mine.close()
