"""A program that has nothing but the CloudEvents SDK as it is published; requests sends what it builds, as its users do."""

import datetime
import json
import os

import requests
from cloudevents.core.bindings.http import to_binary, to_structured
from cloudevents.core.formats.json import JSONFormat
from cloudevents.core.v1.event import CloudEvent
from cloudevents.v1 import http as v1

ATTRIBUTES = {
    "type": "com.acme.payment.failed", "source": "/billing/worker-1", "subject": "order/A-1", "datacontenttype": "application/json",
    "time": datetime.datetime(2026, 1, 2, 3, 4, 5, tzinfo=datetime.UTC), "severity": "high", "specversion": "1.0",
}
DATA = {"order": "A-1", "error": "card declined"}


def send(step, headers, body):
    answer = requests.post(os.environ["CE_URL"], headers={**dict(headers), "Authorization": f"Bearer {os.environ['CE_TOKEN']}"}, data=body, timeout=60)
    told = answer.json()
    print(json.dumps({
        "step": step, "status": answer.status_code, "id": told.get("id"), "title": told.get("title"),
        "replayed": answer.headers.get("Idempotent-Replayed"),
    }))


event = CloudEvent({**ATTRIBUTES, "id": "new"}, DATA)
for step, message in (("binary", to_binary(event, JSONFormat())), ("structured", to_structured(event, JSONFormat()))):
    send(step, message.headers, message.body)

old = v1.CloudEvent({**ATTRIBUTES, "id": "old", "time": "2026-01-02T03:04:05Z", "subject": "caf\u00e9"}, DATA)
for step, (headers, body) in (("old binary", v1.to_binary(old)), ("old structured", v1.to_structured(old))):
    send(step, headers, body)
