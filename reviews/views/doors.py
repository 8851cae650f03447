"""Signing in and out, and the pages for when something is not there."""

from django.contrib.auth import views as auth
from django.contrib.auth.forms import AuthenticationForm
from django.db import Error
from django.http import HttpRequest, HttpResponse
from django.shortcuts import render
from django.template.loader import render_to_string
from django.urls import reverse
from django.views.csrf import csrf_failure

from escalations import standstill

from .. import kept
from ..partials import fresh, leave


class SignIn(auth.LoginView):
    """Django's own sign-in with our face; whoever is signed in already goes on."""

    redirect_authenticated_user = True

    def form_valid(self, form: AuthenticationForm) -> HttpResponse:
        """Sign in. What somebody else had typed in this browser before goes no further."""
        answer = super().form_valid(form)
        kept.of_this_person(self.request)
        return answer

    def get_context_data(self, **options: object) -> dict:
        return super().get_context_data(**options, text_is_kept=kept.PLACE in self.request.session)

    def render_to_response(self, context: dict, **options: object) -> HttpResponse:
        """422 when the form was wrong, so that scripts and screen readers are told apart from a first visit."""
        status = 422 if context["form"].is_bound else 200
        return fresh(super().render_to_response(context, status=status, **options))


sign_in = SignIn.as_view()
sign_out = auth.LogoutView.as_view()


def csrf_failed(request: HttpRequest, reason: str = "") -> HttpResponse:
    """Answer a form whose token is not this browser's any more: after signing in again in another tab, every page open before.

    Nothing is done. What was typed is put back into the form, for whom the page was drawn; for anything else it is a 403.
    """
    page = kept.keep(request)
    if page is None:
        return csrf_failure(request, reason)
    if request.user.is_authenticated:
        kept.of_this_person(request)
        return leave(request, page)
    return leave(request, reverse("login", query={"next": page}))


def broken(request: HttpRequest) -> HttpResponse:
    """Say that something broke on our side, and, to who is signed in, whether everything is stopped; with as little as can break."""
    user = getattr(request, "user", None)
    try:
        stop = standstill.standing() if user is not None and user.is_authenticated else None
    except Error:  # the database may be what broke
        stop = None
    return HttpResponse(render_to_string("500.html", {"stopped": stop}), status=500)


def locked_out(request: HttpRequest, *args: object, **options: object) -> HttpResponse:
    """Answer who tried too many passwords (django-axes calls this)."""
    return fresh(render(request, "registration/locked.html", status=429))
