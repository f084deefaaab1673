"""One HTTP request to an address that a person entered: to no address of our own network, within a time, read in part.

The only place that speaks HTTP to strangers. The name is looked up once and that address is called, so that it cannot
become another one in between; redirects are not followed.
"""

from __future__ import annotations

import http.client
import ipaddress
import socket
import ssl
from collections.abc import Iterator, Mapping
from contextlib import contextmanager, suppress
from dataclasses import dataclass
from threading import Event, Timer
from typing import Final
from urllib.parse import urlsplit

from django.utils.translation import gettext as _

TIMEOUT: Final = 10.0  # seconds of silence
WHOLE_TIME: Final = 30.0  # seconds from connecting to the end of the answer
READ: Final = 1_000  # bytes of an answer that are looked at
# IPv6 that stands for IPv4: by NAT64 anywhere, and in notations that name no host of the internet.
NAT64: Final = ipaddress.IPv6Network("64:ff9b::/96")
INNER: Final = tuple(ipaddress.IPv6Network(net) for net in ("::/96", "::ffff:0:0:0/96", "64:ff9b:1::/48", "fec0::/10"))
# For documentation (RFC 3849, RFC 9637) and for segment routing (RFC 9602): Python may still take them for public.
NO_HOSTS: Final = tuple(ipaddress.IPv6Network(net) for net in ("2001:db8::/32", "3fff::/20", "5f00::/16"))


class Unreachable(Exception):
    """No answer was had, for the reason given, in words for people; the other side may or may not have acted."""


@dataclass(frozen=True, slots=True)
class Answer:
    """``retry_after``: seconds that the other side asks us to wait, if it does."""

    status: int
    text: str
    retry_after: int | None = None


def post(
    url: str,
    body: bytes,
    headers: Mapping[str, str],
    *,
    to_anyone: bool,
    read: int = READ,
    whole_time: float = WHOLE_TIME,
) -> Answer:
    """POST ``body``; raises ``Unreachable``. Of the answer ``read`` bytes are looked at.

    Unless ``to_anyone``, only by https, and only to public addresses.
    """
    try:
        parts = urlsplit(url)
        host, port = parts.hostname or "", parts.port or (443 if parts.scheme == "https" else 80)
        connection = http.client.HTTPConnection(host, port, timeout=TIMEOUT)
    except (ValueError, http.client.HTTPException) as error:
        raise Unreachable(_("The address cannot be read: %s") % error) from error
    if parts.scheme != "https" and not to_anyone:
        raise Unreachable(_("The address must begin with https://."))
    path = (parts.path or "/") + (f"?{parts.query}" if parts.query else "")
    try:
        connection.sock = _connected(host, port, to_anyone)
        with _within(whole_time, connection) as is_late:
            if parts.scheme == "https":
                connection.sock = ssl.create_default_context().wrap_socket(
                    connection.sock, server_hostname=host, do_handshake_on_connect=False
                )
                connection.sock.do_handshake()
            connection.request("POST", path, body, dict(headers))
            response = connection.getresponse()
            text = response.read(read).decode("utf-8", "replace")
            if is_late.is_set():  # what was cut off reads like an end
                raise TimeoutError
            return Answer(response.status, text, _seconds(response.headers.get("Retry-After")))
    except TimeoutError as error:
        raise Unreachable(_("No answer in time.")) from error
    except (OSError, http.client.HTTPException, ValueError) as error:
        raise Unreachable(str(error) or type(error).__name__) from error
    finally:
        connection.close()


def _connected(host: str, port: int, to_anyone: bool) -> socket.socket:
    try:
        found = socket.getaddrinfo(host, port, type=socket.SOCK_STREAM)
    except (socket.gaierror, UnicodeError) as error:
        is_passing = isinstance(error, socket.gaierror) and error.errno == socket.EAI_AGAIN
        said = (
            _("The name %(host)s could not be looked up just now.")
            if is_passing
            else _("The name %(host)s is not known.")
        )
        raise Unreachable(said % {"host": host}) from error
    addresses = [str(entry[4][0]) for entry in found]
    if not to_anyone and not all(is_public(address) for address in addresses):
        raise Unreachable(_("%(host)s is an address inside our own network.") % {"host": host})
    return socket.create_connection((addresses[0], port), timeout=TIMEOUT)


def is_public(address: str) -> bool:
    """Whether anyone on the internet can reach the address; none that stands for an inner one in another notation."""
    ip = ipaddress.ip_address(address.partition("%")[0])
    inner: ipaddress.IPv4Address | None = None
    if isinstance(ip, ipaddress.IPv6Address):
        if any(ip in net for net in (*INNER, *NO_HOSTS)):
            return False
        inner = ipaddress.IPv4Address(int(ip) & 0xFFFFFFFF) if ip in NAT64 else ip.ipv4_mapped or ip.sixtofour
    return ip.is_global and not ip.is_multicast and (inner is None or inner.is_global)


@contextmanager
def _within(seconds: float, connection: http.client.HTTPConnection) -> Iterator[Event]:
    """Cut the connection after so many seconds, however much comes in meanwhile; the event says whether it was."""
    is_late = Event()

    def cut() -> None:
        is_late.set()
        with suppress(OSError):
            connection.sock.shutdown(socket.SHUT_RDWR)

    timer = Timer(seconds, cut)
    timer.daemon = True
    timer.start()
    try:
        yield is_late
    finally:
        timer.cancel()


def _seconds(text: str | None) -> int | None:
    return int(text) if text and text.isascii() and text.isdigit() and len(text) < 9 else None
