"""One web process on a listening socket that it inherits: `python -m config.web DESCRIPTOR`.

uvicorn's own `--fd` takes every inherited socket for a Unix one, so asyncio leaves TCP_NODELAY off and each answer
waits some 40 ms for the client's delayed acknowledgement. Here the socket keeps its family."""

import socket
import sys

import uvicorn

from config import asgi, streaming, waiting

GRACE = 5
"""Seconds that requests under way have when the process is told to stop."""


class Server(uvicorn.Server):
    """uvicorn, which lets waiting agents and open pages go with an answer instead of cutting them off when it stops."""

    async def shutdown(self, sockets: list[socket.socket] | None = None) -> None:
        waiting.hub.drain()
        streaming.hub.drain()
        await super().shutdown(sockets)


def main() -> None:
    listener = socket.socket(fileno=int(sys.argv[1]))
    config = uvicorn.Config(
        asgi.application,
        access_log=False,
        server_header=False,
        ws="none",
        timeout_graceful_shutdown=GRACE,
        log_level="info",
    )
    Server(config).run(sockets=[listener])


if __name__ == "__main__":
    main()
