"""The waiting door: long-polls as plain ASGI, outside Django's handler (STACK.md).

One LISTEN connection per process hears of every change at its commit and wakes who waits for that proposal.
A waiter subscribes, then reads the state, then waits, so that nothing falls between; after a lost connection
everybody reads again. Waiting costs a coroutine, reading borrows one of a few threads."""

import asyncio
import re
from collections import defaultdict
from concurrent.futures import ThreadPoolExecutor
from contextlib import suppress
from dataclasses import dataclass
from uuid import UUID

import psycopg
import structlog
from django.db import OperationalError, close_old_connections, connection
from django.http import HttpResponse
from psycopg.conninfo import make_conninfo

from accounts.exceptions import DomainError
from agents import http
from approvals import polling, representation, selectors, states
from approvals.transitions import CHANNEL
from audit.events import Source
from config import limits, refusals
from config.bridge import Receive, Scope, Send

log = structlog.get_logger(__name__)
READERS = 4
RETRY = 1.0
CHECK = 15.0
"""Seconds between two proofs that the listening connection still lives."""
_PATH = re.compile(r"/api/v1/proposals/([0-9a-fA-F-]{36})\Z")


class Hub:
    """Who waits for which proposal in this process, and the one connection that hears of changes."""

    def __init__(self) -> None:
        self._waiting: defaultdict[str, set[asyncio.Event]] = defaultdict(set)
        self._listener: asyncio.Task[None] | None = None
        self.is_draining = False

    def drain(self) -> None:
        """Answer everybody now with the present state: the process is about to stop, another one will be asked."""
        self.is_draining = True
        self._wake_all()

    def subscribe(self, proposal_id: str) -> asyncio.Event:
        """An event that is set when the proposal may have changed."""
        if self._listener is None or self._listener.done():
            self._listener = asyncio.create_task(self._listen())
        event = asyncio.Event()
        self._waiting[proposal_id].add(event)
        return event

    def unsubscribe(self, proposal_id: str, event: asyncio.Event) -> None:
        self._waiting[proposal_id].discard(event)
        if not self._waiting[proposal_id]:
            del self._waiting[proposal_id]

    async def close(self) -> None:
        """Let go of the connection, when the process stops."""
        if self._listener is not None:
            self._listener.cancel()
            with suppress(asyncio.CancelledError):
                await self._listener
            self._listener = None
        self.is_draining = False

    async def _listen(self) -> None:
        while True:
            try:
                await self._hear()
            except (psycopg.Error, OSError, TimeoutError) as error:
                log.warning("listener_lost", error=str(error)[:200])
            await asyncio.sleep(RETRY)

    async def _hear(self) -> None:
        listener = await psycopg.AsyncConnection.connect(_conninfo(), autocommit=True)
        async with listener:
            await listener.execute(f'LISTEN "{CHANNEL}"')
            self._wake_all()
            while True:
                async for notice in listener.notifies(timeout=CHECK):
                    for event in self._waiting.get(notice.payload.split(" ")[0], ()):
                        event.set()
                await asyncio.wait_for(
                    listener.execute("SELECT 1"), CHECK
                )  # a half-dead connection is found out

    def _wake_all(self) -> None:
        for events in self._waiting.values():
            for event in events:
                event.set()


def _conninfo() -> str:
    """A connection of its own to the same database; LISTEN needs a direct one, not a transaction pooler's."""
    values = connection.settings_dict
    return make_conninfo(
        dbname=values["NAME"],
        user=values["USER"] or None,
        password=values["PASSWORD"] or None,
        host=values["HOST"] or None,
        port=values["PORT"] or None,
    )


hub = Hub()
_readers = ThreadPoolExecutor(READERS, thread_name_prefix="wait-read")


async def close() -> None:
    """Let go of connection and threads, when the process stops."""
    global _readers
    await hub.close()
    _readers.shutdown(wait=True)
    _readers = ThreadPoolExecutor(READERS, thread_name_prefix="wait-read")


def matches(scope: Scope) -> bool:
    """Whether a request wants to wait: GET of one proposal with a positive `wait`."""
    return (
        scope["type"] == "http"
        and scope["method"] == "GET"
        and b"wait=" in scope["query_string"]
        and _PATH.match(scope["path"]) is not None
    )


async def application(scope: Scope, receive: Receive, send: Send) -> None:
    """Answer when the version is above `after_version`, or with the present state when the time is up."""
    try:
        seconds, after = polling.parameters(scope["query_string"].decode("latin-1"))
        found = _PATH.match(scope["path"])
        assert found is not None
        asked = _Asked(UUID(found[1]), _header(scope, b"authorization"), _address(scope))
        await asyncio.get_running_loop().run_in_executor(_readers, _spend, asked)
        response = await _wait(asked, seconds, after, receive)
    except DomainError as error:
        response = http.problem_of(error)
        if error.status in (401, 403, 429):
            await asyncio.get_running_loop().run_in_executor(_readers, _note_refusal, scope, error)
    except OperationalError:
        response = http.problem(
            status=503,
            code="unavailable",
            title="Not available right now",
            detail="The database cannot be reached. Ask again.",
            retry_after=2,
        )
    except ValueError:
        response = http.problem(status=404, code="not_found", title="Not found", detail="That is not an id.")
    if response is None:
        return
    headers = [(name.lower().encode("latin-1"), value.encode("latin-1")) for name, value in response.items()]
    headers.append((b"content-length", str(len(response.content)).encode()))
    await send({"type": "http.response.start", "status": response.status_code, "headers": headers})
    await send({"type": "http.response.body", "body": response.content})


@dataclass(frozen=True, slots=True)
class _Asked:
    """Which proposal, by whose token, and from where."""

    proposal_id: UUID
    authorization: str
    address: str


async def _wait(asked: _Asked, seconds: float, after: int | None, receive: Receive) -> HttpResponse | None:
    """The answer, or None when the agent has gone away."""
    loop = asyncio.get_running_loop()
    deadline = loop.time() + seconds
    key = str(asked.proposal_id)
    changed = hub.subscribe(key)
    gone = asyncio.create_task(_disconnected(receive))
    try:
        while True:
            changed.clear()
            version, is_open, content = await loop.run_in_executor(_readers, _read, asked)
            news = not is_open if after is None else version > after
            left = deadline - loop.time()
            if news or left <= 0 or hub.is_draining:
                return HttpResponse(content, content_type="application/json")
            woken = asyncio.create_task(changed.wait())
            await asyncio.wait({woken, gone}, timeout=left, return_when=asyncio.FIRST_COMPLETED)
            woken.cancel()
            if gone.done():
                return None
    finally:
        gone.cancel()
        hub.unsubscribe(key, changed)


def _spend(asked: _Asked) -> None:
    """A long-poll counts as one reading, however long it waits; runs in a reader thread. Raises `TooManyRequests`."""
    close_old_connections()
    try:
        bearer = limits.known(asked.authorization, address=asked.address)
        if bearer is not None:
            limits.spend_of_agent("read", bearer)
    finally:
        close_old_connections()


def _read(asked: _Asked) -> tuple[int, bool, bytes]:
    """(version, still undecided, JSON), read with the agent's authority as it is now, an issuer's token with its
    signature and its end; runs in a reader thread."""
    close_old_connections()
    try:
        bearer = http.authenticate(asked.authorization, address=asked.address)
        proposal = selectors.own_proposal(bearer.agent.pk, asked.proposal_id)
        return proposal.version, proposal.state in states.OPEN, representation.of(proposal)
    finally:
        close_old_connections()


def _note_refusal(scope: Scope, error: DomainError) -> None:
    """What waits here passes no middleware, so it says itself whom it refused; runs in a reader thread."""
    close_old_connections()
    given = _header(scope, b"x-request-id")
    try:
        refusals.note(
            actor=None,
            source=Source(request_id=refusals.request_id(given), address=_address(scope)),
            method=str(scope["method"]),
            path=str(scope["path"]),
            status=error.status,
            code=error.code,
            why=refusals.why(error),
            authorization=_header(scope, b"authorization"),
        )
    finally:
        close_old_connections()


def _address(scope: Scope) -> str:
    """The same address that config/middleware.RequestSource knows."""
    client = scope.get("client") or ("",)
    return str(client[0])[:64]


async def _disconnected(receive: Receive) -> None:
    while (await receive())["type"] != "http.disconnect":
        pass


def _header(scope: Scope, name: bytes) -> str:
    return next((value.decode("latin-1") for key, value in scope["headers"] if key == name), "")
