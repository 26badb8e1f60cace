"""The door through which issuers' key sets are fetched: named servers only, checked addresses, so long, so much.

The name is looked up once and the connection goes to an address that was checked, so one that changes its mind in
between gains nothing (DNS rebinding). No redirect is followed and no proxy is asked."""

import json
import socket
import ssl
import threading
import time
from collections.abc import Iterable
from contextlib import suppress
from dataclasses import dataclass
from functools import lru_cache
from typing import Any
from urllib.parse import urlsplit

import httpcore
from django.conf import settings

from agents import networks

LONGEST = 8.0
"""Seconds for one request, however slowly the other side speaks."""
MOST = 256 * 1024
"""Bytes of an answer that are read."""


class NotFetched(Exception):
    """The document could not be had; the text is for people and names the host."""


@dataclass(frozen=True, slots=True)
class Fetched:
    """A JSON object, and what the server said about how long it is good."""

    document: dict[str, Any]
    cache_control: str


def faults(url: str) -> str:
    """Why an address can be no issuer's, by its form alone; empty where it can."""
    try:
        parts = urlsplit(url)
        host, _ = parts.hostname, parts.port
    except ValueError:
        return "is no address"
    if not host or parts.username or parts.password:
        return "must name a server, without a user"
    if parts.query or parts.fragment or not url.isascii() or not url.isprintable() or " " in url:
        return "must have no query, fragment or space"
    if parts.scheme != "https" and not (parts.scheme == "http" and settings.ISSUERS_ON_LOOPBACK):
        return "must begin with https://"
    return ""


def get(url: str) -> Fetched:
    """Raises `NotFetched`."""
    fault = faults(url)
    if fault:
        raise NotFetched(f"The address {url[:200]} {fault}.")
    deadline = time.monotonic() + LONGEST
    backend = _Guarded(is_plain=url.startswith("http:"))
    timeout = dict.fromkeys(("connect", "read", "write", "pool"), LONGEST)
    try:
        with (
            httpcore.ConnectionPool(ssl_context=_trust(), network_backend=backend) as pool,
            pool.stream(
                "GET",
                url,
                headers=[("Accept", "application/json"), ("Host", urlsplit(url).netloc)],
                extensions={"timeout": timeout},
            ) as answer,
        ):
            if answer.status != 200:
                raise NotFetched(f"{url} answers {answer.status}.")
            data = _read(answer.iter_stream(), deadline, url)
            said = dict(answer.headers)
    except (httpcore.NetworkError, httpcore.TimeoutException, httpcore.ProtocolError, OSError) as error:
        raise NotFetched(f"{url} cannot be reached: {type(error).__name__}.") from error
    finally:
        backend.over()
    return Fetched(_object(data, url), _header(said, b"cache-control"))


def _read(parts: Iterable[bytes], deadline: float, url: str) -> bytes:
    data = b""
    for part in parts:
        data += part
        if len(data) > MOST:
            raise NotFetched(f"{url} answers with more than {MOST} bytes.")
        if time.monotonic() > deadline:
            raise NotFetched(f"{url} answers too slowly.")
    return data


def _object(data: bytes, url: str) -> dict[str, Any]:
    try:
        found = json.loads(data)
    except (ValueError, RecursionError) as error:
        raise NotFetched(f"{url} answers with something that is no JSON.") from error
    if not isinstance(found, dict):
        raise NotFetched(f"{url} answers with something that is no JSON object.")
    return found


def _header(headers: dict[bytes, bytes], name: bytes) -> str:
    return next((value.decode("latin-1") for key, value in headers.items() if key.lower() == name), "")


@lru_cache(maxsize=1)
def _trust() -> ssl.SSLContext:
    """The system's certificate authorities, or those of SSL_CERT_FILE."""
    return ssl.create_default_context()


class _Guarded(httpcore.SyncBackend):
    """Connects to checked addresses only, and cuts whatever takes too long, headers that drip included."""

    def __init__(self, *, is_plain: bool) -> None:
        self._is_plain = is_plain
        self._cut: threading.Timer | None = None
        self._twin: socket.socket | None = None

    def connect_tcp(
        self,
        host: str,
        port: int,
        timeout: float | None = None,
        local_address: str | None = None,
        socket_options: Iterable[Any] | None = None,
    ) -> httpcore.NetworkStream:
        failed: Exception = NotFetched(f"The server {host} cannot be found.")
        for address in _addresses(host, port, is_plain=self._is_plain):
            try:
                stream = super().connect_tcp(address, port, timeout, local_address, socket_options)
            except (httpcore.NetworkError, httpcore.TimeoutException) as error:
                failed = error
                continue
            self._watch(stream.get_extra_info("socket"))
            return stream
        raise failed

    def connect_unix_socket(self, *args: Any, **kwargs: Any) -> httpcore.NetworkStream:
        raise NotFetched("Issuers are reached over the network.")

    def _watch(self, connected: socket.socket) -> None:
        self._twin = connected.dup()
        self._cut = threading.Timer(LONGEST, self._shut, [self._twin])
        self._cut.daemon = True
        self._cut.start()

    @staticmethod
    def _shut(twin: socket.socket) -> None:
        with suppress(OSError):
            twin.shutdown(socket.SHUT_RDWR)

    def over(self) -> None:
        if self._cut is not None:
            self._cut.cancel()
        if self._twin is not None:
            self._twin.close()


def _addresses(host: str, port: int, *, is_plain: bool) -> list[str]:
    """A host's addresses: all public, or the host allowed by COUNTERSIGN_ISSUER_HOSTS. Without TLS only this machine
    itself, and only where the installation is one for development."""
    name = host.lower().rstrip(".")
    try:
        found = socket.getaddrinfo(name.strip("[]"), port, type=socket.SOCK_STREAM)
    except (OSError, UnicodeError) as error:
        raise NotFetched(f"The server {name} cannot be found.") from error
    addresses = list(dict.fromkeys(str(entry[4][0]) for entry in found))
    if settings.ISSUERS_ON_LOOPBACK and all(map(networks.is_loopback, addresses)):
        return addresses
    if is_plain:
        raise NotFetched(f"The server {name} must be reached by https.")
    if name not in settings.ISSUER_HOSTS and not all(map(networks.is_public, addresses)):
        raise NotFetched(
            f"The server {name} is in a private network. An admin can allow it with COUNTERSIGN_ISSUER_HOSTS."
        )
    return addresses
