"""Two official MCP clients behind one face, so that a test asks the same of both: Python's, and Node's as a process."""

import json
import subprocess
from collections.abc import AsyncIterator, Iterator, Mapping
from concurrent.futures import Future, ThreadPoolExecutor
from contextlib import asynccontextmanager, contextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import Any, Protocol

import httpx2
import mcp_types as types
from anyio.from_thread import start_blocking_portal
from mcp import Client, StdioServerParameters
from mcp.client.streamable_http import streamable_http_client

from tests import toolchains
from tests.mcp.asking import PATIENCE

SCRIPT = Path(__file__).with_name("node_client.mjs")


@dataclass(frozen=True)
class Place:
    """Where a server is: an address with a bearer token, or a command that the client starts."""

    url: str = ""
    token: str = ""
    command: tuple[str, ...] = ()
    env: Mapping[str, str] | None = None

    @property
    def headers(self) -> dict[str, str]:
        return {"Authorization": f"Bearer {self.token}"}


@dataclass(frozen=True)
class Answer:
    """What a tool said: its words, and its data where it has some."""

    text: str
    data: dict[str, Any]
    is_error: bool


class Speaking(Protocol):
    """A connected client."""

    def tools(self) -> dict[str, str]:
        """Descriptions by name."""

    def begin(self, name: str, arguments: Mapping[str, Any]) -> Future[Answer]:
        """Call a tool, and let the test go on meanwhile."""


def call(client: Speaking, name: str, **arguments: Any) -> Answer:
    return client.begin(name, arguments).result(PATIENCE)


def _answer(result: Mapping[str, Any]) -> Answer:
    """From the wire's form, which both libraries can give."""
    words = [part["text"] for part in result["content"] if part["type"] == "text"]
    return Answer("\n".join(words), result.get("structuredContent") or {}, result.get("isError") or False)


@contextmanager
def python(place: Place) -> Iterator[Speaking]:
    with start_blocking_portal() as portal, portal.wrap_async_context_manager(_connected(place)) as client:

        async def called(name: str, arguments: Mapping[str, Any]) -> Answer:
            result = await client.call_tool(name, dict(arguments), progress_callback=_heard)
            return _answer(result.model_dump(by_alias=True, mode="json", exclude_none=True))

        class Python:
            def tools(self) -> dict[str, str]:
                listed: types.ListToolsResult = portal.call(client.list_tools)
                return {tool.name: tool.description or "" for tool in listed.tools}

            def begin(self, name: str, arguments: Mapping[str, Any]) -> Future[Answer]:
                return portal.start_task_soon(called, name, arguments)

        yield Python()


async def _heard(progress: float, total: float | None, message: str | None) -> None:
    """Who listens for progress is waited for longer."""


@asynccontextmanager
async def _connected(place: Place) -> AsyncIterator[Client]:
    if place.command:
        command, *arguments = place.command
        started = StdioServerParameters(command=command, args=arguments, env=dict(place.env or {}))
        async with Client(started) as client:
            yield client
        return
    async with (
        httpx2.AsyncClient(headers=place.headers, timeout=PATIENCE) as http,
        Client(streamable_http_client(place.url, http_client=http)) as client,
    ):
        yield client


@contextmanager
def node(place: Place) -> Iterator[Speaking]:
    where: dict[str, Any] = {"url": place.url, "headers": place.headers}
    if place.command:
        where = {"command": place.command[0], "args": place.command[1:], "env": place.env}
    child = subprocess.Popen(
        ["node", str(SCRIPT), str(toolchains.NODE), json.dumps(where)],
        stdin=subprocess.PIPE,
        stdout=subprocess.PIPE,
        text=True,
    )
    assert child.stdin and child.stdout
    written, read = child.stdin, child.stdout

    def asked(question: Mapping[str, Any]) -> Any:
        written.write(json.dumps(question) + "\n")
        written.flush()
        line = read.readline()
        assert line, f"Node's client ended with {child.wait(PATIENCE)}"
        return json.loads(line)

    with ThreadPoolExecutor(1) as one:

        class Node:
            def tools(self) -> dict[str, str]:
                return {tool["name"]: tool.get("description", "") for tool in asked({"list": True})["tools"]}

            def begin(self, name: str, arguments: Mapping[str, Any]) -> Future[Answer]:
                question = {"call": {"name": name, "arguments": arguments}}
                return one.submit(lambda: _answer(asked(question)))

        try:
            yield Node()
            written.close()
            child.wait(PATIENCE)
        finally:
            child.kill()
            child.wait(PATIENCE)
            read.close()
