"""Server-sent events (HTML Living Standard §9.2.6) as bytes come in, and where to go on after a lost connection."""

from __future__ import annotations

import json
import re
from collections.abc import Iterator
from dataclasses import dataclass, field

from countersign import wire
from countersign.errors import CountersignError
from countersign.flows import Flow, exchange
from countersign.proposals import Event
from countersign.settings import Settings
from countersign.wire import Answer, Lost, Request

SILENCE = 45.0
"""Seconds: the server's heartbeat comes every 15, so three of them missing is a dead connection."""
_END = re.compile(rb"\r\n|\n|\r")


@dataclass
class Stream:
    """One subscription over any number of connections."""

    settings: Settings
    last_id: str | None = None
    failures: int = 0
    retry: float = 1.0
    """Seconds after which to come back, as the server asks."""
    _id: str | None = None
    _buffer: bytes = b""
    _data: list[str] = field(default_factory=list)

    def request(self) -> Request:
        """Of a new connection, which begins a new event."""
        self._buffer, self._data, self._id = b"", [], self.last_id
        resume = {} if self.last_id is None else {"Last-Event-ID": self.last_id}
        headers = {"Accept": "text/event-stream", "Cache-Control": "no-store", **resume}
        return Request("GET", "/api/v1/events", headers=headers, timeout=SILENCE)

    def check(self, answer: Answer) -> None:
        """Raises `CountersignError` for what no repetition mends."""
        if answer.status < 300 and "text/event-stream" not in answer.headers.get("content-type", ""):
            raise wire.not_ours("it is no stream of events", status=answer.status)
        if answer.status >= 300 and not self.settings.is_worth_repeating(answer):
            raise wire.problem(answer)

    def pause(self, ended: Answer | Lost) -> float:
        """Seconds until the next connection: soon after one that brought something, longer after each that did not."""
        self.failures += 1
        if self.failures == 1 and isinstance(ended, Lost):
            return self.retry * (0.5 + self.settings.chance())
        return self.settings.pause(self.failures, ended)

    def feed(self, data: bytes) -> Iterator[Event]:
        """Events that are complete with these bytes. Lines end as the standard says and not as Python's do: a text in
        an event may hold U+2028."""
        self._buffer += data
        while found := _END.search(self._buffer):
            if found.group() == b"\r" and found.end() == len(self._buffer):
                return  # its \n may be on its way
            line, self._buffer = self._buffer[: found.start()], self._buffer[found.end() :]
            event = self._line(line.decode("utf-8", "replace"))
            if event is not None:
                yield event

    def _line(self, line: str) -> Event | None:
        if not line:
            return self._ended()
        name, _, value = line.partition(":")
        value = value.removeprefix(" ")
        if name == "id" and "\0" not in value:
            self._id = value
        elif name == "retry" and value.isascii() and value.isdigit():
            self.retry = min(60.0, int(value[:9]) / 1000)
        elif name == "data":
            self._data.append(value)
        return None

    def _ended(self) -> Event | None:
        data, self._data = "\n".join(self._data), []
        self.last_id = self._id  # now and not before: what is cut off in the middle comes again
        self.failures = 0
        if not data:
            return None
        try:
            told = json.loads(data)
            return Event(self.last_id or "", str(told["type"]), wire.proposal_in(told["proposal"]))
        except (ValueError, KeyError, TypeError) as error:
            raise wire.not_ours(f"an event cannot be read ({error!r})") from error


def first_contact(settings: Settings) -> Flow[None]:
    """Fails early where nobody ever answers: a stream would try for ever."""
    document = yield from exchange(wire.get("/api/v1/me"), settings)
    if not isinstance(document, dict):
        raise CountersignError("The server does not say who this is.", code="not_countersign")
