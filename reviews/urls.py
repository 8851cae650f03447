"""The people's door."""

from django.urls import path

from .views import acts, autonomy, desk, group, held, inbox, live, proposal, records, run, runs, saved, stop, strip, tokens, you

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
    path("autonomy/", autonomy.show, name="autonomy"),
    path("autonomy/<int:pk>/", autonomy.lane, name="lane"),
    path("autonomy/<int:pk>/grant/", autonomy.grant, name="lane_grant"),
    path("autonomy/<int:pk>/withdraw/", autonomy.withdraw, name="lane_withdraw"),
    path("autonomy/<int:pk>/target/", autonomy.target, name="lane_target"),
    path("oversight/", runs.show, name="runs"),
    path("oversight/arrivals/", runs.arrivals, name="run_arrivals"),
    path("oversight/stop/", runs.stop_many, name="stop_runs"),
    path("oversight/<uuid:pk>/", run.show, name="run"),
    path("oversight/<uuid:pk>/acts/", run.act, name="run_acts"),
    path("oversight/<uuid:pk>/now/", run.now, name="run_now"),
    path("oversight/<uuid:pk>/steps/", run.steps, name="run_steps"),
    path("oversight/<uuid:pk>/replay/", run.replay, name="run_replay"),
    path("oversight/<uuid:pk>/row/", runs.row, name="run_row"),
    path("live/", live.stream, name="live"),
    path("stop/", stop.show, name="stop"),
    path("settled/", records.settled_list, name="settled"),
    path("settled/file/", records.settled_file, name="settled_file"),
    path("you/", you.show, name="you"),
    path("tokens/", tokens.show, name="tokens"),
]
