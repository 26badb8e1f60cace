"""The door for agents that listen: `GET /api/v1/events` as server-sent events, plain ASGI beside config/waiting.py.

A stream holds a cursor (approvals/feed.py) and nothing else: whatever it sends is read from stored rows at that
moment, so any process can go on where another one stopped. What wakes it are hints that may get lost or come twice:
the NOTIFY of each change, heard over the one connection of `waiting.hub`; and a sweep, one look a second for all
streams of the process, which also finds what is announced by nobody (a new proposal; what was missed while the
connection was lost). Each reading authenticates anew; silent streams are looked at every `RECHECK` seconds, so that a
revoked credential ends them too."""

import asyncio
import time
from collections.abc import Iterable, Sequence
from contextlib import suppress
from dataclasses import dataclass, field, replace

import structlog
from django.db import DatabaseError, InterfaceError, OperationalError
from django.utils import timezone

from accounts.exceptions import DomainError
from agents import authority, http
from agents.exceptions import IssuerUnavailable
from approvals import api_events, feed
from approvals.exceptions import TooManyStreams
from approvals.feed import Cursor
from config import doors
from config.bridge import Receive, Scope, Send
from config.reading import Readings
from config.waiting import Ear, hub, of_agent

log = structlog.get_logger(__name__)
PATH = "/api/v1/events"
MOST_PER_AGENT = 10
MOST_STREAMS = 20_000
SWEEP = 1.0
"""Seconds between two looks for what nobody has announced."""
RECHECK = 15.0
HEARTBEAT = 15.0
REREAD = 300.0
"""Seconds after which a silent stream reads all the same and says where it stands, so that who resumes it later has
minutes of everybody's log searched for him and not hours."""
LONGEST = 3600.0
"""Seconds after which a stream ends, so that streams spread over processes again; its client resumes it."""
SEND_TIMEOUT = 15.0
"""Seconds after which a client that takes nothing any more is let go."""
_HEADERS = [
    (b"content-type", api_events.CONTENT_TYPE.encode()),
    (b"cache-control", b"no-store, no-transform"),
    (b"x-accel-buffering", b"no"),
    (b"x-content-type-options", b"nosniff"),
]


@dataclass(eq=False, slots=True)
class Stream:
    """One agent that listens: by which token and from where, where it stands, and whether it is over."""

    authorization: str
    address: str
    agent_id: int
    cursor: Cursor
    woken: Ear = field(default_factory=Ear)
    over: bool = False

    def end(self) -> None:
        self.over = True
        self.woken.set()


class Streams:
    """The open streams of this process, and the sweep that they share."""

    def __init__(self) -> None:
        self._by_agent: dict[int, set[Stream]] = {}
        self._count = 0
        self._sweep: asyncio.Task[None] | None = None

    def __len__(self) -> int:
        return self._count

    def check_room(self, agent_id: int) -> None:
        """Raises `TooManyStreams`."""
        if len(self._by_agent.get(agent_id, ())) >= MOST_PER_AGENT:
            raise TooManyStreams(
                f"This agent has {MOST_PER_AGENT} streams open here. One is enough: it tells of all its proposals.",
                retry_after=30,
            )
        if self._count >= MOST_STREAMS:
            raise TooManyStreams("This server has all the streams it can keep open.", retry_after=30)

    def add(self, stream: Stream) -> None:
        if self._sweep is None or self._sweep.done():
            self._sweep = asyncio.create_task(self._look())
        self._by_agent.setdefault(stream.agent_id, set()).add(stream)
        self._count += 1
        stream.woken = hub.subscribe(of_agent(stream.agent_id))

    def remove(self, stream: Stream) -> None:
        hub.unsubscribe(of_agent(stream.agent_id), stream.woken)
        self._by_agent[stream.agent_id].discard(stream)
        self._count -= 1
        if not self._by_agent[stream.agent_id]:
            del self._by_agent[stream.agent_id]

    async def close(self) -> None:
        if self._sweep is not None:
            self._sweep.cancel()
            with suppress(asyncio.CancelledError):
                await self._sweep
            self._sweep = None

    async def _look(self) -> None:
        """Until nobody listens. While the database is away everybody is left as he is; the next look goes back to where
        the last one was."""
        cursor: Cursor | None = None
        checked = time.monotonic()
        while self._count:
            await asyncio.sleep(SWEEP)
            try:
                agents, cursor = await doors.read(_changed, self._by_agent, cursor)
                if time.monotonic() - checked >= RECHECK:
                    checked = time.monotonic()
                    streams = [stream for group in self._by_agent.values() for stream in group]
                    for stream in await doors.read(_no_longer_good, streams):
                        stream.end()
            except (DatabaseError, InterfaceError) as error:
                log.warning("sweep_failed", error=str(error)[:200])
                continue
            for agent_id in agents:
                hub.wake(of_agent(agent_id))


def _changed(agent_ids: Iterable[int], cursor: Cursor | None) -> tuple[set[int], Cursor]:
    """Whom to wake; everybody where it is not known since when. `agent_ids` is looked at once the new cursor has been
    taken: who subscribed before a change that this cursor counts as seen is among them."""
    if cursor is None:
        seen = feed.now()
        return set(agent_ids), seen
    return feed.agents_with_news(agent_ids, cursor)


def _no_longer_good(streams: list[Stream]) -> list[Stream]:
    """Those whose token opens nothing any more: expired, revoked, not to be used from there.

    Nobody is asked for keys: one issuer that answers slowly would hold up everybody's sweep, and one that is away says
    nothing against its agents. Each reading verifies the token anew."""
    cache, now = authority.fresh(), timezone.now()
    names: dict[Stream, bytes] = {}
    for stream in streams:
        with suppress(DomainError):
            names[stream] = http.token_name(stream.authorization)
    cache.learn(names.values())
    ended = []
    for stream in streams:
        try:
            bearer = cache.still(names[stream]) if stream in names else None
        except IssuerUnavailable:
            continue
        except DomainError:
            bearer = None
        if (
            bearer is None
            or bearer.expires_at <= now
            or bearer.agent.pk != stream.agent_id
            or not authority.may_come_from_here(bearer, stream.address)
        ):
            ended.append(stream)
    return ended


streams = Streams()


async def close() -> None:
    """Stop looking, when the process stops."""
    await streams.close()


def matches(scope: Scope) -> bool:
    return (scope["type"], scope.get("method"), scope.get("path")) == ("http", "GET", PATH)


async def application(scope: Scope, receive: Receive, send: Send) -> None:
    """Stream to an agent what happens to its own proposals, from where it left off."""
    comer = doors.Comer(doors.header(scope, b"authorization"), doors.address(scope))
    resumed = doors.header(scope, b"last-event-id")
    try:
        stream = await _opening(comer, resumed)
        streams.check_room(stream.agent_id)
    except (DomainError, OperationalError) as error:
        await doors.send_whole(send, await doors.refusal(scope, error))
        return
    streams.add(stream)
    watcher = asyncio.create_task(_watch(receive, stream))
    try:
        try:
            if not resumed:
                stream.cursor = await _beginnings.one(stream)
        except OperationalError as error:
            await doors.send_whole(send, await doors.refusal(scope, error))
        else:
            await _serve(stream, send, more=bool(resumed))
    finally:
        watcher.cancel()
        streams.remove(stream)


async def _opening(comer: doors.Comer, resumed: str) -> Stream:
    """Who listens, and from where on, found out together with others who come."""
    if doors.is_of_issuer(comer.authorization):
        [found] = await doors.read(_opened, [(comer, resumed)])
        if isinstance(found, Exception):
            raise found
        return found
    return await _openings.one((comer, resumed))


def _opened(comers: Sequence[tuple[doors.Comer, str]]) -> list[Stream | Exception]:
    """A stream for each, or why it is refused; runs in a reader thread."""
    present = feed.now()
    found: list[Stream | Exception] = []
    admitted = doors.admit([comer for comer, _ in comers])
    for (comer, resumed), bearer in zip(comers, admitted, strict=True):
        try:
            if isinstance(bearer, Exception):
                raise bearer
            agent_id = bearer.agent.pk
            cursor = api_events.opening(resumed, agent_id) if resumed else replace(present, agent_id=agent_id)
            found.append(Stream(comer.authorization, comer.address, agent_id, cursor))
        except DomainError as error:
            found.append(error)
    return found


def _begun(these: Sequence[Stream]) -> list[Cursor | Exception]:
    """Where streams begin that resume nothing. They are subscribed by now, so what commits later wakes them."""
    present = feed.now()
    return [replace(present, agent_id=stream.agent_id) for stream in these]


_openings, _beginnings = Readings(_opened), Readings(_begun)


async def _serve(stream: Stream, send: Send, *, more: bool) -> None:
    """Send what there is, then whenever something has come; in between a comment shows that the line is alive.

    The stream is subscribed before it has its first cursor or reads for the first time (`more`: what it resumes), and
    woken is cleared before each reading: what commits after the reading wakes it again."""
    loop = asyncio.get_running_loop()
    ends_at, reads_at = loop.time() + LONGEST, loop.time() + REREAD
    await send({"type": "http.response.start", "status": 200, "headers": _HEADERS})
    content = api_events.greeting(stream.cursor)
    while await _sent(send, content) and not stream.over and not (hub.is_draining and not more):
        if not more:
            with suppress(TimeoutError):  # not wait_for, which costs a task for as long as it waits
                async with asyncio.timeout(HEARTBEAT):
                    await stream.woken.wait()
        if loop.time() >= ends_at or stream.over:
            break
        content = api_events.COMMENT
        if more or stream.woken.is_set() or loop.time() >= reads_at:
            stream.woken.clear()
            reads_at = loop.time() + REREAD
            try:
                content, more = await doors.read(_read, stream)
            except (DomainError, DatabaseError, InterfaceError):
                break
            content = content or api_events.place(stream.cursor)
    with suppress(OSError, TimeoutError):
        async with asyncio.timeout(SEND_TIMEOUT):
            await send({"type": "http.response.body"})


def _read(stream: Stream) -> tuple[bytes, bool]:
    """What came, and whether there is more, read with the agent's authority as it is now; runs in a reader thread."""
    bearer = http.authenticate(stream.authorization, address=stream.address)
    news = feed.news(bearer.agent.pk, stream.cursor)
    content = api_events.text(news)
    stream.cursor = news.cursor
    return content, news.more


async def _sent(send: Send, content: bytes) -> bool:
    """Whether the client still takes what it is sent."""
    try:
        async with asyncio.timeout(SEND_TIMEOUT):
            await send({"type": "http.response.body", "body": content, "more_body": True})
    except (OSError, TimeoutError):
        return False
    return True


async def _watch(receive: Receive, stream: Stream) -> None:
    while (await receive())["type"] != "http.disconnect":
        pass
    stream.end()
