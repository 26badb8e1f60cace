"""The door to servers that people name: issuers' key sets are fetched through it, webhooks and executors called.

Checked addresses only, so long, so much. The name is looked up once and the connection goes to an address that was
checked, so one that changes its mind in between gains nothing (DNS rebinding). No redirect is followed and no proxy is
asked. Whose private addresses may be reached differs: `get` asks the environment, `post` is told by its caller."""

import json
import socket
import ssl
import threading
import time
from collections.abc import Callable, Iterable, Iterator, Sequence
from contextlib import contextmanager, suppress
from dataclasses import dataclass
from functools import lru_cache
from typing import Any
from urllib.parse import urlsplit

import httpcore
from django.conf import settings

from agents import networks

LONGEST = 8.0
"""Seconds for one request, however slowly the other side speaks."""
CONNECT = 5.0
"""Of these, seconds until a connection stands: who drops packets holds a caller no longer."""
MOST = 256 * 1024
"""Bytes of an answer that are read."""


_ADDRESS = 2000
"""Characters of an address that is posted to."""


class NotFetched(Exception):
    """The document could not be had; the text is for people and names the host."""


class NotReached(NotFetched):
    """Nothing was sent: the name, its addresses, the connection or its certificate stood against it."""


@dataclass(frozen=True, slots=True)
class Answer:
    """What a server answered, whatever it was. `is_cut`: there was more than was asked for. `is_framed`: the answer
    said where its body ends (RFC 9112, 6.3); where it did not, a server that died looks like one that was done."""

    status: int
    body: bytes
    is_cut: bool
    is_framed: bool = True


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


def post_faults(url: str) -> str:
    """Why nothing can be posted to an address, by its form alone; empty where it can. A query is the receiver's own
    affair; a user and a password would stand in plain sight."""
    try:
        parts = urlsplit(url)
        host, _ = parts.hostname, parts.port
    except ValueError:
        return "is no address"
    if parts.scheme not in ("https", "http"):
        return "must begin with https://"
    if not host or parts.username is not None or parts.password is not None:
        return "must name a server, without a user"
    if parts.fragment or not url.isascii() or not url.isprintable() or " " in url or "\\" in url:
        return "must have no fragment, space or letters beyond ASCII"
    return f"must have at most {_ADDRESS} characters" if len(url) > _ADDRESS else ""


def get(url: str) -> Fetched:
    """Raises `NotFetched`."""
    fault = faults(url)
    if fault:
        raise NotFetched(f"The address {url[:200]} {fault}.")
    is_plain = url.startswith("http:")
    headers = {"Accept": "application/json"}
    door = _Guarded(lambda host, port: _addresses(host, port, is_plain=is_plain), LONGEST)
    with _asked("GET", url, headers, b"", door) as answer:
        if answer.status != 200:
            raise NotFetched(f"{url} answers {answer.status}.")
        data, is_cut = _read(answer.iter_stream(), door, MOST, url)
        if is_cut:
            raise NotFetched(f"{url} answers with more than {MOST} bytes.")
        said = dict(answer.headers)
    return Fetched(_object(data, url), _header(said, b"cache-control"))


def post(
    url: str,
    *,
    body: bytes,
    headers: dict[str, str],
    allowed: Sequence[networks.Network] = (),
    longest: float = LONGEST,
    most: int = MOST,
) -> Answer:
    """Whatever the server answers within `longest` seconds, of the answer at most `most` bytes; a redirect is an answer
    too. Private addresses are refused unless an admin allowed their network; without TLS only those are reached.

    Raises `NotReached` where nothing was sent, and `NotFetched` where nobody knows what the other side has heard."""
    fault = post_faults(url)
    if fault:
        raise NotReached(f"The address {fault}.")
    is_plain = urlsplit(url).scheme == "http"
    door = _Guarded(lambda host, port: _outside(host, port, allowed, is_plain=is_plain), longest)
    with _asked("POST", url, headers, body, door) as answer:
        data, is_cut = _read(answer.iter_stream(), door, most, urlsplit(url).netloc)
        return Answer(answer.status, data, is_cut, _is_framed(answer))


def check_reachable(url: str, *, allowed: Sequence[networks.Network] = ()) -> None:
    """What `post` would refuse without sending anything. Looks the name up. Raises `NotReached`."""
    fault = post_faults(url)
    if fault:
        raise NotReached(f"The address {fault}.")
    parts = urlsplit(url)
    is_plain = parts.scheme == "http"
    _outside(parts.hostname or "", parts.port or (80 if is_plain else 443), allowed, is_plain=is_plain)


@contextmanager
def _asked(
    method: str, url: str, headers: dict[str, str], body: bytes, door: "_Guarded"
) -> Iterator[httpcore.Response]:
    where = urlsplit(url).netloc
    timeout = dict.fromkeys(("connect", "read", "write", "pool"), door.longest)
    sent = [*headers.items(), ("Host", where)]
    if method == "POST":
        sent.append(("Content-Length", str(len(body))))
    try:
        with (
            httpcore.ConnectionPool(ssl_context=_trust(), network_backend=door) as pool,
            pool.stream(
                method, url, headers=sent, content=body or None, extensions={"timeout": timeout}
            ) as answer,
        ):
            yield answer
    except (httpcore.ConnectError, httpcore.ConnectTimeout) as error:
        raise NotReached(f"{where} cannot be reached: {_why(error)}.") from error
    except (httpcore.NetworkError, httpcore.TimeoutException, httpcore.ProtocolError, OSError) as error:
        if door.is_late:
            raise NotFetched(f"{where} did not answer within {door.longest:g} seconds.") from error
        raise NotFetched(f"{where} broke off: {type(error).__name__}.") from error
    finally:
        door.over()


def _why(error: Exception) -> str:
    """What stood against a connection, in a few words of ours or of the TLS library's."""
    said = " ".join(str(error).split())[:160]
    return said or type(error).__name__


def _read(parts: Iterable[bytes], door: "_Guarded", most: int, whose: str) -> tuple[bytes, bool]:
    data = b""
    for part in parts:
        data += part
        if len(data) > most:
            return data[:most], True
        if door.is_late:
            raise NotFetched(f"{whose} answers too slowly.")
    if door.is_late:  # a socket that was shut at the deadline reads like the end of the answer
        raise NotFetched(f"{whose} did not answer within {door.longest:g} seconds.")
    return data, False


def _is_framed(answer: httpcore.Response) -> bool:
    names = {name.lower() for name, _ in answer.headers}
    return answer.status == 204 or bool(names & {b"content-length", b"transfer-encoding"})


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

    def __init__(self, checked: Callable[[str, int], list[str]], longest: float) -> None:
        self._checked = checked
        self.longest = longest
        self._deadline = time.monotonic() + longest
        self._cut: threading.Timer | None = None
        self._twin: socket.socket | None = None

    @property
    def is_late(self) -> bool:
        return time.monotonic() >= self._deadline

    def connect_tcp(
        self,
        host: str,
        port: int,
        timeout: float | None = None,
        local_address: str | None = None,
        socket_options: Iterable[Any] | None = None,
    ) -> httpcore.NetworkStream:
        failed: Exception = NotReached(f"The server {host} cannot be found.")
        for address in self._checked(host, port):
            left = self._deadline - time.monotonic()
            if left <= 0:
                break
            try:
                stream = super().connect_tcp(address, port, min(left, CONNECT), local_address, socket_options)
            except (httpcore.NetworkError, httpcore.TimeoutException) as error:
                failed = error
                continue
            self._watch(stream.get_extra_info("socket"))
            return stream
        raise failed

    def connect_unix_socket(self, *args: Any, **kwargs: Any) -> httpcore.NetworkStream:
        raise NotReached("Servers are reached over the network.")

    def _watch(self, connected: socket.socket) -> None:
        self._twin = connected.dup()
        self._cut = threading.Timer(max(self._deadline - time.monotonic(), 0), self._shut, [self._twin])
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


def _found(host: str, port: int) -> tuple[str, list[str]]:
    """The name as it is compared, and its addresses, looked up this once."""
    name = host.lower().rstrip(".")
    try:
        found = socket.getaddrinfo(name.strip("[]"), port, type=socket.SOCK_STREAM)
    except (OSError, UnicodeError) as error:
        raise NotReached(f"The server {name} cannot be found.") from error
    return name, list(dict.fromkeys(str(entry[4][0]) for entry in found))


def _outside(host: str, port: int, allowed: Sequence[networks.Network], *, is_plain: bool) -> list[str]:
    """A host's addresses: each public or in a network that an admin allowed; without TLS each in an allowed one."""
    name, addresses = _found(host, port)
    if any(map(networks.is_metadata, addresses)):
        raise NotReached(
            f"The server {name} is where a cloud keeps its metadata. Nothing is ever sent there."
        )
    inside = [one for one in addresses if allowed and networks.cover(allowed, one)]
    if is_plain and inside != addresses:
        raise NotReached(
            f"The server {name} must be reached by https: its address is in no network that an admin allowed."
        )
    if not all(one in inside or networks.is_public(one) for one in addresses):
        raise NotReached(
            f"The server {name} has an address in a private network. An admin can allow that network in the set-up, "
            "under Outgoing calls."
        )
    return addresses


def _addresses(host: str, port: int, *, is_plain: bool) -> list[str]:
    """A host's addresses: all public, or the host allowed by COUNTERSIGN_ISSUER_HOSTS. Without TLS only this machine
    itself, and only where the installation is one for development."""
    name, addresses = _found(host, port)
    if settings.ISSUERS_ON_LOOPBACK and all(map(networks.is_loopback, addresses)):
        return addresses
    if is_plain:
        raise NotReached(f"The server {name} must be reached by https.")
    if name not in settings.ISSUER_HOSTS and not all(map(networks.is_public, addresses)):
        raise NotReached(
            f"The server {name} is in a private network. An admin can allow it with COUNTERSIGN_ISSUER_HOSTS."
        )
    return addresses
