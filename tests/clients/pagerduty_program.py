"""A program that has nothing but a PagerDuty client as it is published. Each line it prints is what one call returned, as JSON."""

import json
import os
import ssl
import sys

url, key = os.environ["PD_URL"], os.environ["PD_KEY"]

if sys.argv[1] == "pagerduty":
    import pagerduty

    print(json.dumps({"version": pagerduty.__version__}))
    trust = ssl.create_default_context(cafile=os.environ["PD_CA"])
    client = pagerduty.EventsApiV2Client(key, base_url=url, verify=trust)
    wrong = pagerduty.EventsApiV2Client("R" * 32, base_url=url, verify=trust)
    refused = pagerduty.HttpError
else:
    import pdpyras

    client, wrong = pdpyras.EventsAPISession(key), pdpyras.EventsAPISession("R" * 32)
    client.url = wrong.url = url
    refused = pdpyras.PDHTTPError

for step in sys.argv[2:]:
    if step == "trigger":
        said = client.trigger(
            "payment worker crashed", "billing-host-1", dedup_key="crash-1", severity="critical",
            custom_details={"order": "A-1"}, links=[{"href": "http://x/1", "text": "log"}],
            payload={"component": "worker", "group": "billing", "class": "crash"},
        )
    elif step == "unnamed":
        said = client.trigger("a worker is slow", "billing-host-2", severity="warning")
    elif step == "wrong":
        try:
            said = wrong.trigger("nobody", "nowhere")
        except refused as error:
            said = f"refused: {error.response.status_code} {error.response.json()['status']}"
    else:
        said = getattr(client, step)("crash-1")
    print(json.dumps({"step": step, "said": said}))
