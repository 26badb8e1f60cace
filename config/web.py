"""One web process on a listening socket that it inherits: `python -m config.web DESCRIPTOR`.

uvicorn's own `--fd` takes every inherited socket for a Unix one, so asyncio leaves TCP_NODELAY off and each answer
waits some 40 ms for the client's delayed acknowledgement. Here the socket keeps its family."""

import resource
import socket
import sys
from contextlib import suppress
from typing import Any

import uvicorn
from django.conf import settings

from config import asgi, streaming, waiting

GRACE = 5
"""Seconds that requests under way have when the process is told to stop."""


class Server(uvicorn.Server):
    """uvicorn, which lets waiting agents and open pages go with an answer instead of cutting them off when it stops."""

    async def shutdown(self, sockets: list[socket.socket] | None = None) -> None:
        waiting.hub.drain()
        streaming.hub.drain()
        await super().shutdown(sockets)


def forwarding() -> dict[str, Any]:
    """Whose X-Forwarded-For says where a request comes from. uvicorn would believe this machine's without being told,
    and with it everybody whose header a proxy here passes on."""
    named = list(settings.PROXIES)
    return {"proxy_headers": bool(named), "forwarded_allow_ips": named}


def take_files() -> None:
    """As many open files as the system lets this process have. Many systems start it with 1,024, and every waiting
    agent is one."""
    _, most = resource.getrlimit(resource.RLIMIT_NOFILE)
    with suppress(ValueError, OSError):
        resource.setrlimit(resource.RLIMIT_NOFILE, (most, most))


def main() -> None:
    take_files()
    listener = socket.socket(fileno=int(sys.argv[1]))
    config = uvicorn.Config(
        asgi.application,
        access_log=False,
        server_header=False,
        ws="none",
        timeout_graceful_shutdown=GRACE,
        log_level="info",
        **forwarding(),
    )
    Server(config).run(sockets=[listener])


if __name__ == "__main__":
    main()
