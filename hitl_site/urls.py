"""Where the addresses lead."""

urlpatterns: list = []
