"""Slack's one address."""

from django.urls import path

from .views import interactivity

urlpatterns = [path("interactivity", interactivity, name="slack-interactivity")]
