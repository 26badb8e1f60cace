"""A small bridge from ASGI to a WSGI application: buffer the body (bounded), run in a thread, send the answer.

Bodies are small here (256 KiB for agents, 1 MiB for pages), so nothing is streamed in; answers are streamed out."""

import asyncio
import sys
from collections.abc import Awaitable, Callable, Iterable
from concurrent.futures import ThreadPoolExecutor
from io import BytesIO
from typing import Any

Scope = dict[str, Any]
Message = dict[str, Any]
Receive = Callable[[], Awaitable[Message]]
Send = Callable[[Message], Awaitable[None]]
WSGI = Callable[[dict[str, Any], Callable[..., Any]], Iterable[bytes]]

THREADS = 4
MAX_BODY = 2 * 1024 * 1024
"""Beyond this nothing is read any more; views' own limits are tighter."""
ROOMY = {"/backtests/": 11 * 1024 * 1024}
"""Addresses that take a larger file, few at a time: a body waits in memory, and anybody may send one."""
ROOMY_AT_ONCE = 2
ROOMY_SECONDS = 120


class Bridge:
    """The ASGI face of a WSGI application, with a fixed pool of threads (each keeps its database connection)."""

    def __init__(self, application: WSGI, threads: int = THREADS) -> None:
        self._application = application
        self._threads = threads
        self._pool = self._new_pool()
        self._roomy = asyncio.Semaphore(ROOMY_AT_ONCE)

    def _new_pool(self) -> ThreadPoolExecutor:
        return ThreadPoolExecutor(self._threads, thread_name_prefix="wsgi")

    def close(self) -> None:
        """Let the threads and their database connections go, when the process stops."""
        self._pool.shutdown(wait=True)
        self._pool = self._new_pool()

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        most = ROOMY.get(scope["path"], MAX_BODY)
        if most == MAX_BODY or scope["method"] != "POST":
            await self._answer(scope, receive, send, MAX_BODY)
            return
        async with self._roomy:
            await self._answer(scope, receive, send, most)

    async def _answer(self, scope: Scope, receive: Receive, send: Send, most: int) -> None:
        try:
            async with asyncio.timeout(ROOMY_SECONDS if most > MAX_BODY else None):
                body = await _read(receive, most)
        except (_Gone, TimeoutError):
            return
        environ = _environ(scope, body)
        loop = asyncio.get_running_loop()
        status, headers, content = await loop.run_in_executor(self._pool, self._run, environ)
        if len(body) > most:
            headers.append((b"connection", b"close"))
        await _send_whole(send, status, headers, content)

    def _run(self, environ: dict[str, Any]) -> tuple[int, list[tuple[bytes, bytes]], bytes]:
        started: list[Any] = []

        def start_response(status: str, headers: list[tuple[str, str]], exc_info: Any = None) -> None:
            started[:] = [int(status.split(" ", 1)[0]), headers]

        chunks = self._application(environ, start_response)
        try:
            content = b"".join(chunks)
        finally:
            close = getattr(chunks, "close", None)
            if close is not None:
                close()
        headers = [(name.lower().encode("latin-1"), value.encode("latin-1")) for name, value in started[1]]
        return started[0], headers, content


class _Gone(Exception):
    """The client left before its body was complete; half a request is not acted upon."""


async def _read(receive: Receive, most: int) -> bytes:
    """The body, or a little more than `most` of one that is larger, which every view then refuses as too large."""
    parts: list[bytes] = []
    size = 0
    while True:
        message = await receive()
        if message["type"] == "http.disconnect":
            raise _Gone
        part = message.get("body", b"")
        size += len(part)
        parts.append(part)
        if size > most or not message.get("more_body"):
            return b"".join(parts)


async def _send_whole(send: Send, status: int, headers: list[tuple[bytes, bytes]], content: bytes) -> None:
    if status >= 200 and status not in (204, 304) and all(name != b"content-length" for name, _ in headers):
        headers.append((b"content-length", str(len(content)).encode()))
    await send({"type": "http.response.start", "status": status, "headers": headers})
    await send({"type": "http.response.body", "body": content})


def _environ(scope: Scope, body: bytes) -> dict[str, Any]:
    """PEP 3333's environment of a request."""
    client = scope.get("client") or ("", 0)
    server = scope.get("server") or ("localhost", 80)
    environ: dict[str, Any] = {
        "REQUEST_METHOD": scope["method"],
        "SCRIPT_NAME": "",
        "PATH_INFO": scope["path"].encode("utf-8").decode("latin-1"),
        "QUERY_STRING": scope["query_string"].decode("latin-1"),
        "SERVER_NAME": server[0],
        "SERVER_PORT": str(server[1] or 80),
        "SERVER_PROTOCOL": f"HTTP/{scope['http_version']}",
        "REMOTE_ADDR": client[0],
        "wsgi.version": (1, 0),
        "wsgi.url_scheme": scope.get("scheme", "http"),
        "wsgi.input": BytesIO(body),
        "wsgi.errors": sys.stderr,
        "wsgi.multithread": True,
        "wsgi.multiprocess": True,
        "wsgi.run_once": False,
        "CONTENT_LENGTH": str(len(body)),
    }
    for raw_name, raw_value in scope["headers"]:
        name, value = raw_name.decode("latin-1"), raw_value.decode("latin-1")
        if name == "content-type":
            environ["CONTENT_TYPE"] = value
        elif name != "content-length" and "_" not in name:
            key = "HTTP_" + name.upper().replace("-", "_")
            environ[key] = f"{environ[key]},{value}" if key in environ else value
    return environ
