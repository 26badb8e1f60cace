"""What an exception says of an action that was begun: that it failed, or that nobody knows. Pure.

A wrong `failed` lets somebody pay a second time; a wrong `unknown` costs a person a look. So only what surely ended by
itself is `failed`."""

from __future__ import annotations

import http.client
import io
import socket
import ssl
import urllib.error
from collections.abc import Iterator
from typing import TypeAlias

import httpx

Errors: TypeAlias = tuple[type[BaseException], ...]
_CUT_OFF: Errors = (
    TimeoutError,
    ConnectionAbortedError,
    ConnectionResetError,
    BrokenPipeError,
    httpx.ReadError,
    httpx.WriteError,
    httpx.RemoteProtocolError,
)
"""The request may have arrived, though no answer came back."""
_SYSTEM: Errors = (OSError, http.client.HTTPException)
"""Of which only some say that nothing was sent, or that it was about a file."""
_NOTHING_SENT: Errors = (
    ConnectionRefusedError,
    socket.gaierror,
    ssl.SSLCertVerificationError,
    urllib.error.URLError,  # the reason in it is looked at
    http.client.InvalidURL,
    http.client.NotConnected,
    FileNotFoundError,
    FileExistsError,
    PermissionError,
    NotADirectoryError,
    IsADirectoryError,
    io.UnsupportedOperation,
)
_NAMES = (
    "Timeout",
    "TimeoutError",
    "TimeoutException",
    "Disconnected",
    "DisconnectedError",
    "PayloadError",
    "RpcError",
)
"""With which other libraries' classes end: `requests.Timeout`, `aiohttp.ClientPayloadError`, `grpc.aio.AioRpcError`."""
_NEVER_CONNECTED = ("ConnectError", "ConnectorError")
"""The same of those that say so, whatever the system said beneath: `httpx.ConnectError`, aiohttp's connector."""


def status(error: BaseException, unsure: Errors = ()) -> str:
    """`unknown` for what stopped the run from outside (cancelled, interrupted), timed out, lost its connection or was
    answered by a gateway or a server in trouble (408, 5xx), or is in `unsure`, also where another error was raised
    while that was handled (a library's own, or a second try's); else `failed`."""
    found = _with_causes(error)
    return "unknown" if any(_leaves_open(one, unsure, before) for one, before in found) else "failed"


def said(error: BaseException) -> dict[str, str]:
    """What is reported as its result."""
    return {"error": type(error).__name__, "message": str(error)[:500]}


def _leaves_open(error: BaseException, unsure: Errors, before_sending: bool) -> bool:
    """`before_sending`: it is why no connection came about."""
    if (
        not isinstance(error, Exception)
        or isinstance(error, (*_CUT_OFF, *unsure))
        or _is_named(error, _NAMES)
    ):
        return True
    answered = _answer(error)
    if answered is not None:
        return answered == 408 or answered >= 500
    return isinstance(error, _SYSTEM) and not (before_sending or isinstance(error, _NOTHING_SENT))


def _is_named(error: BaseException, ends: tuple[str, ...]) -> bool:
    return any(kind.__name__.endswith(ends) for kind in type(error).__mro__)


def _answer(error: BaseException) -> int | None:
    """The status that an HTTP server has answered with, as httpx, requests, aiohttp and urllib tell it."""
    response = getattr(error, "response", None)
    told = (
        getattr(response, "status_code", None),
        getattr(error, "status", None),
        getattr(error, "code", None),
    )
    found = next((one for one in told if isinstance(one, int)), None)
    return found if found is not None and 400 <= found <= 599 else None


def _with_causes(error: BaseException) -> Iterator[tuple[BaseException, bool]]:
    """The error and what it came of, each once, and whether that was before anything was sent; of a group its members
    too. `raise … from None` hides what was before, as in a traceback."""
    seen: set[int] = set()
    waiting: list[tuple[object, bool]] = [(error, False)]
    while waiting:
        one, before = waiting.pop()
        if not isinstance(one, BaseException) or id(one) in seen:
            continue
        seen.add(id(one))
        before = before or _is_named(one, _NEVER_CONNECTED)
        yield one, before
        waiting += [(one.__cause__, before), (None if one.__suppress_context__ else one.__context__, before)]
        waiting.append((getattr(one, "reason", None), before))  # of a URLError
        # of an ExceptionGroup, which Python 3.10 does not have
        waiting.extend((each, before) for each in getattr(one, "exceptions", ()))
