"""The door through which apprise's requests leave: only to public addresses, only for so long, only so much back.

apprise speaks HTTP through requests and urllib3, so urllib3's connection classes are replaced by guarded ones in every
process that sends. Whatever else uses urllib3 there is guarded too, unless it brings its own (accounts/oidc_client.py).
The name is looked up once and the connection goes to the address that was checked: one that changes its mind in
between gains nothing (DNS rebinding)."""

import socket
import threading
import time
from contextlib import suppress
from io import BytesIO
from typing import Any

from django.conf import settings
from urllib3 import HTTPConnectionPool, HTTPSConnectionPool
from urllib3.connection import HTTPConnection, HTTPSConnection
from urllib3.exceptions import NewConnectionError
from urllib3.response import HTTPResponse
from urllib3.util.connection import create_connection

from agents.networks import is_public

LONGEST = 15.0
"""Seconds for one request, however slowly the other side speaks."""
MOST = 256 * 1024
"""Bytes of an answer that are read."""
_OF_THE_WIRE = frozenset({"content-encoding", "transfer-encoding", "content-length"})


class NotPublic(OSError):
    """The host is not reachable from here, or not allowed; the text is for people and names the host."""


def public_addresses(host: str, port: int) -> list[str]:
    """A host's IP addresses: all of them public, or the host allowed by COUNTERSIGN_CHAT_HOSTS. Raises `NotPublic`."""
    name = host.lower().rstrip(".")
    try:
        found = socket.getaddrinfo(name.strip("[]"), port, type=socket.SOCK_STREAM)
    except (OSError, UnicodeError) as error:
        raise NotPublic(f"The server {name} cannot be found.") from error
    addresses = list(dict.fromkeys(str(entry[4][0]) for entry in found))
    if name not in settings.CHAT_HOSTS and not all(map(is_public, addresses)):
        raise NotPublic(
            f"The server {name} is in a private network. An admin can allow it with COUNTERSIGN_CHAT_HOSTS."
        )
    return addresses


class _Watch:
    """Ends a connection that takes too long. The duplicate reaches it also after TLS has taken the socket over."""

    def __init__(self, connected: socket.socket, seconds: float) -> None:
        self._twin = connected.dup()
        self._timer = threading.Timer(seconds, self._cut)
        self._timer.daemon = True
        self._timer.start()

    def _cut(self) -> None:
        with suppress(OSError):
            self._twin.shutdown(socket.SHUT_RDWR)
        self._twin.close()

    def over(self) -> None:
        self._timer.cancel()
        self._twin.close()


class _Guarded:
    """Mixed into urllib3's connections. A proxy is the operator's own choice and looks names up itself; it is not asked
    for addresses that are written as numbers and are not public."""

    _watch: _Watch | None = None

    def _new_conn(self: Any) -> socket.socket:
        try:
            if self.proxy is None:
                addresses = public_addresses(self._dns_host, self.port)
            else:
                _check_literal(self._tunnel_host or "")
                addresses = [self._dns_host]
        except NotPublic as error:
            raise NewConnectionError(self, "not a public address") from error
        for address in addresses:
            with suppress(OSError):
                connected = create_connection(
                    (address, self.port), self.timeout, socket_options=self.socket_options
                )
                self._watch = _Watch(connected, LONGEST)
                return connected
        raise NewConnectionError(self, "nobody answers")

    def getresponse(self) -> HTTPResponse:
        answer: HTTPResponse = super().getresponse()  # type: ignore[misc]
        deadline, read = time.monotonic() + LONGEST, b""
        while len(read) < MOST and time.monotonic() < deadline and (part := answer.read1(16384)):
            read += part
        headers = {name: value for name, value in answer.headers.items() if name.lower() not in _OF_THE_WIRE}
        return HTTPResponse(
            BytesIO(read),
            headers=headers,
            status=answer.status,
            reason=answer.reason,
            preload_content=False,
        )

    def close(self) -> None:
        if self._watch is not None:
            self._watch.over()
            self._watch = None
        super().close()  # type: ignore[misc]


class _GuardedHTTP(_Guarded, HTTPConnection):  # type: ignore[misc]
    pass


class _GuardedHTTPS(_Guarded, HTTPSConnection):  # type: ignore[misc]
    pass


def guard() -> None:
    """From now on, requests of this process through urllib3 pass the door. Repeating it is harmless."""
    HTTPConnectionPool.ConnectionCls = _GuardedHTTP
    HTTPSConnectionPool.ConnectionCls = _GuardedHTTPS


def _check_literal(host: str) -> None:
    try:
        public = is_public(host.strip("[]"))
    except ValueError:
        return
    if not public and host not in settings.CHAT_HOSTS:
        raise NotPublic(host)
