"""A program that reports to Sentry, as anybody would write it: SENTRY_DSN says where. Prints what each step reported, as JSON."""

import json
import logging
import os
import sys

import sentry_sdk

sentry_sdk.init(
    dsn=os.environ["SENTRY_DSN"], release="billing@1.2.3", environment="prod", server_name="host-1", send_default_pii=True,
    traces_sample_rate=1.0,
)
sentry_sdk.set_tag("team", "billing")
sentry_sdk.set_user({"id": "u1", "email": "anna@shop.example"})


def look_up(order):
    raise KeyError(order)


def pay(order, amount):
    private_note, password = "words nobody else should read", "hunter2-XYZ"
    sentry_sdk.add_breadcrumb(category="http", message="calling gateway", data={"url": "https://gate.example/pay?token=abc123def"})
    try:
        look_up(order)
    except KeyError as cause:
        raise ValueError(f"card declined for {order}" if private_note and password else "") from cause


def exception():
    """Caught, reported, with a fingerprint of its own."""
    with sentry_sdk.new_scope() as scope:
        scope.fingerprint = ["card-declined"]
        scope.set_context("order", {"id": "A-1"})
        try:
            pay("A-1", 12)
        except ValueError as error:
            return sentry_sdk.capture_exception(error)


def again():
    """The same failure of another order, grouped by Sentry's own lights."""
    found = []
    for order in ("A-2", "A-3"):
        try:
            pay(order, 99)
        except ValueError as error:
            found.append(sentry_sdk.capture_exception(error))
    return found


def message():
    return sentry_sdk.capture_message("manual message", level="warning")


def logged():
    logging.getLogger("billing").error("payment %s failed", "A-4")


def attachment():
    with sentry_sdk.new_scope() as scope:
        scope.add_attachment(bytes=b'raw\n{"type":"event"}\n', filename="a.txt")
        return sentry_sdk.capture_message("with attachment")


def transaction():
    with sentry_sdk.start_transaction(op="task", name="nightly"), sentry_sdk.start_span(op="db", name="select"):
        pass


def fatal():
    return sentry_sdk.capture_message("the disk is gone", level="fatal")


def huge():
    """More than anybody would read."""
    sentry_sdk.get_current_scope().set_extra("dump", [f"line {number} of a dump " * 3 for number in range(90)])
    return sentry_sdk.capture_message("a huge one " + "x" * 300_000)


def uncaught():
    sys.argv = ["pay.py", "--password", "hunter2-XYZ"]
    pay("A-5", 5)


if __name__ == "__main__":
    for step in sys.argv[1:]:
        sys.stdout.write(json.dumps({"step": step, "id": globals()[step]()}) + "\n")
    sentry_sdk.flush(20)
