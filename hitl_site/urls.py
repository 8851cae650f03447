"""Where the addresses lead."""

from django.contrib import admin
from django.urls import include, path

from reviews.views import doors

urlpatterns = [
    path("api/", include("escalations.api.urls")),
    path("", include("escalations.health")),
    path("login/", doors.sign_in, name="login"),
    path("logout/", doors.sign_out, name="logout"),
    path("admin/", admin.site.urls),
    path("", include("reviews.urls")),
]
