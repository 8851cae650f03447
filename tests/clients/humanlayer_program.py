"""A program as people have them who once relied on HumanLayer's cloud: its decorators, unchanged. Run in an environment of its own.

`python humanlayer_program.py STEP...`; says one JSON line for each step: what came back, and what really ran.
"""

import asyncio
import json
import os
import sys

from humanlayer import HumanLayer
from humanlayer.core.async_approval import AsyncHumanLayer
from humanlayer.core.models import (
    ContactChannel,
    Escalation,
    FunctionCallSpec,
    FunctionCallStatus,
    ResponseOption,
    SlackContactChannel,
)

OPS = ContactChannel(slack=SlackContactChannel(channel_or_user_id="C123", context_about_channel_or_user="ops"))
EU = ResponseOption(name="eu", title="eu-west")
CALL = os.environ.get("CALL", "call-of-a-webhook")
ran = []
hl = HumanLayer(run_id=os.environ.get("RUN", "run-42"), agent_name="billing bot")
later = AsyncHumanLayer(run_id="run-43")


@hl.require_approval(contact_channel=OPS, reject_options=[ResponseOption(name="wrong_amount", title="Wrong amount")])
def refund(order, cents):
    """Refund an order."""
    ran.append([order, cents])
    return f"refunded {order} {cents}"


@later.require_approval()
async def pay(order):
    """Pay an order."""
    ran.append(["paid", order])
    return f"paid {order}"


def asked():
    return hl.human_as_tool(response_options=[EU])(message="Which region?")


def created():
    return hl.create_function_call(FunctionCallSpec(fn="refund", kwargs={"order": "A-9"}, state={"thread": "t1"}), call_id=CALL).spec.state


def escalated():
    return hl.escalate_email_function_call(CALL, Escalation(escalation_msg="wake up")).call_id


def refused_by_me():
    return hl.respond_to_function_call(CALL, FunctionCallStatus(approved=False, comment="No, thank you.")).status.comment


def looked():
    status = hl.get_function_call(CALL).status
    return [status.approved, status.comment]


async def both():
    return [await pay(order="A-7"), await later.human_as_tool()(message="And then?")]


STEPS = {
    "approve": lambda: refund(order="A-1", cents=1250),
    "reject": lambda: refund(order="A-3", cents=1250),
    "edit": lambda: refund(order="A-2", cents=1250),
    "as_wanted": lambda: refund(order="A-2", cents=900),
    "by_position": lambda: refund("A-4", 1250),
    "expire": lambda: refund(order="A-5", cents=1250),
    "contact": asked,
    "async": lambda: asyncio.run(both()),
    "create": created,
    "escalate": escalated,
    "refuse": refused_by_me,
    "look": looked,
}

for step in sys.argv[1:]:
    try:
        said = STEPS[step]()
    except Exception as error:  # whatever it is, it is told
        said = f"RAISED {type(error).__name__}: {error}"
    sys.stdout.write(json.dumps({"step": step, "said": said, "ran": ran}) + "\n")
    ran.clear()
