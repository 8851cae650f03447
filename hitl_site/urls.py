"""Where the addresses lead."""

from importlib.util import find_spec

from django.contrib import admin
from django.urls import include, path

from reviews.views import doors

urlpatterns = []
if find_spec("escalations.api.urls"):
    urlpatterns.append(path("api/", include("escalations.api.urls")))
if find_spec("escalations.health"):
    urlpatterns.append(path("", include("escalations.health")))
urlpatterns += [
    path("login/", doors.sign_in, name="login"),
    path("logout/", doors.sign_out, name="logout"),
    path("admin/", admin.site.urls),
    path("", include("reviews.urls")),
]
