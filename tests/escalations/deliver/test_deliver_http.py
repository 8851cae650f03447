"""One POST, against receivers that do everything wrong."""

import asyncio
import datetime
import ssl
import time

import pytest
from cryptography import x509
from cryptography.hazmat.primitives import hashes, serialization
from cryptography.hazmat.primitives.asymmetric import ec
from cryptography.x509.oid import NameOID

from escalations import callbacks
from escalations.deliver import http
from escalations.deliver.failed import DeliveryFailed
from tests.fakes import receiver as fakes

NOW = datetime.datetime(2026, 11, 20, 12, tzinfo=datetime.UTC)


async def here(host, port):
    return ["127.0.0.1"]


def post(url, *, total=2.0, tls=None, body=b'{"a":1}', resolve=here):
    target = callbacks.check(url, callback_url=url, allowed_hosts=[])
    return asyncio.run(http.post(target, {"X-Test": "1"}, body, now=NOW, resolve=resolve, total=total, tls=tls))


def failure(url, **kwargs):
    with pytest.raises(DeliveryFailed) as caught:
        post(url, **kwargs)
    return caught.value


@pytest.fixture(autouse=True)
def development(settings):
    settings.DEBUG = True


@pytest.fixture
def receiver():
    with fakes.listening() as listening:
        yield listening


@pytest.mark.parametrize("code", [200, 201, 202, 204, 299])
def test_any_2xx_is_success_and_the_bytes_arrive_as_they_were(receiver, code):
    receiver.otherwise = fakes.status(code, b"" if code == 204 else b'{"ok":true}')
    assert post(receiver.url + "?a=b&c=%20", body=b'{"z": 1,  "a":"\xc3\xa9"}') == code
    path, headers, body = receiver.requests[0]
    assert path == "/hook?a=b&c=%20"
    assert body == b'{"z": 1,  "a":"\xc3\xa9"}'
    assert headers["host"] == f"127.0.0.1:{receiver.port}"
    assert headers["x-test"] == "1"


@pytest.mark.parametrize("code", [400, 401, 404, 500, 502])
def test_an_error_is_told_with_a_clean_piece_of_what_it_said(receiver, code):
    receiver.otherwise = fakes.status(code, b"no\x00 \x1b[31mred\n<b>" + b"x" * 9000)
    failed = failure(receiver.url)
    assert failed.status == code
    assert failed.reason.startswith(f"answered {code}: no [31mred <b>x")
    assert failed.reason.isprintable()
    assert len(failed.reason) < 160
    assert not failed.disable and not failed.permanent


def test_410_asks_to_disable(receiver):
    receiver.otherwise = fakes.status(410)
    assert failure(receiver.url).disable


@pytest.mark.parametrize(
    ("said", "seconds"),
    [("120", 120), ("0", 0), ("99999999999999", http.LONGEST_WAIT), ("Fri, 20 Nov 2026 12:10:00 GMT", 600), ("Fri, 20 Nov 2020 12:00:00 GMT", 0),
     ("Fri, 20 Nov 2099 12:00:00 GMT", http.LONGEST_WAIT), ("-5", None), ("soon", None), ("1e3", None), ("²", None), ("Fri, 20 Nov 2026 12:10:00", None)],
)  # fmt: skip
def test_retry_after_is_read_and_bounded(said, seconds):
    assert http.retry_after(said.encode(), NOW) == seconds


@pytest.mark.parametrize("code", [429, 503])
def test_retry_after_comes_with_the_failure(receiver, code):
    receiver.otherwise = fakes.status(code, Retry_After="77")
    assert failure(receiver.url).retry_after == 77


@pytest.mark.parametrize("behave", [fakes.hang, fakes.drip])
def test_a_receiver_that_hangs_or_drips_costs_the_wall_limit_and_no_more(receiver, behave):
    receiver.otherwise = behave
    began = time.monotonic()
    assert "within 0.4 s" in failure(receiver.url, total=0.4).reason
    assert time.monotonic() - began < 2


def test_who_says_yes_and_then_drips_has_said_yes(receiver):
    receiver.otherwise = fakes.say_yes_then_drip
    began = time.monotonic()
    assert post(receiver.url, total=0.4) == 200
    assert time.monotonic() - began < 2


def test_a_slow_name_server_counts_too(receiver):
    async def slow(host, port):
        await asyncio.sleep(30)

    began = time.monotonic()
    assert "within 0.3 s" in failure(receiver.url, total=0.3, resolve=slow).reason
    assert time.monotonic() - began < 2


@pytest.mark.parametrize("code", [200, 500])
def test_an_answer_without_end_is_read_for_64_kb(receiver, code):
    receiver.otherwise = fakes.huge(code)
    if code == 200:
        assert post(receiver.url, total=10) == 200
    else:
        assert len(failure(receiver.url, total=10).reason) < 160
    assert receiver.hung_up.wait(10)


def test_headers_without_end_are_a_failure(receiver):
    receiver.otherwise = fakes.huge_headers
    assert "longer than 64 kB" in failure(receiver.url, total=10).reason
    assert receiver.hung_up.wait(10)


@pytest.mark.parametrize("behave", [fakes.reset, fakes.garbage])
def test_a_broken_connection_is_a_failure_in_words(receiver, behave):
    receiver.otherwise = behave
    assert "the connection broke" in failure(receiver.url).reason


def test_nobody_listening_is_a_failure_in_words():
    with fakes.listening() as receiver:
        url = receiver.url
    assert "cannot be reached" in failure(url).reason


# -- TLS


def certificate(name, *, expired=False, signed_by=None):
    """Return (PEM of key and certificate, the pair) for `name`, signed by itself or by another such pair."""
    key = ec.generate_private_key(ec.SECP256R1())
    day = datetime.timedelta(days=1)
    now = datetime.datetime.now(datetime.UTC)  # noqa: TID251 - TLS asks the machine's clock, not ours
    subject = x509.Name([x509.NameAttribute(NameOID.COMMON_NAME, name)])
    issuer, signing_key = (signed_by[0].subject, signed_by[1]) if signed_by else (subject, key)
    built = (
        x509.CertificateBuilder().subject_name(subject).issuer_name(issuer).public_key(key.public_key())
        .serial_number(x509.random_serial_number()).not_valid_before(now - 10 * day).not_valid_after(now - day if expired else now + day)
        .add_extension(x509.SubjectAlternativeName([x509.DNSName(name)]), critical=False)
        .add_extension(x509.BasicConstraints(ca=signed_by is None, path_length=None), critical=True)
        .sign(signing_key, hashes.SHA256())
    )  # fmt: skip
    pem = key.private_bytes(serialization.Encoding.PEM, serialization.PrivateFormat.PKCS8, serialization.NoEncryption())
    return pem + built.public_bytes(serialization.Encoding.PEM), (built, key)


@pytest.fixture
def tls(tmp_path):
    """Return a function that starts a TLS receiver for `name` and gives it with a context that trusts its authority."""

    def start(name, **how):
        _, authority = certificate("our test authority")
        pem, _ = certificate(name, signed_by=authority, **how)
        (tmp_path / "server.pem").write_bytes(pem)
        server = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
        server.load_cert_chain(tmp_path / "server.pem")
        asked = []
        server.sni_callback = lambda connection, sni, context: asked.append(sni)
        trusting = ssl.create_default_context(cadata=authority[0].public_bytes(serialization.Encoding.PEM).decode())
        return server, trusting, asked

    return start


def test_tls_and_host_keep_the_name_while_the_connection_goes_to_the_checked_address(tls):
    server, trusting, asked = tls("hooks.example.com")
    with fakes.listening(server) as receiver:
        assert post(f"https://hooks.example.com:{receiver.port}/in", tls=trusting) == 204
        assert receiver.requests[0][1]["host"] == f"hooks.example.com:{receiver.port}"
    assert asked == ["hooks.example.com"]


def test_an_expired_certificate_is_refused_with_its_reason(tls):
    server, trusting, _ = tls("hooks.example.com", expired=True)
    with fakes.listening(server) as receiver:
        assert "certificate has expired" in failure(f"https://hooks.example.com:{receiver.port}/", tls=trusting).reason
        assert receiver.requests == []


def test_another_name_s_certificate_is_refused(tls):
    server, trusting, _ = tls("other.example.com")
    with fakes.listening(server) as receiver:
        assert "certificate was refused" in failure(f"https://hooks.example.com:{receiver.port}/", tls=trusting).reason


def test_a_certificate_nobody_vouches_for_is_refused(tls):
    server, _, _ = tls("hooks.example.com")
    with fakes.listening(server) as receiver:
        assert "certificate was refused" in failure(f"https://hooks.example.com:{receiver.port}/").reason
        assert receiver.requests == []


def test_plain_http_on_a_tls_port_is_a_failure_in_words():
    with fakes.listening() as receiver:
        assert "TLS failed" in failure(f"https://hooks.example.com:{receiver.port}/").reason
