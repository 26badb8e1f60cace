"""The agents of bench/waiting.py: thousands of connections in one process of few thoughts, so that what is measured is
the server. A file says what they are; on standard input come `open`, `told`, which prints how many have
heard, and `end`, which prints what they have. When
standard input ends, so do they.

Beside them a connection of its own listens to the NOTIFY of the same commits: the least that hearing of one costs."""

import json
import os
import re
import resource
import selectors
import socket
import sys
import time
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import psycopg

EACH = 10_000
"""Connections from one loopback address, so that ports do not run short: 127.0.0.2, 127.0.0.3 …"""
SPARE = 500
"""Files that a process needs beside its connections."""
_LENGTH = re.compile(rb"content-length: *(\d+)", re.IGNORECASE)
_OK = b"HTTP/1.1 204 No Content\r\nContent-Length: 0\r\nConnection: close\r\n\r\n"


@dataclass(slots=True, eq=False)
class Line:
    """One connection: whose it is, what came over it and was not read to its end yet."""

    socket: socket.socket
    number: int = -1
    request: bytes = b""
    received: bytes = b""
    has_begun: bool = False


class Clients:
    """All of them, in one loop."""

    def __init__(self, plan: dict[str, Any]) -> None:
        self.kind: str = plan["kind"]
        self.address = (plan["host"], plan["port"])
        self.agents: list[list[str]] = plan["agents"]
        self.per_second: float = plan["per_second"]
        self.told: dict[str, float] = {}
        self.noticed: dict[str, float] = {}
        self.begun = 0
        self.refused: list[str] = []
        self.renewed = 0
        self.lost = 0
        self.to_open = 0
        self.opened_from = 0.0
        self.selector = selectors.DefaultSelector()
        self.listener = psycopg.connect(plan["database"], autocommit=True)
        self.listener.execute(f'LISTEN "{plan["channel"]}"')
        self.selector.register(self.listener.fileno(), selectors.EVENT_READ, self._notified)
        os.set_blocking(sys.stdin.fileno(), False)
        self.selector.register(sys.stdin.fileno(), selectors.EVENT_READ, self._ordered)
        self.orders = b""
        self.is_over = False

    def run(self) -> None:
        if self.kind == "webhook":
            hooks = socket.create_server(self.address, backlog=1024)
            hooks.setblocking(False)
            self.selector.register(hooks, selectors.EVENT_READ, self._called)
            print(f"ready {hooks.getsockname()[1]}", flush=True)
        else:
            print("ready", flush=True)
        while not self.is_over:
            for key, _ in self.selector.select(timeout=0.02 if self.to_open else 1.0):
                if isinstance(key.data, Line):
                    self._read(key.data)
                else:
                    key.data(key.fileobj)
            self._open_some()
        print(
            json.dumps(
                {
                    "told": self.told,
                    "noticed": self.noticed,
                    "begun": self.begun,
                    "refused": self.refused[:3],
                    "renewed": self.renewed,
                    "lost": self.lost,
                }
            ),
            flush=True,
        )

    def _ordered(self, _: object) -> None:
        part = os.read(sys.stdin.fileno(), 65536)
        self.orders += part
        *lines, self.orders = self.orders.split(b"\n")
        for line in lines:
            if line == b"open":
                self.to_open, self.opened_from = len(self.agents), time.perf_counter()
            elif line == b"told":
                print(f"told {len(self.told)}", flush=True)
        self.is_over = not part or b"end" in lines

    def _notified(self, _: object) -> None:
        for notice in self.listener.notifies(timeout=0):
            self.noticed.setdefault(notice.payload.partition(" ")[0], time.perf_counter())

    def _open_some(self) -> None:
        """As many as are due by now, and not too many before the others are read again."""
        due = int((time.perf_counter() - self.opened_from) * self.per_second) + 1
        first = len(self.agents) - self.to_open
        for number in range(first, min(first + 100, due, len(self.agents))):
            self._open(number)
            self.to_open -= 1
            if not self.to_open:
                print("opened", flush=True)

    def _open(self, number: int) -> None:
        token, proposal = self.agents[number]
        path = (
            "/api/v1/events"
            if self.kind == "sse"
            else f"/api/v1/proposals/{proposal}?wait=60&after_version=1"
        )
        request = f"GET {path} HTTP/1.1\r\nHost: localhost\r\nAuthorization: Bearer {token}\r\n\r\n"
        one = socket.create_connection(
            self.address, timeout=60, source_address=(f"127.0.0.{2 + number // EACH}", 0)
        )
        one.sendall(request.encode())
        one.setblocking(False)
        line = Line(one, number, request.encode())
        self.selector.register(one, selectors.EVENT_READ, line)

    def _called(self, hooks: socket.socket) -> None:
        one, _ = hooks.accept()
        one.setblocking(False)
        self.selector.register(one, selectors.EVENT_READ, Line(one))

    def _read(self, line: Line) -> None:
        part = line.socket.recv(65536)
        if not part:
            self.lost += line.number >= 0
            self._close(line)
            return
        line.received += part
        {"long-poll": self._answer, "sse": self._stream, "webhook": self._hook}[self.kind](line)

    def _close(self, line: Line) -> None:
        self.selector.unregister(line.socket)
        line.socket.close()

    def _answer(self, line: Line) -> None:
        whole = _whole(line.received)
        if not whole:
            return
        if not line.received.startswith(b"HTTP/1.1 200"):
            self._refuse(line)
        elif b'"status":"pending"' in line.received:
            self.renewed += 1
            line.received = b""
            line.socket.sendall(line.request)
        else:
            self.told[self.agents[line.number][1]] = time.perf_counter()
            self._close(line)

    def _stream(self, line: Line) -> None:
        if not line.has_begun:
            head, found, rest = line.received.partition(b"\r\n\r\n")
            if not found:
                return
            if not head.startswith(b"HTTP/1.1 200"):
                self._refuse(line)
                return
            if b"\n\n" not in rest:
                return
            line.has_begun = True
            self.begun += 1
            if self.begun == len(self.agents):
                print("begun", flush=True)
        if b"\ndata: " in line.received:
            if b"\n\n" not in line.received.partition(b"\ndata: ")[2]:
                return
            self.told.setdefault(self.agents[line.number][1], time.perf_counter())
        if line.received.endswith(b"\n\n\r\n"):  # a whole chunk: nothing is split between two readings
            line.received = b""

    def _hook(self, line: Line) -> None:
        if not _whole(line.received):
            return
        now = time.perf_counter()
        said = json.loads(line.received.partition(b"\r\n\r\n")[2])
        if said["type"] == "proposal.approved":
            self.told.setdefault(said["data"]["id"], now)
        line.socket.sendall(_OK)
        self._close(line)

    def _refuse(self, line: Line) -> None:
        self.refused.append(line.received[:400].decode("latin-1"))
        self._close(line)


def _whole(received: bytes) -> bool:
    head, found, body = received.partition(b"\r\n\r\n")
    length = _LENGTH.search(head)
    return bool(found) and length is not None and len(body) >= int(length[1])


def check_files(count: int) -> None:
    """Raises SystemExit where a process may not have as many connections here."""
    _, most = resource.getrlimit(resource.RLIMIT_NOFILE)
    if count + SPARE > most:
        raise SystemExit(
            f"{count} agents are too many here: a process may open {most} files (ulimit -Hn), and needs {SPARE} beside "
            f"its connections. Raise it (LimitNOFILE=, /etc/security/limits.conf), or BENCH_AGENTS={most - SPARE}."
        )


def main() -> None:
    _, most = resource.getrlimit(resource.RLIMIT_NOFILE)
    resource.setrlimit(resource.RLIMIT_NOFILE, (most, most))
    Clients(json.loads(Path(sys.argv[-1]).read_bytes())).run()
