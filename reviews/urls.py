"""The people's door."""

from django.urls import path

from .views import acts, desk, group, held, inbox, proposal, records, saved, tokens

app_name = "reviews"
urlpatterns = [
    path("", inbox.show, name="inbox"),
    path("arrivals/", inbox.arrivals, name="arrivals"),
    path("rows/<uuid:pk>/", inbox.row, name="row"),
    path("lists/", saved.change, name="lists"),
    path("proposals/<uuid:pk>/", proposal.show, name="proposal"),
    path("proposals/<uuid:pk>/raw/", proposal.raw, name="raw"),
    path("proposals/<uuid:pk>/acts/", acts.act, name="acts"),
    path("incidents/<uuid:pk>/", records.incident, name="incident"),
    path("held/", held.show, name="held"),
    path("groups/", group.show, name="group"),
    path("desk/", desk.show, name="desk"),
    path("live/", live.stream, name="live"),
    path("settled/", records.settled_list, name="settled"),
    path("tokens/", tokens.show, name="tokens"),
    path("settled/file/", records.settled_file, name="settled_file"),
]
