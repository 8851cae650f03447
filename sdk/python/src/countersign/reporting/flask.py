"""Flask: `install(app)`. What nothing else handled is reported, and the caller told what became of it.

Callers that want JSON are answered with it unless the app has a handler of its own for errors; others get the app's page, with
headers. In debug and testing Flask lets exceptions through to you: they are reported all the same.
"""

from __future__ import annotations

from typing import Any

from flask import Flask, Response, g, got_request_exception, jsonify, request
from werkzeug.exceptions import InternalServerError

from .answering import ERROR, request_of, wants_json
from .reporter import Reporter, current
from .ticket import Ticket


def install(app: Flask, reporter: Reporter | None = None, *, wait: float | None = None) -> None:
    """Report what fails in `app`. `wait` is for this app; else the reporter's holds. In a handler `flask.g.countersign` is the receipt."""
    own = app.error_handler_spec.get(None, {})
    has_handler = any(own.get(code) for code in (None, 500))

    def failed(sender: Flask, exception: BaseException, **more: Any) -> None:
        route = request.url_rule.rule if request.url_rule else ""
        ticket = (reporter or current()).submit(exception, wait=wait, request=request_of(request.method, request.path, route))
        g.countersign = ticket.receipt()
        g.countersign_ticket = ticket

    def answer(error: InternalServerError) -> Any:
        ticket: Ticket | None = g.get("countersign_ticket")
        # Who aborted with 500 on purpose has said all there is to say; a browser gets the page it would have got.
        if ticket is None or not wants_json(request.headers.get("Accept", "")):
            return error
        return jsonify(ticket.known.as_json(ERROR)), 500

    def mark(response: Response) -> Response:
        ticket: Ticket | None = g.get("countersign_ticket")
        if ticket is not None:
            for name, value in ticket.known.headers().items():
                response.headers.setdefault(name, value)
        return response

    got_request_exception.connect(failed, app, weak=False)
    if not has_handler:
        app.register_error_handler(InternalServerError, answer)
    app.after_request(mark)
