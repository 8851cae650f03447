"""Where the addresses lead."""

from django.conf import settings
from django.contrib import admin
from django.contrib.auth.decorators import login_not_required
from django.urls import include, path
from django.views.generic import RedirectView

from reviews.views import doors

# Browsers ask for it wherever a page names none, as the JSON of the API does.
favicon = login_not_required(RedirectView.as_view(url=f"{settings.STATIC_URL}img/icon.svg", permanent=True))

handler500 = "reviews.views.doors.broken"
urlpatterns = [
    path("favicon.ico", favicon, name="favicon"),
    path("", include("escalations.adapters.urls")),
    path("api/", include("escalations.api.urls")),
    path("slack/", include("escalations.chat.urls")),
    path("", include("escalations.health")),
    path("login/", doors.sign_in, name="login"),
    path("logout/", doors.sign_out, name="logout"),
    path("admin/", admin.site.urls),
    path("", include("reviews.urls")),
]
