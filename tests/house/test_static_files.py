"""Static text goes compressed to whoever takes it so; everything else as it is."""

import asyncio
import gzip
from pathlib import Path

import pytest

from hitl_site.static_files import static_files

ROOT = Path(__file__).resolve().parents[2]


async def below(scope, receive, send):
    """What stands behind the static files: a page, long enough to be worth compressing."""
    await send({"type": "http.response.start", "status": 200, "headers": [(b"content-type", b"text/html"), (b"content-length", b"900")]})
    await send({"type": "http.response.body", "body": b"p" * 900})


def ask(path, **headers):
    scope = {
        "type": "http", "http_version": "1.1", "method": headers.pop("method", "GET"), "path": path, "raw_path": path.encode(),
        "query_string": b"", "root_path": "", "scheme": "http", "server": ("testserver", 80), "client": ("127.0.0.1", 1),
        "headers": [(name.replace("_", "-").encode(), value.encode()) for name, value in headers.items()],
    }  # fmt: skip
    said = []

    async def receive():
        return {"type": "http.request", "body": b"", "more_body": False}

    async def send(message):
        said.append(message)

    asyncio.run(static_files(below)(scope, receive, send))
    answered = {name.decode().lower(): value.decode() for name, value in said[0]["headers"]}
    return said[0]["status"], answered, b"".join(one.get("body", b"") for one in said[1:])


def test_a_sheet_is_compressed_for_who_takes_it_so():
    plain = (ROOT / "static/css/components.css").read_bytes()

    status, headers, body = ask("/static/css/components.css", accept_encoding="br, gzip")

    assert status == 200 and headers["content-encoding"] == "gzip" and headers["vary"] == "Accept-Encoding"
    assert int(headers["content-length"]) == len(body) < len(plain) / 2
    assert gzip.decompress(body) == plain


@pytest.mark.parametrize("how", [{}, {"accept_encoding": "identity"}, {"accept_encoding": "gzip", "range": "bytes=0-9"}])
def test_whoever_does_not_take_it_so_gets_it_as_it_is(how):
    status, headers, body = ask("/static/css/components.css", **how)

    assert status in (200, 206) and "content-encoding" not in headers
    assert (ROOT / "static/css/components.css").read_bytes().startswith(body)


def test_a_page_is_never_compressed():
    status, headers, body = ask("/", accept_encoding="gzip")

    assert "content-encoding" not in headers and body == b"p" * 900


def test_what_has_not_changed_is_not_sent_again():
    _, headers, _ = ask("/static/css/components.css", accept_encoding="gzip")

    status, again, body = ask("/static/css/components.css", accept_encoding="gzip", if_modified_since=headers["last-modified"])

    assert status == 304 and body == b"" and "content-encoding" not in again
