"""The gateway as an MCP server: its tools are those of the server behind it, in the words that a person has seen.

Over stdio for a client that starts it, or over streamable HTTP for clients that come with a token of the gateway's own.
Neither gives a client the credentials of the server behind, or those of Countersign."""

from __future__ import annotations

import hmac
import sys
from collections.abc import AsyncIterator, Awaitable, Callable
from contextlib import asynccontextmanager
from typing import Any
from urllib.parse import urlsplit
from uuid import uuid4

import uvicorn
from mcp import types
from mcp.server.lowlevel import Server
from mcp.server.stdio import stdio_server
from mcp.server.streamable_http_manager import StreamableHTTPSessionManager
from mcp_types.version import HANDSHAKE_PROTOCOL_VERSIONS

from countersign import AsyncCountersign, CountersignError
from countersign._version import VERSION
from countersign.mcp.calls import REVISE, WAIT, WITHDRAW, Calls, Progress, Stopped
from countersign.mcp.journal import Journal
from countersign.mcp.pins import BadLock, Lock, Pin
from countersign.mcp.settings import Settings
from countersign.mcp.upstream import Lost, Refused, Upstream

KEY = "countersign/idempotency-key"
"""In a call's `_meta`: a key by which the client can repeat the call and have it made once."""
FINISH_SECONDS = 30.0
MOST_SESSIONS = 1000
"""Open at a time; the library ends one that was not used for half an hour."""
MOST_BYTES = 1024 * 1024
"""Of one message over HTTP."""
LOOPBACK = ("127.0.0.1", "localhost", "::1")
_ID: dict[str, Any] = {"type": "string", "description": "The proposal's id, from the answer to the call."}
_NOTE = (
    "A person may have to approve this call, and may change its arguments, before it is made. If it is refused, do "
    "not try to reach the same end in another way."
)
_OWN = (
    types.Tool(
        name=WAIT,
        title="Go on waiting for a call",
        description="Waits for the decision about a call that was not decided yet, makes the call if it is approved, "
        "and returns its result.",
        input_schema={"type": "object", "properties": {"proposal_id": _ID}, "required": ["proposal_id"]},
    ),
    types.Tool(
        name=REVISE,
        title="Answer a reviewer's question",
        description="Answers a call that a reviewer returned with a question: all its arguments anew, and a reply.",
        input_schema={
            "type": "object",
            "properties": {
                "proposal_id": _ID,
                "arguments": {"type": "object"},
                "reply": {"type": "string"},
            },
            "required": ["proposal_id", "arguments"],
        },
    ),
    types.Tool(
        name=WITHDRAW,
        title="Take a call back",
        description="Withdraws a call that nobody has decided about, because it is no longer wanted.",
        input_schema={
            "type": "object",
            "properties": {"proposal_id": _ID, "reason": {"type": "string"}},
            "required": ["proposal_id"],
        },
    ),
)
ASGI = Callable[[Any, Any, Any], Awaitable[None]]


class Gateway:
    """The two handlers, and what they need."""

    def __init__(self, settings: Settings, calls: Calls, lock: Lock) -> None:
        self._settings = settings
        self._calls = calls
        self._lock = lock
        self._life = uuid4().hex

    def server(self) -> Server[Any]:
        return Server(
            f"countersign-{self._settings.domain}",
            version=VERSION,
            title=f"{self._settings.label}, with approval",
            instructions=_NOTE,
            on_list_tools=self._listed,
            on_call_tool=self._called,
            get_tool_input_schema=lambda name: None,
        )

    async def _listed(
        self, context: Any, params: types.PaginatedRequestParams | None
    ) -> types.ListToolsResult:
        """As accepted, whatever the server says now: a description that nobody has seen reaches no model."""
        try:
            pins = self._lock.pins.values()
        except BadLock as error:
            print(f"countersign mcp-gateway: {error}", file=sys.stderr)
            pins = {}.values()
        offered = [self._tool(pin) for pin in pins if not self._settings.is_blocked(pin.name)]
        return types.ListToolsResult(tools=[*offered, *_OWN])

    def _tool(self, pin: Pin) -> types.Tool:
        tool = types.Tool.model_validate(dict(pin.definition), by_name=False)
        if self._is_read(pin):
            return tool
        return tool.model_copy(update={"description": f"{tool.description or pin.label}\n\n{_NOTE}"})

    def _is_read(self, pin: Pin) -> bool:
        return self._settings.is_read(pin.name, hint=pin.is_said_to_read)

    async def _called(self, context: Any, params: types.CallToolRequestParams) -> types.CallToolResult:
        arguments = dict(params.arguments or {})
        try:
            if params.name in (WAIT, REVISE, WITHDRAW):
                return await self._own(context, params.name, arguments)
            pin = await self._calls.checked(params.name)
            if self._is_read(pin):
                return await self._calls.read(pin, arguments)
            key, comes_again = self._key(context, params)
            return await self._calls.write(
                pin, arguments, key=key, comes_again=comes_again, progress=_progress(context)
            )
        except Stopped as error:
            return _error(str(error))
        except (Lost, Refused) as error:
            return _error(f"The server behind the gateway: {error}")
        except (CountersignError, ValueError) as error:
            return _error(f"Countersign: {error}")

    async def _own(self, context: Any, name: str, arguments: dict[str, Any]) -> types.CallToolResult:
        proposal_id = arguments.get("proposal_id")
        if not isinstance(proposal_id, str):
            raise ValueError("proposal_id is missing.")
        if name == WAIT:
            return await self._calls.resume(proposal_id, _progress(context))
        if name == WITHDRAW:
            return await self._calls.withdraw(proposal_id, str(arguments.get("reason") or ""))
        if not isinstance(arguments.get("arguments"), dict):
            raise ValueError("arguments are missing.")
        reply = str(arguments.get("reply") or "")
        return await self._calls.revise(proposal_id, arguments["arguments"], reply, _progress(context))

    def _key(self, context: Any, params: types.CallToolRequestParams) -> tuple[str, bool]:
        """What names this call, and whether the client chose it. Without a key of its own a call is known by session
        and request, which no client uses twice; without a session each is a new one.

        A session is one that this gateway gave out. Protocols without sessions let the header pass unchecked, and there
        it names nothing: a client that always sent the same would be given the answer to another call."""
        given = (params.meta or {}).get(KEY)
        if given is not None:
            if not isinstance(given, str) or not 1 <= len(given) <= 200:
                raise ValueError(f"_meta: {KEY} is a text of 1 to 200 characters.")
            return f"given:{given}", True
        if context.request is None:
            return f"stdio:{self._life}:{context.request_id!r}", False
        session = context.request.headers.get("mcp-session-id")
        if session and context.protocol_version in HANDSHAKE_PROTOCOL_VERSIONS:
            return f"http:{session}:{context.request_id!r}", False
        return f"once:{uuid4().hex}", False


def _progress(context: Any) -> Progress | None:
    """How to tell the client that it is still being waited, if it asked for that."""
    meta = context.meta or {}
    if meta.get("progress_token", meta.get("progressToken")) is None:
        return None

    async def told(passed: float, words: str) -> None:
        await context.session.report_progress(passed, message=words)

    return told


@asynccontextmanager
async def gateway(settings: Settings) -> AsyncIterator[Server[Any]]:
    """The server, with everything it holds open, until the end of the block."""
    lock = Lock(settings.lock)
    _ = lock.pins  # a gateway without one is refused at its start and not at its first call
    journal = Journal(settings.journal)
    upstream = Upstream(settings.server)
    async with AsyncCountersign() as client:
        calls = Calls(settings, client=client, upstream=upstream, journal=journal, lock=lock)
        try:
            await calls.settle()
            yield Gateway(settings, calls, lock).server()
        finally:
            await calls.finish(FINISH_SECONDS)
            await upstream.close()
            journal.close()


async def over_stdio(settings: Settings) -> None:
    """Serve the client that started this process, until it closes its end."""
    async with gateway(settings) as server, stdio_server() as (reading, writing):
        await server.run(reading, writing, server.create_initialization_options())


async def over_http(settings: Settings, *, host: str, port: int, token: str) -> None:
    """Serve clients that send the token, at /mcp."""
    async with gateway(settings) as server:
        manager = StreamableHTTPSessionManager(
            server, max_sessions=MOST_SESSIONS, max_request_body_size=MOST_BYTES
        )
        async with manager.run():
            app = guarded(manager.handle_request, token=token, host=host)
            config = uvicorn.Config(app, host=host, port=port, lifespan="off", log_level="warning", ws="none")
            await uvicorn.Server(config).serve()


def guarded(handle: ASGI, *, token: str, host: str) -> ASGI:
    """Only with the token, and for no browser's page of another site (DNS rebinding)."""

    async def app(scope: Any, receive: Any, send: Any) -> None:
        if scope["type"] != "http":
            return
        headers = {name: value.decode("latin-1") for name, value in scope["headers"]}
        asked = headers.get(b"host", "").lower()
        name = _host_of(f"//{asked}")
        origin = headers.get(b"origin", "")
        if name not in {*LOOPBACK, host.lower()} and host not in ("0.0.0.0", "::"):  # noqa: S104 - compared only
            await _refuse(send, 403, b"Not a name of this gateway.")
        elif origin and origin.lower() not in (f"http://{asked}", f"https://{asked}"):
            await _refuse(send, 403, b"Pages of other sites may not ask here.")
        elif not _has(headers.get(b"authorization", ""), token):
            await _refuse(send, 401, b"Send the gateway's token: Authorization: Bearer ...")
        elif scope["path"] != "/mcp":
            await _refuse(send, 404, b"The gateway is at /mcp.")
        else:
            await handle(scope, receive, send)

    return app


def _host_of(address: str) -> str:
    """Empty where there is none, or nothing that could be one."""
    try:
        return (urlsplit(address).hostname or "").lower()
    except ValueError:
        return ""


def _has(authorization: str, token: str) -> bool:
    scheme, _, given = authorization.partition(" ")
    return scheme.lower() == "bearer" and hmac.compare_digest(given.strip().encode(), token.encode())


async def _refuse(send: Any, status: int, words: bytes) -> None:
    headers = [(b"content-type", b"text/plain"), (b"content-length", str(len(words)).encode())]
    if status == 401:
        headers.append((b"www-authenticate", b"Bearer"))
    await send({"type": "http.response.start", "status": status, "headers": headers})
    await send({"type": "http.response.body", "body": words})


def _error(text: str) -> types.CallToolResult:
    return types.CallToolResult(content=[types.TextContent(type="text", text=text)], is_error=True)
