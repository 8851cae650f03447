from django.apps import AppConfig


class EscalationsConfig(AppConfig):
    """The record."""

    name = "escalations"
    default_auto_field = "django.db.models.BigAutoField"

    def ready(self) -> None:
        from escalations import checks  # noqa: F401, PLC0415 - registering is the import
