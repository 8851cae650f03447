from django.apps import AppConfig


class ReviewsConfig(AppConfig):
    """The room."""

    name = "reviews"
    default_auto_field = "django.db.models.BigAutoField"
