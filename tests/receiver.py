"""A server that hears of webhooks, on a real port of this machine: it writes down what comes and answers as told."""

import json
import ssl
import threading
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass, field
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from typing import Any

from approvals.models import OpenNetwork
from tests.factories import admin


@dataclass(frozen=True)
class Heard:
    """One request."""

    path: str
    headers: dict[str, str]
    body: bytes

    @property
    def said(self) -> dict[str, Any]:
        found: dict[str, Any] = json.loads(self.body)
        return found

    @property
    def id(self) -> str:
        return self.headers["webhook-id"]


Answer = Callable[[BaseHTTPRequestHandler, Heard], None]


def says(status: int, body: bytes = b"", **headers: str) -> Answer:
    """A plain answer."""

    def answer(handler: BaseHTTPRequestHandler, heard: Heard) -> None:
        handler.send_response(status)
        for name, value in headers.items():
            handler.send_header(name, value)
        handler.send_header("Content-Length", str(len(body)))
        handler.end_headers()
        handler.wfile.write(body)

    return answer


@dataclass
class Receiver:
    """`answer` may be set while it runs."""

    port: int
    answer: Answer = field(default_factory=lambda: says(204))
    heard: list[Heard] = field(default_factory=list)
    came: threading.Event = field(default_factory=threading.Event)

    @property
    def url(self) -> str:
        return f"http://127.0.0.1:{self.port}/hook"

    @property
    def types(self) -> list[str]:
        return [one.said["type"] for one in self.heard]


@contextmanager
def receiving(
    certificate: ssl.SSLContext | None = None, asked: list[str] | None = None
) -> Iterator[Receiver]:
    """With a certificate it speaks TLS, and notes down which names it was asked for."""

    class Handler(BaseHTTPRequestHandler):
        def do_POST(self) -> None:
            body = self.rfile.read(int(self.headers["Content-Length"]))
            named = {name.lower(): value for name, value in self.headers.items()}
            heard = Heard(self.path, named, body)
            the.heard.append(heard)
            the.came.set()
            the.answer(self, heard)

        def log_message(self, format: str, *args: Any) -> None:
            """Nothing on the console."""

    class Server(ThreadingHTTPServer):
        daemon_threads = True

        def handle_error(self, request: Any, client_address: Any) -> None:
            """Callers that break off are what some tests are about."""

    server = Server(("127.0.0.1", 0), Handler)
    the = Receiver(server.server_address[1])
    if certificate is not None:
        if asked is not None:
            certificate.sni_callback = lambda _, name, __: asked.append(name or "")
        server.socket = certificate.wrap_socket(server.socket, server_side=True)
    thread = threading.Thread(target=server.serve_forever, kwargs={"poll_interval": 0.02}, daemon=True)
    thread.start()
    try:
        yield the
    finally:
        server.shutdown()
        server.server_close()
        thread.join(10)


def allow_loopback() -> None:
    """What an admin has to do before anything on this machine is called."""
    for network in ("127.0.0.0/8", "::1/128"):
        OpenNetwork.objects.get_or_create(
            network=network, defaults={"reason": "tests", "allowed_by": admin()}
        )
