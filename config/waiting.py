"""The waiting door: long-polls as plain ASGI, outside Django's handler (STACK.md).

One LISTEN connection per process hears of every change at its commit and wakes who waits for that proposal.
A waiter subscribes, then reads the state, then waits, so that nothing falls between; after a lost connection
everybody reads again. Waiting costs a coroutine, reading borrows one of a few threads."""

import asyncio
import re
from collections import defaultdict
from collections.abc import Callable
from contextlib import suppress
from dataclasses import dataclass
from uuid import UUID

import psycopg
import structlog
from django.db import OperationalError, connection
from django.http import HttpResponse
from psycopg.conninfo import make_conninfo

from accounts.exceptions import DomainError
from agents import http
from approvals import api, api_imports, representation, selectors, states
from approvals.models import Proposal
from approvals.transitions import CHANNEL
from config import doors
from config.bridge import Receive, Scope, Send

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


def of_agent(agent_id: int) -> str:
    """What to subscribe to for every change of an agent's proposals."""
    return f"agent:{agent_id}"


class Hub:
    """Who waits for which proposal, or for any of which agent, in this process, and the one connection that hears of
    changes."""

    def __init__(self) -> None:
        self._waiting: defaultdict[str, set[asyncio.Event]] = defaultdict(set)
        self._listener: asyncio.Task[None] | None = None
        self.is_draining = False

    def drain(self) -> None:
        """Answer everybody now with the present state: the process is about to stop, another one will be asked."""
        self.is_draining = True
        self._wake_all()

    def subscribe(self, key: str) -> asyncio.Event:
        """An event that is set when the proposal of this id, or one of the agent (`of_agent`), may have changed."""
        if self._listener is None or self._listener.done():
            self._listener = asyncio.create_task(self._listen())
        event = asyncio.Event()
        self._waiting[key].add(event)
        return event

    def unsubscribe(self, key: str, event: asyncio.Event) -> None:
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
                    proposal_id, _, *agent = notice.payload.split(" ")
                    self.wake(proposal_id)
                    for agent_id in agent:
                        self.wake(of_agent(int(agent_id)))
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
        await doors.read(doors.spend, asked.authorization, asked.address)
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
    shown: Callable[[Proposal], bytes]


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
            version, is_open, content = await doors.read(_read, asked)
            news = not is_open if after is None else version > after
            left = deadline - loop.time()
            if news or left <= 0 or hub.is_draining:
                return http.as_known(content, asked.known)
            woken = asyncio.create_task(changed.wait())
            await asyncio.wait({woken, gone}, timeout=left, return_when=asyncio.FIRST_COMPLETED)
            woken.cancel()
            if gone.done():
                return None
    finally:
        gone.cancel()
        hub.unsubscribe(key, changed)


def _read(asked: _Asked) -> tuple[int, bool, bytes]:
    """(version, still undecided, JSON), read with the agent's authority as it is now, an issuer's token with its
    signature and its end; runs in a reader thread."""
    bearer = http.authenticate(asked.authorization, address=asked.address)
    proposal = selectors.own_proposal(bearer.agent.pk, asked.proposal_id)
    return proposal.version, proposal.state in states.OPEN, asked.shown(proposal)


async def _disconnected(receive: Receive) -> None:
    while (await receive())["type"] != "http.disconnect":
        pass


def _known(scope: Scope) -> str:
    """All If-None-Match headers as one, as HTTP has it."""
    values = [value.decode("latin-1") for name, value in scope["headers"] if name == b"if-none-match"]
    return ", ".join(values)
