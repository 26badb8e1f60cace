"""An agent that listens to its events over a real connection, for as long as a test needs it."""

import json
import socket
import threading
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager, suppress
from dataclasses import dataclass, field
from typing import Any

import httpx

PATIENCE = 100.0
"""Seconds: a busy machine is slow, and what never comes is told soon enough."""


def until(holds: Callable[[], bool]) -> None:
    deadline = time.monotonic() + PATIENCE
    while not holds():
        assert time.monotonic() < deadline, "it did not happen"
        time.sleep(0.02)


@dataclass
class Event:
    """As it came: the event's name, its id, and its data."""

    name: str
    id: str
    data: dict[str, Any]

    @property
    def type(self) -> str:
        return str(self.data["type"])

    @property
    def proposal(self) -> dict[str, Any]:
        found: dict[str, Any] = self.data["proposal"]
        return found

    @property
    def told(self) -> tuple[str, int]:
        return str(self.proposal["id"]), int(self.proposal["version"])


@dataclass
class Ear:
    """An open stream and what it has received; `last` is the id to resume from, as the HTML standard has it."""

    events: list[Event] = field(default_factory=list)
    comments: int = 0
    last: str = ""
    status: int = 0
    problem: dict[str, Any] = field(default_factory=dict)
    headers: httpx.Headers = field(default_factory=httpx.Headers)
    has_begun: bool = False
    has_ended: bool = False
    line: socket.socket | None = None

    def take(self, line: str, block: dict[str, str]) -> None:
        """One line of the stream; `block` has the fields of the event that is being read."""
        if line.startswith(":"):
            self.comments += 1
        elif line:
            name, _, value = line.partition(":")
            block[name] = value.removeprefix(" ")
        else:
            self.last = block.get("id", self.last)
            if "data" in block:
                self.events.append(Event(block.get("event", ""), self.last, json.loads(block["data"])))
            block.clear()
            self.has_begun = True

    def hang_up(self) -> None:
        """Like a program that is killed."""
        if self.line is not None:
            with suppress(OSError):
                self.line.shutdown(socket.SHUT_RDWR)

    @property
    def types(self) -> list[str]:
        return [event.type for event in self.events]


def _listen(ear: Ear, url: str, headers: dict[str, str]) -> None:
    try:
        with httpx.stream("GET", f"{url}/api/v1/events", headers=headers, timeout=PATIENCE) as response:
            ear.line = response.extensions["network_stream"].get_extra_info("socket")
            ear.status, ear.headers = response.status_code, response.headers
            if response.status_code != 200:
                ear.problem = json.loads(response.read())
            block: dict[str, str] = {}
            for line in response.iter_lines():
                ear.take(line, block)
    except httpx.HTTPError:
        pass
    finally:
        ear.has_ended = True


@contextmanager
def listening(url: str, headers: dict[str, str], *, after: str = "") -> Iterator[Ear]:
    """A stream, read by a thread until the block ends; it has begun or was refused when the block begins."""
    ear = Ear()
    sent = headers | ({"Last-Event-ID": after} if after else {})
    thread = threading.Thread(target=_listen, args=(ear, url, sent), daemon=True)
    thread.start()
    until(lambda: ear.has_begun or ear.has_ended)
    try:
        yield ear
    finally:
        ear.hang_up()
        thread.join(10)
