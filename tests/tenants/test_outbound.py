"""Requests to strangers: bounded in time, never into our own network, whatever the other side does."""

from __future__ import annotations

import socket
from pathlib import Path

import pytest
from django.utils import translation

from tenants import outbound
from tests.webhook_server import Receiver, receiver


@pytest.fixture(autouse=True)
def english():
    with translation.override("en"):
        yield


@pytest.fixture
def server(tmp_path: Path):
    with receiver(tmp_path / "hooks") as server:
        yield server


def post(server: Receiver, **bounds: float) -> outbound.Answer:
    return outbound.post(server.url, b'{"a":1}', {"Content-Type": "application/json"}, to_anyone=True, **bounds)


def test_body_path_and_headers_arrive(server):
    answer = post(server)
    assert (answer.status, answer.retry_after) == (204, None)
    (request,) = server.requests
    assert (request["path"], request["body"]) == ("/hooks?from=kontor", '{"a":1}')
    assert request["headers"]["content-type"] == "application/json"
    assert request["headers"]["host"] == f"127.0.0.1:{server.port}"


def test_an_answer_is_read_in_part_and_a_redirect_is_not_followed(server):
    server.behave("302 Location: http://127.0.0.1:1/")
    answer = post(server)
    assert (answer.status, len(answer.text)) == (302, 1000)
    assert len(server.requests) == 1


@pytest.mark.parametrize(("header", "seconds"), [("60", 60), ("Wed, 21 Oct 2026 07:28:00 GMT", None), ("-1", None)])
def test_how_long_to_wait_is_read_where_it_is_a_number(server, header, seconds):
    server.behave(f"429 Retry-After: {header}")
    assert post(server).retry_after == seconds


def test_silence_ends(server, monkeypatch):
    monkeypatch.setattr(outbound, "TIMEOUT", 0.2)
    server.behave("hang")
    with pytest.raises(outbound.Unreachable, match="No answer in time"):
        post(server)
    assert len(server.requests) == 1


@pytest.mark.parametrize("mode", ["cut", "rubbish"])
def test_what_is_no_answer_is_none(server, mode):
    server.behave(mode)
    with pytest.raises(outbound.Unreachable):
        post(server)


def test_a_byte_now_and_then_does_not_hold_a_worker(server):
    server.behave("drip")
    with pytest.raises(outbound.Unreachable):
        post(server, whole_time=0.3)


def test_nobody_there(tmp_path):
    with socket.socket() as taken:
        taken.bind(("127.0.0.1", 0))
        with pytest.raises(outbound.Unreachable):
            outbound.post(f"http://127.0.0.1:{taken.getsockname()[1]}/", b"", {}, to_anyone=True)


@pytest.mark.parametrize("url", ["https://127.0.0.1:1/", "https://localhost:1/", "https://[::1]:1/"])
def test_no_address_inside_our_own_network(url, monkeypatch):
    monkeypatch.setattr(socket, "create_connection", lambda *a, **k: pytest.fail("called"))
    with pytest.raises(outbound.Unreachable, match="inside our own network"):
        outbound.post(url, b"", {}, to_anyone=False)


def test_no_address_without_tls():
    with pytest.raises(outbound.Unreachable, match="https://"):
        outbound.post("http://example.com/", b"", {}, to_anyone=False)


@pytest.mark.parametrize("url", ["https://example.com:99999/", "https://example.com:1 2/", "https://[::1/"])
def test_an_address_that_cannot_be_read(url):
    """A form takes some of them; whoever calls is told as of any other trouble."""
    with pytest.raises(outbound.Unreachable, match="cannot be read"):
        outbound.post(url, b"", {}, to_anyone=True)


@pytest.mark.parametrize(
    ("address", "public"),
    [
        ("93.184.216.34", True),
        ("2606:2800:220:1:248:1893:25c8:1946", True),
        ("10.0.0.1", False),
        ("172.16.0.1", False),
        ("192.168.1.1", False),
        ("169.254.169.254", False),
        ("100.64.0.1", False),
        ("0.0.0.0", False),
        ("224.0.0.1", False),
        ("fe80::1%eth0", False),
        ("fd00::1", False),
        ("::ffff:10.0.0.1", False),
        ("2002:0a00:0001::", False),
        ("64:ff9b::93.184.216.34", True),
        ("64:ff9b::169.254.169.254", False),
        ("64:ff9b:1::10.0.0.1", False),
        ("::ffff:0:10.0.0.1", False),
        ("::10.0.0.1", False),
        ("fec0::1", False),
        ("2001:db8::1", False),
        ("3fff::1", False),
        ("3fff:fff:ffff::1", False),
        ("5f00::1", False),
        ("2a00:1450:4001::1", True),
    ],
)
def test_which_addresses_are_public(address, public):
    assert outbound.is_public(address) is public


@pytest.mark.parametrize(
    ("language", "code", "said"),
    [
        ("en", socket.EAI_NONAME, "The name hooks.invalid is not known."),
        ("de", socket.EAI_NONAME, "Der Name hooks.invalid ist nicht bekannt."),
        ("en", socket.EAI_AGAIN, "The name hooks.invalid could not be looked up just now."),
        ("de", socket.EAI_AGAIN, "Der Name hooks.invalid ließ sich gerade nicht nachschlagen."),
    ],
)
def test_a_name_that_nobody_knows_is_told_in_words(monkeypatch, language, code, said):
    def unknown(*_arguments, **_options):
        raise socket.gaierror(code, "Name or service not known")

    monkeypatch.setattr(socket, "getaddrinfo", unknown)
    with translation.override(language), pytest.raises(outbound.Unreachable) as refusal:
        outbound.post("https://hooks.invalid/", b"", {}, to_anyone=False)
    assert str(refusal.value) == said


def test_a_name_with_one_inner_address_is_refused(monkeypatch):
    """Also if another of its addresses is public: which one is called is up to whoever answers for the name."""
    entries = [(socket.AF_INET, socket.SOCK_STREAM, 6, "", (address, 443)) for address in ("93.184.216.34", "10.0.0.1")]
    monkeypatch.setattr(socket, "getaddrinfo", lambda *a, **k: entries)
    with pytest.raises(outbound.Unreachable, match="inside our own network"):
        outbound.post("https://shop.example.com/", b"", {}, to_anyone=False)
