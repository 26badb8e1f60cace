"""What an exception says of an action that was begun: a table, with what other libraries raise in it."""

import asyncio
import errno
import http.client
import socket
import ssl
import urllib.error

import httpx
import pytest

from countersign import endings


class Timeout(OSError):
    """As `requests` has it, which this package does not need."""


class ReadTimeout(Timeout):
    """No answer in time."""


class ProviderError(Exception):
    """A payment provider's library wraps whatever happened."""


class Declined(ProviderError):
    """It has answered: no."""


class AioRpcError(Exception):
    """As gRPC has it: also DEADLINE_EXCEEDED and UNAVAILABLE, which say nothing of what the server did."""


class ServerDisconnectedError(Exception):
    """As aiohttp has it."""


class ClientPayloadError(Exception):
    """As aiohttp has it: the answer ended in the middle."""


class ClientConnectorError(OSError):
    """As aiohttp has it: no connection came about."""


class Disconnected(Exception):
    """As drivers of databases and queues have it."""


def answered(code: int) -> Exception:
    request = httpx.Request("POST", "http://a")
    return httpx.HTTPStatusError("", request=request, response=httpx.Response(code))


def caused(error: Exception, by: BaseException) -> Exception:
    error.__cause__ = by
    return error


def within(error: Exception, before: BaseException) -> Exception:
    """Raised while the other was handled."""
    error.__context__ = before
    return error


def settled(error: Exception) -> Exception:
    """Raised `from None`."""
    error.__suppress_context__ = True
    return error


OPEN = {
    "cancelled": asyncio.CancelledError(),
    "interrupted": KeyboardInterrupt(),
    "exit": SystemExit(1),
    "timeout": TimeoutError(),
    "httpx timeout": httpx.ReadTimeout("late"),
    "httpx cut off": httpx.RemoteProtocolError("closed"),
    "requests timeout": ReadTimeout("late"),
    "reset": ConnectionResetError(),
    "network reset": OSError(errno.ENETRESET, "Network dropped connection on reset"),
    "bare": OSError("something with the network"),
    "unreachable in the middle": OSError(errno.EHOSTUNREACH, "No route to host"),
    "tls cut off": ssl.SSLEOFError("EOF occurred in violation of protocol"),
    "tls closed": ssl.SSLZeroReturnError("TLS/SSL connection has been closed"),
    "tls": ssl.SSLError("bad record mac"),
    "half an answer": http.client.IncompleteRead(b"{"),
    "no answer": http.client.RemoteDisconnected("closed without an answer"),
    "not the answer's form": http.client.BadStatusLine("?"),
    "urllib cut off": urllib.error.URLError(ssl.SSLEOFError("EOF")),
    "grpc": AioRpcError("DEADLINE_EXCEEDED"),
    "aiohttp cut off": ServerDisconnectedError(),
    "aiohttp half an answer": ClientPayloadError(),
    "a gateway answered": answered(504),
    "the server was in trouble": answered(500),
    "urllib: a gateway answered": urllib.error.HTTPError(
        "http://a", 502, "", http.client.HTTPMessage(), None
    ),
    "the earlier try was cut off": caused(
        httpx.ConnectError("no"), within(OSError("refused"), httpx.ReadTimeout("late"))
    ),
    "an earlier request is open": http.client.CannotSendRequest("Request-sent"),
    "driver cut off": Disconnected(),
    "wrapped": caused(ProviderError("no answer"), httpx.ReadTimeout("late")),
    "wrapped twice": caused(ProviderError(""), caused(RuntimeError(""), BrokenPipeError())),
    "wrapped without a word": within(ProviderError("no answer"), ConnectionResetError()),
    "a second try failed": within(ValueError("no such order"), TimeoutError()),
}
CLOSED = {
    "value": ValueError("no such order"),
    "declined": Declined("insufficient funds"),
    "refused": ConnectionRefusedError(),
    "no such name": socket.gaierror(socket.EAI_NONAME, "Name or service not known"),
    "a bad certificate": ssl.SSLCertVerificationError("self-signed certificate"),
    "urllib refused": urllib.error.URLError(ConnectionRefusedError()),
    "urllib answered": urllib.error.HTTPError("http://a", 409, "Conflict", http.client.HTTPMessage(), None),
    "no such file": FileNotFoundError(2, "No such file or directory"),
    "not allowed": PermissionError(13, "Permission denied"),
    "there already": FileExistsError(17, "File exists"),
    "no directory": NotADirectoryError(20, "Not a directory"),
    "a directory": IsADirectoryError(21, "Is a directory"),
    "no address": http.client.InvalidURL("control characters"),
    "not connected": http.client.NotConnected(),
    "httpx never connected": httpx.ConnectError("nobody there"),
    "httpx never connected, says the system": caused(
        httpx.ConnectError("no"), OSError("all attempts failed")
    ),
    "aiohttp never connected": ClientConnectorError(errno.EHOSTUNREACH, "No route to host"),
    "httpx answered": answered(409),
    "a timeout that was settled": settled(within(ValueError("it was not booked"), TimeoutError())),
}


@pytest.mark.parametrize("name", OPEN)
def test_what_leaves_it_open_is_unknown(name: str) -> None:
    assert endings.status(OPEN[name]) == "unknown"


@pytest.mark.parametrize("name", CLOSED)
def test_what_ended_by_itself_has_failed(name: str) -> None:
    assert endings.status(CLOSED[name]) == "failed"


def test_the_caller_knows_of_more() -> None:
    assert endings.status(Declined("?"), (ProviderError,)) == "unknown"
    assert endings.status(caused(RuntimeError(), Declined("?")), (Declined,)) == "unknown"
    assert endings.status(ValueError(), (ProviderError,)) == "failed"


def test_a_circle_of_causes_ends() -> None:
    one, other = RuntimeError("a"), RuntimeError("b")
    one.__cause__, other.__cause__ = other, one
    assert endings.status(one) == "failed"


def test_a_group_is_as_open_as_one_of_its_members() -> None:
    class Group(Exception):
        exceptions = (ValueError(), TimeoutError())

    assert endings.status(Group()) == "unknown"


def test_what_is_reported_is_short() -> None:
    assert endings.said(ValueError("x" * 600)) == {"error": "ValueError", "message": "x" * 500}
