"""The addresses existing clients post to, spelled exactly as they spell them: nothing redirects a POST."""

from django.urls import URLPattern

urlpatterns: list[URLPattern] = []
