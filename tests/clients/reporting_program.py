"""A service that fails, in the framework named by the argument. Prints one JSON line: what its caller was answered.

`script` fails itself, with the hook for scripts in place.
"""

import json
import os
import sys
import time

from countersign import reporting

WAIT = float(os.environ.get("WAIT", "30"))


class CardDeclined(Exception):
    """What a payment gateway says."""


def charge(order):
    """Fail on the way, as services do."""
    card = "4111 1111 1111 1111"  # noqa: F841 - a local variable, which is never told
    try:
        raise ConnectionResetError("gateway closed the connection, token=abcdef123456")
    except ConnectionResetError as error:
        raise CardDeclined(f"card declined for {order}") from error


def by_fastapi():
    from countersign.reporting import fastapi as integration  # noqa: PLC0415 - each host needs its own framework and no other
    from fastapi import FastAPI  # noqa: PLC0415 - each host needs its own framework and no other
    from fastapi.testclient import TestClient  # noqa: PLC0415 - each host needs its own framework and no other

    app = FastAPI()
    integration.install(app)
    app.get("/refunds/{order}")(charge)
    answer = TestClient(app, raise_server_exceptions=False).get("/refunds/A-1")
    return answer.status_code, answer.json()


def by_flask():
    from countersign.reporting import flask as integration  # noqa: PLC0415 - each host needs its own framework and no other
    from flask import Flask  # noqa: PLC0415 - each host needs its own framework and no other

    app = Flask("shop")
    integration.install(app)
    app.get("/refunds/<order>")(charge)
    answer = app.test_client().get("/refunds/A-1")
    return answer.status_code, answer.json


def by_django():
    import types  # noqa: PLC0415 - as above

    import django  # noqa: PLC0415 - as above
    from django.conf import settings  # noqa: PLC0415 - each host needs its own framework and no other
    from django.urls import path  # noqa: PLC0415 - each host needs its own framework and no other

    urls = types.ModuleType("urls")
    urls.urlpatterns = [path("refunds/<str:order>/", lambda request, order: charge(order))]
    sys.modules["urls"] = urls
    settings.configure(
        ROOT_URLCONF="urls", SECRET_KEY="x", ALLOWED_HOSTS=["*"], MIDDLEWARE=["countersign.reporting.django.ReportExceptions"],
        COUNTERSIGN={"service": "shop", "wait": WAIT},
    )
    django.setup()
    from django.test import Client  # noqa: PLC0415 - each host needs its own framework and no other

    answer = Client(raise_request_exception=False).get("/refunds/A-1/")
    return answer.status_code, answer.json()


def main(host):
    if host != "django":
        reporting.configure(service="shop", wait=WAIT)
    if host == "script":
        from countersign.reporting import excepthook  # noqa: PLC0415 - as above

        excepthook.install(seconds=WAIT)
        charge("A-1")
    began = time.monotonic()
    status, told = {"fastapi": by_fastapi, "flask": by_flask, "django": by_django}[host]()
    print(json.dumps({"status": status, "told": told, "seconds": round(time.monotonic() - began, 3)}))


main(sys.argv[1])
