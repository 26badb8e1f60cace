"""The connection to the MCP server behind the gateway: made when it is needed, made again when it was lost.

Its credentials are here and nowhere else: variables and headers from the gateway's own environment, which the agent
does not see. A server that is started as a command gets of the gateway's environment what the settings name, and the
few variables that every program needs."""

from __future__ import annotations

import asyncio
import sys
from collections.abc import AsyncIterator, Iterator
from contextlib import asynccontextmanager, contextmanager
from typing import Any

import httpx2
from mcp import Client, MCPError, StdioServerParameters, types
from mcp.client.streamable_http import streamable_http_client

from countersign.mcp.settings import Server, filled

MOST_PAGES = 100
CONNECT_SECONDS = 60.0
CONNECTION_CLOSED = -32000
_NOT_DONE = frozenset({-32700, -32600, -32601, -32602, -32020, -32021, -32022})
"""Codes by which a server says that it did not understand or know the call; any other may have come after the deed."""


class Lost(Exception):
    """No answer came, or none that says whether the tool did its work."""


class Refused(Exception):
    """The server did not take the call: nothing was done."""


class Connection:
    """One connection and who uses it. The library wants it opened and closed by the same task, so a task keeps it.

    One that is retired is used by nobody new, and ends when the last call on it has: another call that got no answer is
    no reason to lose the answers to the others."""

    def __init__(self, client: Client, end: asyncio.Event) -> None:
        self.client = client
        self._end = end
        self._users = 0
        self.is_retired = False

    @contextmanager
    def used(self) -> Iterator[Client]:
        self._users += 1
        try:
            yield self.client
        finally:
            self._users -= 1
            self._end_if_idle()

    def retire(self) -> None:
        self.is_retired = True
        self._end_if_idle()

    def _end_if_idle(self) -> None:
        if self.is_retired and not self._users:
            self._end.set()


class Upstream:
    """One server, connected to when it is needed."""

    def __init__(self, server: Server) -> None:
        self._server = server
        self._opening = asyncio.Lock()
        self._connection: Connection | None = None
        self._keepers: set[asyncio.Task[None]] = set()

    async def tools(self) -> dict[str, types.Tool]:
        """All tools as the server lists them now. Raises `Lost`, and `Refused` for a list that cannot be used."""
        try:
            return await self._tools()
        except Lost:
            return await self._tools()  # once more, on a new connection; a list does nothing

    async def _tools(self) -> dict[str, types.Tool]:
        connection = await self._connected()
        found: dict[str, types.Tool] = {}
        cursor: str | None = None
        with connection.used() as client:
            for _ in range(MOST_PAGES):
                try:
                    page = await client.list_tools(cursor=cursor)
                except Exception as error:
                    connection.retire()
                    raise Lost(f"the server does not list its tools: {_said(error)}") from error
                for tool in page.tools:
                    if tool.name in found:
                        raise Refused(f"the server lists two tools {tool.name!r}")
                    found[tool.name] = tool
                cursor = page.next_cursor
                if cursor is None:
                    return found
        raise Refused("the server's list of tools does not end")

    async def call(self, name: str, arguments: dict[str, Any], *, seconds: float) -> types.CallToolResult:
        """One request, never repeated here. Raises `Refused` where nothing was done, `Lost` where that is not known."""
        try:
            connection = await self._connected()
        except Lost as error:
            raise Refused(str(error)) from error
        request = types.CallToolRequest(params=types.CallToolRequestParams(name=name, arguments=arguments))
        with connection.used() as client:
            try:
                return await client.session.send_request(
                    request, types.CallToolResult, request_read_timeout_seconds=seconds
                )
            except MCPError as error:
                if error.code in _NOT_DONE:
                    raise Refused(_said(error)) from error
                if error.code == CONNECTION_CLOSED:
                    connection.retire()
                raise Lost(_said(error)) from error
            except Exception as error:
                connection.retire()
                raise Lost(_said(error)) from error

    async def close(self) -> None:
        """Let the connection go; the next who needs one makes it anew."""
        connection, self._connection = self._connection, None
        if connection is not None:
            connection.retire()
        if self._keepers:
            await asyncio.wait(self._keepers, timeout=15)

    async def _connected(self) -> Connection:
        async with self._opening:
            if self._connection is not None and not self._connection.is_retired:
                return self._connection
            ready: asyncio.Future[Connection] = asyncio.get_running_loop().create_future()
            keeper = asyncio.create_task(self._keep(ready))
            self._keepers.add(keeper)
            keeper.add_done_callback(self._keepers.discard)
            try:
                self._connection = await asyncio.wait_for(asyncio.shield(ready), CONNECT_SECONDS)
            except (Exception, asyncio.CancelledError) as error:
                keeper.cancel()
                if isinstance(error, asyncio.CancelledError):
                    raise
                raise Lost(f"the server cannot be reached: {_said(error)}") from error
            return self._connection

    async def _keep(self, ready: asyncio.Future[Connection]) -> None:
        end = asyncio.Event()
        connection: Connection | None = None
        try:
            async with self._open() as client:
                connection = Connection(client, end)
                if not ready.done():
                    ready.set_result(connection)
                await end.wait()
        except Exception as error:  # noqa: BLE001 - told to who waits for it, or to the operator
            if not ready.done():
                ready.set_exception(error)
            else:
                print(f"countersign mcp-gateway: the connection ended: {_said(error)}", file=sys.stderr)
        finally:
            if connection is not None:
                connection.is_retired = True

    @asynccontextmanager
    async def _open(self) -> AsyncIterator[Client]:
        server = self._server
        if server.command:
            command = StdioServerParameters(
                command=server.command,
                args=[filled(text) for text in server.args],
                env={name: filled(text) for name, text in (server.env or {}).items()},
                cwd=server.cwd,
            )
            async with Client(command, cache=None) as client:
                yield client
            return
        headers = {name: filled(text) for name, text in (server.headers or {}).items()}
        timeout = httpx2.Timeout(30, read=None)  # how long an answer may take, the caller says
        async with (
            httpx2.AsyncClient(headers=headers, timeout=timeout) as http,
            Client(streamable_http_client(server.url, http_client=http), cache=None) as client,
        ):
            yield client


def _said(error: BaseException) -> str:
    """The innermost word of it: the library wraps errors in groups."""
    while parts := getattr(error, "exceptions", None):
        error = parts[0]
    return f"{type(error).__name__}: {error}"[:500] if str(error) else type(error).__name__
