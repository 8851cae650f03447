"""Where outcomes may go: nothing that is ours or nobody's is ever connected to, however it is dressed up."""

import asyncio
import socket
from datetime import UTC, datetime

import pytest
from hypothesis import given
from hypothesis import strategies as st

from escalations import callbacks
from escalations.deliver import addresses, http
from escalations.deliver.failed import DeliveryFailed
from tests.fakes.receiver import listening, status

NOW = datetime(2026, 11, 20, tzinfo=UTC)
PUBLIC = "93.184.216.34"
PUBLIC_6 = "2606:2800:220:1:248:1893:25c8:1946"

# What a name may resolve to, or be written as, that is not the public network.
PRIVATE = [
    "127.0.0.1", "127.0.0.2", "127.255.255.254", "0.0.0.0", "0.1.2.3", "10.0.0.1", "10.255.255.255",
    "100.64.0.1", "100.127.255.254", "169.254.169.254", "169.254.170.2", "172.16.0.1", "172.31.255.255",
    "192.0.0.1", "192.0.0.170", "192.0.2.1", "192.88.99.1", "192.168.0.1", "192.168.255.255", "198.18.0.1",
    "198.19.255.255", "198.51.100.7", "203.0.113.9", "224.0.0.1", "239.255.255.250", "240.0.0.1",
    "255.255.255.255", "::", "::1", "::ffff:127.0.0.1", "::ffff:10.0.0.1", "::ffff:169.254.169.254",
    "::ffff:93.184.216.34", "::127.0.0.1", "::7f00:1", "64:ff9b::7f00:1", "64:ff9b::a9fe:a9fe",
    "64:ff9b:1::a00:1", "100::1", "2001::1", "2001:0:53aa:64c::1", "2001:db8::1", "2002:7f00:1::1",
    "2002:a9fe:a9fe::1", "3fff::1", "fc00::1", "fd00::1", "fd00:ec2::254", "fe80::1", "fe80::1%eth0", "fec0::1",
    "ff02::1", "ff0e::1",
]  # fmt: skip

# Addresses that lead to this machine or nowhere, in every spelling; the honeypot listens on the port they name.
DRESSED_UP = [
    "https://127.0.0.1:{port}/", "https://[::1]:{port}/", "https://[::ffff:127.0.0.1]:{port}/", "https://0:{port}/",
    "https://0.0.0.0:{port}/", "https://2130706433:{port}/", "https://0x7f.1:{port}/", "https://0x7f000001:{port}/",
    "https://017700000001:{port}/", "https://127.1:{port}/", "https://127.0.1:{port}/", "https://0177.0.0.1:{port}/",
    "https://localhost:{port}/", "https://LOCALHOST:{port}/", "https://localhost.:{port}/", "https://localhost.localdomain:{port}/",
    "https://[::]:{port}/", "https://[0:0:0:0:0:ffff:7f00:1]:{port}/", "https://[::1%25lo]:{port}/", "https://[64:ff9b::7f00:1]:{port}/",
    "https://127。0。0。1:{port}/", "https://①②⑦.⓪.⓪.①:{port}/", "https://127.0.0.1%00.example.com:{port}/",
    "https://127.0.0.1\\@example.com:{port}/", "https://example.com@127.0.0.1:{port}/", "https://a:b@127.0.0.1:{port}/",
    "https://@127.0.0.1:{port}/", "https://127.0.0.1:{port}#@example.com/", "https://example.com\\.127.0.0.1:{port}/",
    "http://127.0.0.1:{port}/", "http://a@b:{port}/", "//127.0.0.1:{port}/", "https:127.0.0.1:{port}", "https:///127.0.0.1:{port}/",
    "ftp://127.0.0.1:{port}/", "file:///etc/passwd", "gopher://127.0.0.1:{port}/_x", "HTTPS ://127.0.0.1:{port}/", "https://127.0.0.1:{port}\n/",
    "https://127.0.0.1 :{port}/", "\thttps://127.0.0.1:{port}/", "https://127.0.0.1:{port}\r\nHost: x/", "https://:{port}/", "https://.:{port}/",
    "https://[::ffff:7f00:1]:{port}/", "https://[fe80::1]:{port}/", "https://169.254.169.254/latest/meta-data/", "https://[fd00:ec2::254]/",
    "https://metadata.google.internal/", "https://127.0.0.1:0/", "https://127.0.0.1:99999/", "https://127.0.0.1:-1/", "", "https://",
]  # fmt: skip


def sending(url, found, *, source_url="", hosts=(), tls=None):
    """Do what the sender does with a URL, with a resolver that answers `found`; return its failure."""
    lookups = []

    async def resolve(host, port):
        lookups.append(host)
        answer = found(host) if callable(found) else found
        if isinstance(answer, Exception):
            raise answer
        return answer

    async def send():
        target = callbacks.check(url, callback_url=source_url or url, allowed_hosts=hosts)
        return await http.post(target, {}, b"{}", now=NOW, resolve=resolve, total=2, tls=tls)

    try:
        return asyncio.run(send()), lookups
    except (DeliveryFailed, callbacks.BadCallback) as error:
        return error, lookups


@pytest.fixture
def connections(monkeypatch):
    """Every address anything tries to connect to, whatever came of it."""
    tried = []
    plain = http.httpcore2.AnyIOBackend.connect_tcp

    async def connect(self, host, port, *args, **kwargs):
        tried.append(host)
        if host in (PUBLIC, PUBLIC_6):
            raise http.httpcore2.ConnectError("a test reaches nobody")
        return await plain(self, host, port, *args, **kwargs)

    monkeypatch.setattr(http.httpcore2.AnyIOBackend, "connect_tcp", connect)
    return tried


@pytest.fixture
def honeypot():
    with listening() as receiver:
        yield receiver


@pytest.mark.parametrize("dressed", DRESSED_UP)
def test_no_way_to_write_this_machine_reaches_it(dressed, honeypot, connections, settings):
    settings.DEBUG = False
    url = dressed.format(port=honeypot.port)

    def found(host):  # what the machine's resolver makes of the spelling, and of names that lead here
        try:
            return list(dict.fromkeys(str(entry[4][0]) for entry in socket.getaddrinfo(host, None)))
        except (OSError, UnicodeError):
            return ["127.0.0.1"]

    outcome, _ = sending(url, found, hosts=["127.0.0.1", f"127.0.0.1:{honeypot.port}", "localhost"])
    assert isinstance(outcome, Exception)
    assert connections == []
    assert honeypot.requests == []


@pytest.mark.parametrize("address", PRIVATE)
def test_a_name_that_resolves_to_what_is_not_public_is_refused(address, connections, settings):
    settings.DEBUG = False
    outcome, lookups = sending("https://innocent.example.com/hook", [address])
    assert isinstance(outcome, DeliveryFailed)
    assert "refused" in outcome.reason
    assert lookups == ["innocent.example.com"]
    assert connections == []


@pytest.mark.parametrize("address", PRIVATE)
def test_one_bad_address_among_good_ones_refuses_them_all(address, connections, settings):
    settings.DEBUG = False
    outcome, _ = sending("https://innocent.example.com/hook", [PUBLIC, address])
    assert isinstance(outcome, DeliveryFailed)
    assert connections == []


def test_public_addresses_are_tried_in_order(connections, settings):
    settings.DEBUG = False
    outcome, _ = sending("https://innocent.example.com/hook", [PUBLIC, PUBLIC_6])
    assert connections == [PUBLIC, PUBLIC_6]
    assert "cannot be reached" in outcome.reason


def test_a_name_that_changes_its_mind_is_asked_once_and_the_first_answer_is_used(honeypot, connections, settings):
    settings.DEBUG = False
    answers = [[PUBLIC], ["127.0.0.1"], ["127.0.0.1"]]
    outcome, lookups = sending(f"https://rebinding.example.com:{honeypot.port}/", lambda host: answers.pop(0))
    assert isinstance(outcome, DeliveryFailed)
    assert lookups == ["rebinding.example.com"]
    assert connections == [PUBLIC]
    assert honeypot.requests == []


def test_an_alias_of_something_internal_is_judged_by_where_it_leads(connections, settings):
    settings.DEBUG = False
    # The resolver follows CNAMEs; what it comes back with is what counts.
    outcome, _ = sending("https://cname-to-internal.example.com/", ["10.1.2.3"])
    assert "10.1.2.3 is not a public address" in outcome.reason
    assert connections == []


def test_a_redirect_to_the_metadata_address_is_a_failure_and_not_followed(honeypot, connections, settings):
    settings.DEBUG = True
    honeypot.otherwise = status(302, Location="http://169.254.169.254/latest/meta-data/")
    outcome, _ = sending(honeypot.url, ["127.0.0.1"])
    assert outcome.reason == "answered 302; redirects are not followed"
    assert outcome.status == 302
    assert connections == ["127.0.0.1"]
    assert len(honeypot.requests) == 1


@pytest.mark.parametrize("code", [301, 303, 307, 308])
def test_no_redirect_is_followed_to_ourselves_either(code, honeypot, settings):
    settings.DEBUG = True
    honeypot.otherwise = status(code, Location=honeypot.url)
    outcome, _ = sending(honeypot.url, ["127.0.0.1"])
    assert isinstance(outcome, DeliveryFailed)
    assert len(honeypot.requests) == 1


def test_loopback_is_for_development_only(honeypot, settings):
    settings.DEBUG = True
    assert sending(honeypot.url, ["127.0.0.1"])[0] == 204
    settings.DEBUG = False
    assert isinstance(sending(honeypot.url, ["127.0.0.1"])[0], callbacks.BadCallback)
    assert len(honeypot.requests) == 1


def test_plain_http_leaves_this_machine_never(connections, settings):
    settings.DEBUG = True
    outcome, _ = sending("http://innocent.example.com/", [PUBLIC])
    assert outcome.permanent
    assert connections == []


def test_private_networks_are_refused_in_development_too(connections, settings):
    settings.DEBUG = True
    for address in ("10.0.0.1", "169.254.169.254", "::ffff:127.0.0.1", "0.0.0.0", "fd00::1"):
        assert isinstance(sending("https://innocent.example.com/", [address])[0], DeliveryFailed)
    assert connections == []


def test_a_name_that_does_not_resolve_is_tried_again_later(settings):
    outcome, _ = sending("https://gone.example.com/", socket.gaierror(-2, "Name or service not known"))
    assert "cannot be resolved" in outcome.reason
    assert not outcome.permanent
    assert "no address" in sending("https://gone.example.com/", [])[0].reason


@pytest.mark.parametrize(
    ("url", "allowed"),
    [
        ("https://hooks.example.com/other?x=1", True),
        ("https://HOOKS.example.com/", True),
        ("https://hooks.example.com:443/", True),
        ("https://hooks.example.com:8443/", False),
        ("https://second.example.com/", True),
        ("https://third.example.com:9000/", True),
        ("https://third.example.com/", False),
        ("https://evil.com/hooks.example.com", False),
        ("https://hooks.example.com.evil.com/", False),
        ("https://xhooks.example.com/", False),
        ("https://sub.hooks.example.com/", False),
    ],
)
def test_only_the_source_s_own_hosts_are_called(url, allowed):
    source = {"callback_url": "https://hooks.example.com/in", "allowed_hosts": ["second.example.com", "third.example.com:9000", "!!"]}
    if allowed:
        assert callbacks.check(url, **source).scheme == "https"
    else:
        with pytest.raises(callbacks.BadCallback, match="not among"):
            callbacks.check(url, **source)


def test_a_source_without_a_callback_and_hosts_allows_nothing():
    with pytest.raises(callbacks.BadCallback):
        callbacks.check("https://hooks.example.com/", callback_url="", allowed_hosts=[])


@given(st.text(max_size=60))
def test_reading_a_url_never_fails_otherwise(text):
    for url in (text, f"https://{text}", f"https://{text}@127.0.0.1/", f"https://example.com{text}"):
        try:
            target = callbacks.parse(url)
        except callbacks.BadCallback:
            continue
        assert target.path.startswith("/")
        assert target.host and "@" not in target.authority


@given(st.ip_addresses())
def test_what_is_allowed_is_public(address):
    reason = addresses.why_not(str(address))
    if reason is None and not address.is_loopback:
        assert address.is_global
        assert not address.is_multicast
        assert not address.is_private


def test_text_that_is_no_address_is_refused():
    assert addresses.why_not("example.com") is not None
    assert addresses.why_not("") is not None
