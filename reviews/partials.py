"""Answers: a named part for htmx, the whole page for everyone else, and never anything a cache may keep."""

from typing import Any

from django.http import HttpRequest, HttpResponse, HttpResponseRedirect
from django.shortcuts import render
from django.utils.cache import patch_vary_headers
from django_htmx.http import HttpResponseClientRedirect

from . import veil


class SeeOther(HttpResponseRedirect):
    """303: what was posted is done; look there with a GET."""

    status_code = 303


def fresh(response: HttpResponse) -> HttpResponse:
    """Mark the answer as confidential and as differing between htmx and plain requests."""
    response["Cache-Control"] = "no-store"
    patch_vary_headers(response, ["HX-Request"])
    return response


def page(request: HttpRequest, template: str, context: dict[str, Any], status: int = 200) -> HttpResponse:
    """Render the whole page, whoever asks, under the veil that is in the context, else under the one of who asks."""
    over = context.get("veil") or (veil.for_person(request.user) if request.user.is_authenticated else veil.Veil())
    with veil.drawn(over):
        return fresh(render(request, template, context, status=status))


def part(request: HttpRequest, template: str, name: str, context: dict[str, Any], status: int = 200) -> HttpResponse:
    """Render one named part for htmx, the whole page for everyone else. `name` is a literal of the view, "#so"."""
    return page(request, template + (name if request.htmx else ""), context, status)


def leave(request: HttpRequest, url: str) -> HttpResponse:
    """Go to another page after something was done: 303, or HX-Redirect when htmx asked."""
    return fresh(HttpResponseClientRedirect(url) if request.htmx else SeeOther(url))
