"""Pages as wide and narrow as they are looked at, pictures of them, and what axe finds in them."""

import os
from pathlib import Path

from axe_playwright_python.sync_playwright import Axe

PICTURES = os.environ.get("PICTURES")  # a folder to leave pictures in, for whoever wants to look
SIZES = {"wide": {"width": 1280, "height": 900}, "phone": {"width": 390, "height": 844}}


def picture(page, name):
    if PICTURES:
        page.screenshot(path=Path(PICTURES) / f"{name}.png", full_page=True)


def axe(page):
    """What axe finds. Its script is injected by the browser's own tool, past the page's policy."""
    page.wait_for_load_state("load")
    found = Axe().run(page).response["violations"]
    assert [(one["id"], [node["target"] for node in one["nodes"]]) for one in found] == []
