from django.apps import AppConfig
from django.contrib.admin import apps as django_admin


class EscalationsConfig(AppConfig):
    """The record."""

    name = "escalations"
    default = True
    default_auto_field = "django.db.models.BigAutoField"

    def ready(self) -> None:
        from escalations import checks  # noqa: F401, PLC0415 - registering is the import


class AdminConfig(django_admin.AdminConfig):
    """Django's admin with our site: other apps cannot register anything on it."""

    default = False
    default_site = "escalations.admin_site.CountersignSite"
