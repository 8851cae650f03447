"""POST /slack/interactivity: the one address Slack is told of. A GET decides nothing; it is not even answered."""

import logging

from django.contrib.auth.decorators import login_not_required
from django.db import InterfaceError, OperationalError
from django.http import HttpRequest, HttpResponse
from django.views.decorators.csrf import csrf_exempt
from django.views.decorators.http import require_POST

from escalations import clock, queue
from escalations.errors import MalformedJson
from escalations.models import SlackWorkspace

from . import payload, signature
from .presses import press

logger = logging.getLogger(__name__)

MOST_BYTES = 256 * 1024  # Slack sends the whole message along


@csrf_exempt  # no cookies here: the signature is the credential
@login_not_required
@require_POST
def interactivity(request: HttpRequest) -> HttpResponse:
    """200 and nothing else, well within Slack's three seconds: what came of it is told by a worker, in the channel.

    401 for what Slack did not sign or signed more than five minutes ago, 403 for another workspace's, 400 for no payload, 413, and 503
    while the database is away. One query for a request that is signed by nobody, none for one without a signature.
    """
    timestamp, signed = request.headers.get("X-Slack-Request-Timestamp", ""), request.headers.get("X-Slack-Signature", "")
    if not signature.looks_right(timestamp, signed, clock.now()):
        return _said(401)
    body = request.read(MOST_BYTES + 1)
    if len(body) > MOST_BYTES:
        return _said(413)
    try:
        workspaces = list(SlackWorkspace.objects.filter(disabled_at=None))
        workspace = signature.signer_of(workspaces, timestamp=timestamp, signature=signed, body=body)
        if workspace is None:
            return _said(401)
        pressed = payload.read(body)
        if pressed is None:
            return _said(200)
        if pressed.team != workspace.team_id:
            logger.warning("slack: a request signed for %s speaks of another workspace", workspace.team_id)
            return _said(403)
        outcome = press(workspace, pressed, signed.removeprefix("v0="))
    except MalformedJson:
        return _said(400)
    except (OperationalError, InterfaceError) as error:
        logger.error("slack: a press could not be dealt with: %s at %s", type(error).__name__, queue.whence(error))
        return _said(503)
    logger.info("slack: a press: %s", outcome)
    return _said(200)


def _said(status: int) -> HttpResponse:
    response = HttpResponse(status=status, content_type="text/plain")
    response["Cache-Control"] = "no-store"
    return response
