"""Flask: its caller is told what became of it, and its own way with errors stays."""

import pytest
from hosting import Away, body_of

flask = pytest.importorskip("flask", reason="flask is not installed")
integration = pytest.importorskip("countersign.reporting.flask")


@pytest.fixture
def shop():
    app = flask.Flask("shop")
    app.config["PROPAGATE_EXCEPTIONS"] = False
    return app


def test_flask_tells_its_caller_what_became_of_it(shop, reporter, posts):
    integration.install(shop, reporter)

    @shop.get("/refunds/<order>")
    def refund(order):
        raise Away("gateway is away")

    answer = shop.test_client().get("/refunds/A-1")
    assert answer.status_code == 500 and answer.json == body_of(answer.headers["X-Countersign-Reference"])
    page = shop.test_client().get("/refunds/A-1", headers={"Accept": "text/html,*/*;q=0.8"})
    assert page.mimetype == "text/html" and page.headers["X-Countersign-Incident"] == "i-1"
    assert posts[0]["context"]["request"]["route"] == "/refunds/<order>"
    assert shop.test_client().get("/nowhere").status_code == 404 and len(posts) == 2


def test_flask_keeps_a_handler_of_its_own(shop, reporter, posts):
    shop.register_error_handler(500, lambda error: ("sorry", 500))
    integration.install(shop, reporter)

    @shop.get("/")
    def fails():
        raise Away("x")

    answer = shop.test_client().get("/")
    assert answer.text == "sorry" and answer.headers["X-Countersign-Incident"] == "i-1" and len(posts) == 1
