"""Static files, served before Django: a file costs no thread and no middleware."""

from typing import Any

from django.conf import settings
from django.contrib.staticfiles.finders import get_finders
from servestatic import ServeStaticASGI


def static_files(application: Any) -> Any:
    """Return the application with every installed static file in front of it; in development files may change meanwhile."""
    served = ServeStaticASGI(application, autorefresh=settings.DEBUG, max_age=0 if settings.DEBUG else 3600)
    for finder in get_finders():
        for storage in getattr(finder, "storages", {}).values():
            served.add_files(storage.location, prefix=settings.STATIC_URL)
    return served
