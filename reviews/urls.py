"""The people's door."""

from django.urls import path

from .views import acts, desk, group, held, inbox, live, proposal, records, saved, stop, strip, tokens, you

app_name = "reviews"
urlpatterns = [
    path("", inbox.show, name="inbox"),
    path("arrivals/", inbox.arrivals, name="arrivals"),
    path("rows/<uuid:pk>/", inbox.row, name="row"),
    path("lists/", saved.change, name="lists"),
    path("proposals/<uuid:pk>/", proposal.show, name="proposal"),
    path("proposals/<uuid:pk>/raw/", proposal.raw, name="raw"),
    path("proposals/<uuid:pk>/acts/", acts.act, name="acts"),
    path("proposals/<uuid:pk>/strip/", strip.show, name="strip"),
    path("incidents/<uuid:pk>/", records.incident, name="incident"),
    path("held/", held.show, name="held"),
    path("groups/", group.show, name="group"),
    path("desk/", desk.show, name="desk"),
    path("live/", live.stream, name="live"),
    path("stop/", stop.show, name="stop"),
    path("settled/", records.settled_list, name="settled"),
    path("settled/file/", records.settled_file, name="settled_file"),
    path("you/", you.show, name="you"),
    path("tokens/", tokens.show, name="tokens"),
]
