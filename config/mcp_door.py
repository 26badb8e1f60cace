"""The MCP door: `POST /mcp`, streamable HTTP without sessions, so that any web process may answer any request.

Here it is decided who may come in: the agent's bearer credential, a host that is ours, no page of another site. What is
asked then goes, as a request of the same agent from the same address, through the API's own door (config/mcp_inner.py),
so that parsing, limits, refusals and use cases are those of the API and no second way to anything exists. There is no
tool that decides, and an agent's credential could not (I9).

The library is loaded when the first request comes: who has no MCP clients does not pay its memory."""

import asyncio
import importlib
from collections.abc import Awaitable, Callable
from typing import Any

from django.conf import settings
from django.db import OperationalError
from django.http import HttpResponse
from django.http.request import split_domain_port, validate_host

from accounts.exceptions import DomainError
from agents import http, strict_json
from agents.http import BadRequest, TooLarge, UnsupportedBody
from config import doors, limits
from config.bridge import Message, Receive, Scope, Send
from config.doors import address, header

PATH = "/mcp"
ENVELOPE = 16 * 1024
"""Bytes that a message may have beyond the body of the API that it stands for."""
Door = Callable[[Scope, Receive, Send], Awaitable[None]]

_manager: "asyncio.Task[Any] | None" = None
_end: asyncio.Event | None = None
_ready: "asyncio.Future[Door] | None" = None


class ElsewhereRefused(DomainError):
    """A browser's page of another site asks, or the name asked for is not ours (DNS rebinding)."""

    code = "origin_refused"
    status = 403
    title = "Not from there"


def matches(scope: Scope) -> bool:
    return bool(scope["type"] == "http" and scope["path"] == PATH)


async def application(scope: Scope, receive: Receive, send: Send, *, api: Door) -> None:
    """Answer one MCP message. `api` is the door that requests to /api/v1/ are answered by."""
    try:
        if scope["method"] != "POST":
            await doors.send_whole(send, _only_post())
            return
        _check_place(scope)
        await doors.read(_admit, scope)
        data = await _body(scope, receive)
        _check_json(data)
        server = await _running(api)
    except (DomainError, OperationalError) as error:
        await doors.send_whole(send, await doors.refusal(scope, error))
    except _Gone:
        return
    else:
        await server(scope, _again(data, receive), send)


def _only_post() -> HttpResponse:
    return http.problem(
        status=405,
        code="method_not_allowed",
        title="Method not allowed",
        detail="Send MCP messages with POST; there are no sessions to listen to or to end.",
        headers={"Allow": "POST"},
    )


async def close() -> None:
    """Let the calls under way go, when the process stops."""
    global _manager, _ready, _end
    if _manager is not None and _end is not None:
        _end.set()
        await _manager
    _manager = _ready = _end = None


async def _running(api: Door) -> Door:
    """The library's handler, loaded and started by the first who asks; it lives in a task of its own, because what it
    starts has to end in the task that began it."""
    global _manager, _ready, _end
    if _ready is None:
        _ready = asyncio.get_running_loop().create_future()
        _end = asyncio.Event()
        _manager = asyncio.create_task(_keep(api, _ready, _end))
    return await asyncio.shield(_ready)


async def _keep(api: Door, ready: "asyncio.Future[Door]", end: asyncio.Event) -> None:
    global _ready
    try:
        loop = asyncio.get_running_loop()
        server = await loop.run_in_executor(None, importlib.import_module, "config.mcp_server")
        async with server.running(api) as handle:
            ready.set_result(handle)
            await end.wait()
    except Exception as error:
        if ready.done():
            raise
        _ready = None  # the next who asks tries again
        ready.set_exception(error)


def _check_place(scope: Scope) -> None:
    """Refuse other sites' pages and foreign names, which is how a page reaches a server behind its reader's back.

    The credential is no cookie, so a page would have to know it; this stands in front of that nonetheless."""
    host = header(scope, b"host")
    if not validate_host(split_domain_port(host)[0], settings.ALLOWED_HOSTS):
        raise ElsewhereRefused("This host name is not one of this installation.")
    origin = header(scope, b"origin")
    ours = (settings.PUBLIC_URL, f"http://{host}", f"https://{host}")
    if origin and origin.lower() not in map(str.lower, ours):
        raise ElsewhereRefused("Pages of other sites may not ask here.")


def _admit(scope: Scope) -> None:
    """The agent behind the credential, as it is committed now, and one reading of its allowance: what it asks for in
    the message is paid besides, as a request to the API. Runs in a reader thread."""
    bearer = http.authenticate(header(scope, b"authorization"), address=address(scope))
    limits.spend_of_agent("read", bearer)


def _check_json(data: bytes) -> None:
    """As strictly as every body of the API: of two members with one name the library would silently keep the last."""
    try:
        strict_json.loads(data)
    except strict_json.NotStrictJson as error:
        raise BadRequest(f"The message is not acceptable: {error}.") from error


class _Gone(Exception):
    """The client left before its message was complete."""


async def _body(scope: Scope, receive: Receive) -> bytes:
    """The message, refused by its declared length before a byte of it is read."""
    most = settings.MAX_BODY_BYTES + ENVELOPE
    if header(scope, b"content-encoding").lower() not in ("", "identity"):
        raise UnsupportedBody("Send the message uncompressed.")
    declared = header(scope, b"content-length")
    if declared.isascii() and declared.isdigit() and int(declared[:12]) > most:
        raise TooLarge(f"The message has {declared[:12]} bytes; at most {most} are taken.")
    data = bytearray()
    while True:
        message = await receive()
        if message["type"] == "http.disconnect":
            raise _Gone
        data += message.get("body", b"")
        if len(data) > most:
            raise TooLarge(f"The message has more than {most} bytes.")
        if not message.get("more_body"):
            return bytes(data)


def _again(data: bytes, receive: Receive) -> Receive:
    """A `receive` that gives the body that was read here once more, then what comes after it."""
    given = False

    async def received() -> Message:
        nonlocal given
        if given:
            return await receive()
        given = True
        return {"type": "http.request", "body": data, "more_body": False}

    return received
