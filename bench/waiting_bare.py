"""The reference for memory: an ASGI application that does nothing but hold a request, under the same uvicorn with the
same settings as config/web.py."""

import asyncio
import socket
import sys
from collections.abc import Awaitable, Callable
from typing import Any

import uvicorn

Message = dict[str, Any]


async def application(
    scope: Message, receive: Callable[[], Awaitable[Message]], send: Callable[[Message], Awaitable[None]]
) -> None:
    """Answer `/readyz`, which says that it runs; hold everything else until the client goes."""
    if scope["type"] != "http":
        return
    if scope["path"] != "/readyz":
        while (await receive())["type"] != "http.disconnect":
            await asyncio.sleep(0)
        return
    headers = [(b"content-length", b"0"), (b"connection", b"close")]
    await send({"type": "http.response.start", "status": 200, "headers": headers})
    await send({"type": "http.response.body", "body": b""})


def main() -> None:
    listener = socket.socket(fileno=int(sys.argv[1]))
    config = uvicorn.Config(
        application, access_log=False, server_header=False, ws="none", lifespan="off", log_level="warning"
    )
    uvicorn.Server(config).run(sockets=[listener])
