"""Signing in and out, and the pages for when something is not there."""

from django.contrib.auth import views as auth
from django.http import HttpRequest, HttpResponse
from django.shortcuts import render

from ..partials import fresh


class SignIn(auth.LoginView):
    """Django's own sign-in with our face; whoever is signed in already goes on."""

    redirect_authenticated_user = True

    def render_to_response(self, context: dict, **options: object) -> HttpResponse:
        """422 when the form was wrong, so that scripts and screen readers are told apart from a first visit."""
        status = 422 if context["form"].is_bound else 200
        return fresh(super().render_to_response(context, status=status, **options))


sign_in = SignIn.as_view()
sign_out = auth.LogoutView.as_view()


def locked_out(request: HttpRequest, *args: object, **options: object) -> HttpResponse:
    """Answer who tried too many passwords (django-axes calls this)."""
    return fresh(render(request, "registration/locked.html", status=429))
