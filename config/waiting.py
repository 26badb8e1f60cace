"""The waiting door: long-polls as plain ASGI, outside Django's handler (STACK.md).

One LISTEN connection per process hears of every change at its commit and wakes who waits for that proposal.
A waiter subscribes, then reads the state, then waits, so that nothing falls between; after a lost connection one
query finds whose proposal has changed meanwhile. Waiting costs a coroutine, reading borrows one of a few threads,
together with whoever else reads at that moment (config/reading.py)."""

import asyncio
import re
from collections import defaultdict
from collections.abc import Callable, Sequence
from contextlib import suppress
from dataclasses import dataclass
from uuid import UUID

import psycopg
import structlog
from django.db import DatabaseError, InterfaceError, OperationalError, connection
from django.http import HttpResponse
from psycopg.conninfo import make_conninfo

from accounts.exceptions import DomainError, NotFound
from agents import http
from agents.authority import Bearer
from approvals import api, api_imports, representation, selectors, states
from approvals.models import Proposal
from approvals.transitions import CHANNEL
from config import doors
from config.bridge import Receive, Scope, Send
from config.reading import Readings

log = structlog.get_logger(__name__)
RETRY = 1.0
CHECK = 15.0
"""Seconds between two proofs that the listening connection still lives."""
_SHOWN: dict[str, Callable[[Proposal], bytes]] = {
    "proposals": representation.of,
    "import/agent-inbox": api_imports.inbox_answer,
    "import/authzen/tasks": api_imports.task,
}
"""Where a proposal can be waited for, and how it is shown there."""
_PATH = re.compile(rf"/api/v1/({'|'.join(_SHOWN)})/([0-9a-fA-F-]{{36}})\Z")
_AGENT = "agent:"


def of_agent(agent_id: int) -> str:
    """What to subscribe to for every change of an agent's proposals."""
    return f"{_AGENT}{agent_id}"


class Ear(asyncio.Event):
    """What wakes one waiter; `version` is the last that it read of its proposal, 0 before it has read."""

    version = 0
    is_gone = False


class Hub:
    """Who waits for which proposal, or for any of which agent, in this process, and the one connection that hears of
    changes."""

    def __init__(self) -> None:
        self._waiting: defaultdict[str, set[Ear]] = defaultdict(set)
        self._listener: asyncio.Task[None] | None = None
        self.is_draining = False

    def drain(self) -> None:
        """Answer everybody now with the present state: the process is about to stop, another one will be asked."""
        self.is_draining = True
        self._wake_all()

    def subscribe(self, key: str) -> Ear:
        """An event that is set when the proposal of this id, or one of the agent (`of_agent`), may have changed."""
        if self._listener is None or self._listener.done():
            self._listener = asyncio.create_task(self._listen())
        event = Ear()
        self._waiting[key].add(event)
        return event

    def unsubscribe(self, key: str, event: Ear) -> None:
        self._waiting[key].discard(event)
        if not self._waiting[key]:
            del self._waiting[key]

    def wake(self, key: str) -> None:
        """It may have changed."""
        for event in self._waiting.get(key, ()):
            event.set()

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
            except (psycopg.Error, DatabaseError, InterfaceError, OSError, TimeoutError) as error:
                log.warning("listener_lost", error=str(error)[:200])
            await asyncio.sleep(RETRY)

    async def _hear(self) -> None:
        listener = await psycopg.AsyncConnection.connect(_conninfo(), autocommit=True)
        async with listener:
            await listener.execute(f'LISTEN "{CHANNEL}"')
            await self._catch_up()
            while True:
                async for notice in listener.notifies(timeout=CHECK):
                    proposal_id, _, *agent = notice.payload.split(" ")
                    self.wake(proposal_id)
                    for agent_id in agent:
                        self.wake(of_agent(int(agent_id)))
                await asyncio.wait_for(
                    listener.execute("SELECT 1"), CHECK
                )  # a half-dead connection is found out

    async def _catch_up(self) -> None:
        """Wake whose proposal has changed while nothing was heard. Streams have a look of their own every second
        (config/events.py)."""
        waiting = {UUID(key): ears for key, ears in self._waiting.items() if not key.startswith(_AGENT)}
        versions = await doors.read(selectors.versions, list(waiting)) if waiting else {}
        for proposal_id, ears in waiting.items():
            for ear in ears:
                if ear.version != versions.get(proposal_id):
                    ear.set()

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


async def close() -> None:
    """Let go of the listening connection, when the process stops."""
    await hub.close()


def matches(scope: Scope) -> bool:
    """Whether a request wants to wait: GET of one proposal with a positive `wait`."""
    return (
        scope["type"] == "http"
        and scope["method"] == "GET"
        and b"wait=" in scope["query_string"]
        and _PATH.match(scope["path"]) is not None
    )


async def application(scope: Scope, receive: Receive, send: Send) -> None:
    """Answer when the version is above `after_version`, or with the present state when the time is up.

    `If-None-Match` spares who knows that state its body; it does not change how long is waited."""
    response: HttpResponse | None
    try:
        seconds, after = api.waiting(scope["query_string"].decode("latin-1"))
        found = _PATH.match(scope["path"])
        assert found is not None
        asked = _Asked(
            UUID(found[2]),
            doors.header(scope, b"authorization"),
            doors.address(scope),
            _known(scope),
            _SHOWN[found[1]],
        )
        response = await _wait(asked, seconds, after, receive)
    except (DomainError, OperationalError) as error:
        response = await doors.refusal(scope, error)
    except ValueError:
        response = http.problem(status=404, code="not_found", title="Not found", detail="That is not an id.")
    if response is not None:
        await doors.send_whole(send, response)


@dataclass(frozen=True, slots=True)
class _Asked:
    """Which proposal, by whose token, from where, what of it is known already (If-None-Match), and in which form."""

    proposal_id: UUID
    authorization: str
    address: str
    known: str
    shown: Callable[[Proposal], bytes] = representation.of


async def _wait(asked: _Asked, seconds: float, after: int | None, receive: Receive) -> HttpResponse | None:
    """The answer, or None when the agent has gone away."""
    loop = asyncio.get_running_loop()
    deadline = loop.time() + seconds
    key = str(asked.proposal_id)
    changed = hub.subscribe(key)
    watcher = asyncio.create_task(_watch(receive, changed))
    pays, is_news = True, False
    try:
        while True:
            changed.clear()
            state = await _reading(asked, pays=pays, is_news=is_news)
            changed.version, pays = state.version, False
            news = not state.is_open if after is None else state.version > after
            left = deadline - loop.time()
            if news or left <= 0 or hub.is_draining:
                return http.as_known(state.content, asked.known)
            with suppress(TimeoutError):
                async with asyncio.timeout(left):
                    await changed.wait()
            is_news = changed.is_set() and not hub.is_draining
            if changed.is_gone:
                return None
    finally:
        watcher.cancel()
        hub.unsubscribe(key, changed)


@dataclass(frozen=True, slots=True)
class _State:
    """A proposal as it was read: whether it is still undecided, and its JSON."""

    version: int
    is_open: bool
    content: bytes


async def _reading(asked: _Asked, *, pays: bool, is_news: bool) -> _State:
    """Read together with others. Who has been told of news does not queue behind those who come."""
    if doors.is_of_issuer(asked.authorization):
        return await doors.read(_read, asked, pays)
    return await (_of_news if is_news else _of_comers).one((asked, pays))


def _read(asked: _Asked, pays: bool = False) -> _State:
    """As `_read_several`, for one. Raises what is wrong."""
    [found] = _read_several([(asked, pays)])
    if isinstance(found, Exception):
        raise found
    return found


def _read_several(all_asked: Sequence[tuple[_Asked, bool]]) -> list[_State | Exception]:
    """The state for each, or why it is refused, with the agents' authority as it is now; runs in a reader thread."""
    admitted = doors.admit(
        [doors.Comer(asked.authorization, asked.address, pays) for asked, pays in all_asked]
    )
    wanted = [
        (bearer.agent.pk, asked.proposal_id) if isinstance(bearer, Bearer) else None
        for (asked, _), bearer in zip(all_asked, admitted, strict=True)
    ]
    own = selectors.own_of_each(pair for pair in wanted if pair is not None)
    plain = {asked.proposal_id for asked, _ in all_asked if asked.shown is representation.of}
    shown = representation.encoded([one for one in own.values() if one.pk in plain])
    found: list[_State | Exception] = []
    for (asked, _), bearer, pair in zip(all_asked, admitted, wanted, strict=True):
        if pair is None:
            assert isinstance(bearer, Exception)
            found.append(bearer)
        elif (proposal := own.get(pair)) is None:
            found.append(NotFound("There is no such proposal of this agent."))
        else:
            found.append(_state(proposal, asked, shown))
    return found


def _state(proposal: Proposal, asked: _Asked, shown: dict[UUID, bytes]) -> _State | Exception:
    try:
        content = shown[proposal.pk] if asked.shown is representation.of else asked.shown(proposal)
    except DomainError as error:
        return error
    return _State(proposal.version, proposal.state in states.OPEN, content)


_of_comers, _of_news = Readings(_read_several), Readings(_read_several)


async def _watch(receive: Receive, ear: Ear) -> None:
    while (await receive())["type"] != "http.disconnect":
        pass
    ear.is_gone = True
    ear.set()


def _known(scope: Scope) -> str:
    """All If-None-Match headers as one, as HTTP has it."""
    values = [value.decode("latin-1") for name, value in scope["headers"] if name == b"if-none-match"]
    return ", ".join(values)
