"""The fake server's door: the standard library's HTTP server, a thread per connection."""

from __future__ import annotations

import json
import re
import socket
import threading
from collections.abc import Callable
from contextlib import suppress
from dataclasses import dataclass, field
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from typing import Any
from urllib.parse import parse_qs, urlsplit

from countersign.testing import requests
from countersign.testing.book import AGENT, Book, Refusal
from countersign.testing.signing import Signer

_ONE = re.compile(r"/api/v1/proposals/([0-9a-f-]{36})(?:/(redeem|outcome|withdraw|revise))?\Z")
_HEARTBEAT = 5.0
STATES = frozenset(
    {
        "denied",
        "pending",
        "scheduled",
        "returned",
        "approved",
        "rejected",
        "expired",
        "withdrawn",
        "executing",
    }
    | {"lapsed", "revoked", "succeeded", "failed", "unknown", "rolled_back"}
)


@dataclass
class Fault:
    """What the next `times` requests to addresses ending with `path` meet: a status, or, None, no answer at all."""

    path: str
    times: int
    status: int | None
    headers: dict[str, str] = field(default_factory=dict)
    happens: Callable[[], object] | None = None
    """This happens first, and the request is then answered as ever."""


class Listener:
    """One listening socket with its threads, from construction to `close`."""

    def __init__(self, book: Book, signer: Signer, token: str, faults: list[Fault], *, port: int) -> None:
        self.book, self.signer, self.token, self.faults = book, signer, token, faults
        self.is_over = False
        self._connections: set[socket.socket] = set()
        self._lock = threading.Lock()
        self._server = ThreadingHTTPServer(("127.0.0.1", port), self._handler())
        self._server.daemon_threads = True
        self.port = int(self._server.server_address[1])
        self._thread = threading.Thread(
            target=self._server.serve_forever, kwargs={"poll_interval": 0.02}, daemon=True
        )
        self._thread.start()

    def close(self, *, hard: bool) -> None:
        """No new connections; those that wait are answered, or cut."""
        self._server.shutdown()
        self._server.socket.close()
        self._thread.join()
        if hard:
            self._shut(socket.SHUT_RDWR)
        self.is_over = True
        with self.book.changed:
            self.book.changed.notify_all()
        self._shut(socket.SHUT_RD)  # kept-alive connections: a stopped server takes no further request

    def fault_for(self, path: str) -> Fault | None:
        """The next fault that this address meets, used up once."""
        with self._lock:
            for fault in self.faults:
                if path.endswith(fault.path):
                    fault.times -= 1
                    if fault.times <= 0:
                        self.faults.remove(fault)
                    return fault
        return None

    def opened(self, connection: socket.socket) -> None:
        with self._lock:
            self._connections.add(connection)

    def closed(self, connection: socket.socket) -> None:
        with self._lock:
            self._connections.discard(connection)

    def _shut(self, how: int) -> None:
        with self._lock:
            for connection in self._connections:
                with suppress(OSError):
                    connection.shutdown(how)

    def _handler(self) -> type[BaseHTTPRequestHandler]:
        listener = self

        class Handler(_Handler):
            pass

        Handler.listener = listener
        return Handler


class _Handler(BaseHTTPRequestHandler):
    protocol_version = "HTTP/1.1"
    listener: Listener

    def setup(self) -> None:
        super().setup()
        self.listener.opened(self.connection)

    def finish(self) -> None:
        self.listener.closed(self.connection)
        with suppress(OSError):
            super().finish()

    def handle(self) -> None:
        with suppress(OSError):
            super().handle()

    def log_message(self, format: str, *args: Any) -> None:  # the test's output is the test's
        pass

    def do_GET(self) -> None:
        self._serve(b"")

    def do_POST(self) -> None:
        self._serve(self.rfile.read(int(self.headers.get("Content-Length") or 0)))

    def _serve(self, content: bytes) -> None:
        if self.listener.is_over:
            self.close_connection = True
            return
        url = urlsplit(self.path)
        query = {name: values[0] for name, values in parse_qs(url.query).items()}
        fault = self.listener.fault_for(url.path)
        if fault is not None and fault.happens is not None:
            fault.happens()
            fault = None
        if fault is not None and fault.status is not None:
            self._send_fault(fault)
            return
        try:
            if url.path == "/api/v1/events" and self.command == "GET":
                self._authenticate()
                self._stream()
                return
            status, document = self._answer(url.path, query, content)
        except Refusal as refusal:
            status, document = refusal.status, refusal.document
        if fault is not None:
            self.close_connection = True
            return
        self._send(status, document)

    def _answer(self, path: str, query: dict[str, str], content: bytes) -> tuple[int, Any]:
        if path == "/.well-known/jwks.json":
            return 200, self.listener.signer.published()
        self._authenticate()
        book = self.listener.book
        if path == "/api/v1/me":
            return 200, _me(book)
        if path == "/api/v1/proposals":
            return self._propose(content) if self.command == "POST" else (200, _listed(book, query))
        if path == "/api/v1/proposals/batch" and self.command == "POST":
            items = requests.parse(content, requests.BATCH)["items"]
            return 200, {"results": [_item(book, item) for item in items]}
        found = _ONE.match(path)
        if found is None:
            raise Refusal(404, "not_found", "There is nothing at this address.")
        if found[2] is None:
            return 200, self._read(found[1], query)
        return 200, self._act(found[1], found[2], content)

    def _authenticate(self) -> None:
        if self.headers.get("Authorization") != f"Bearer {self.listener.token}":
            raise Refusal(401, "bad_credential", "The credential is unknown, expired or revoked.")

    def _propose(self, content: bytes) -> tuple[int, Any]:
        key = self.headers.get("Idempotency-Key") or ""
        if not 1 <= len(key) <= 200 or not key.isprintable():
            raise Refusal(400, "bad_request", "Send an Idempotency-Key header.")
        body = requests.parse(content, requests.PROPOSE)
        is_new, shown = self.listener.book.propose(body, key=key, content=content)
        return 201 if is_new else 200, shown

    def _read(self, proposal_id: str, query: dict[str, str]) -> Any:
        if "wait" not in query:
            with self.listener.book.changed:
                return self.listener.book.find(proposal_id).representation()
        seconds, after = _number(query, "wait", 60), query.get("after_version")
        return self.listener.book.wait(
            proposal_id,
            seconds=seconds,
            after=None if after is None else int(_number(query, "after_version", 10**9)),
            over=lambda: self.listener.is_over,
        )

    def _act(self, proposal_id: str, verb: str, content: bytes) -> Any:
        book = self.listener.book
        if verb == "redeem":
            body = requests.parse(content, requests.REDEEM)
            return book.redeem(proposal_id, body["digest"], body.get("grant"))
        if verb == "outcome":
            return book.report(proposal_id, requests.parse(content, requests.OUTCOME))
        if verb == "withdraw":
            requests.parse(content, requests.WITHDRAW)
            return book.withdraw(proposal_id)
        body = requests.parse(content, requests.REVISE)
        return book.revise(proposal_id, body["arguments"], body.get("reply", ""))

    def _send(self, status: int, document: Any, headers: dict[str, str] | None = None) -> None:
        content = json.dumps(document, ensure_ascii=False).encode()
        kind = "application/json" if status < 300 else "application/problem+json"
        self.send_response(status)
        self.send_header("Content-Type", kind)
        self.send_header("Content-Length", str(len(content)))
        for name, value in (headers or {}).items():
            self.send_header(name, value)
        self.end_headers()
        self.wfile.write(content)

    def _send_fault(self, fault: Fault) -> None:
        assert fault.status is not None
        refusal = Refusal(fault.status, "unavailable", "The test asked for this fault.")
        self._send(fault.status, refusal.document, fault.headers)

    def _stream(self) -> None:
        """Server-sent events, from after the last one that was received, or from now on."""
        book, last = self.listener.book, self.headers.get("Last-Event-ID")
        self.send_response(200)
        self.send_header("Content-Type", "text/event-stream; charset=utf-8")
        self.send_header("Connection", "close")
        self.end_headers()
        self.close_connection = True
        with book.changed:
            at = int(last) if last else book.sequence
            book.streams += 1
        try:
            self.wfile.write(f"retry: 50\nid: {at}\n\n".encode())
            while not self.listener.is_over:
                at = self._send_events(at)
        finally:
            with book.changed:
                book.streams -= 1

    def _send_events(self, at: int) -> int:
        """What there is, or, after a while without anything, a sign of life."""
        book = self.listener.book
        with book.changed:
            if not book.since(at) and not self.listener.is_over:
                book.changed.wait(_HEARTBEAT)
            rows = [(row.sequence, row.representation()) for row in book.since(at)]
        for sequence, shown in rows:
            at = sequence
            told = json.dumps({"type": f"proposal.{shown['status']}", "proposal": shown}, ensure_ascii=False)
            self.wfile.write(f"event: proposal\nid: {at}\ndata: {told}\n\n".encode())
        if not rows:
            self.wfile.write(b": still\n\n")
        return at


def _item(book: Book, item: Any) -> dict[str, Any]:
    try:
        body = requests.checked(item, requests.ITEM)
        content = json.dumps(body, sort_keys=True).encode()
        fields = {name: value for name, value in body.items() if name != "key"}
        is_new, shown = book.propose(fields, key=body["key"], content=content)
    except Refusal as refusal:
        return {"status": refusal.status, "problem": refusal.document}
    return {"status": 201 if is_new else 200, "proposal": shown}


def _number(query: dict[str, str], name: str, most: float) -> float:
    try:
        value = float(query[name])
    except ValueError:
        value = -1
    if not 0 <= value <= most:
        raise Refusal(
            422,
            "fields_invalid",
            "A parameter was refused.",
            errors=[{"field": name, "message": "out of range"}],
        )
    return value


def _listed(book: Book, query: dict[str, str]) -> dict[str, Any]:
    status = query.get("status")
    if status is not None and status not in STATES:
        raise Refusal(
            422,
            "fields_invalid",
            "A parameter was refused.",
            errors=[{"field": "status", "message": "unknown"}],
        )
    limit = int(_number({"limit": "50"} | query, "limit", 100))
    with book.changed:
        shown = [row.representation() for row in reversed(book.rows.values())]
    if cursor := query.get("cursor"):
        places = [place for place, one in enumerate(shown) if one["id"] == cursor]
        shown = shown[places[0] + 1 :] if places else []
    found = [one for one in shown if status in (None, one["status"])]
    return {
        "items": found[:limit],
        "next_cursor": found[limit - 1]["id"] if len(found) > limit else None,
    }


def _me(book: Book) -> dict[str, Any]:
    kinds = {row.shown["action_type"] for row in book.rows.values()} | set(book.tiers)
    return {
        "agent": AGENT,
        "name": "Fake agent",
        "version": "1",
        "state": "live",
        "credential_expires_at": "2100-01-01T00:00:00Z",
        "budget": None,
        "mandates": [
            {
                "action_type": kind,
                "tier": book.tiers.get(kind, "in_the_loop"),
                "ceiling": "out_of_the_loop",
                "veto_seconds": 0,
                "stopped": None,
                "limits": {},
            }
            for kind in sorted(kinds - set(book.denied))
        ],
    }
