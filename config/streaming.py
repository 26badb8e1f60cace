"""The door for pages that want news: `GET /stream/?watch=queue:slug&watch=proposal:uuid` as server-sent events.

Plain ASGI beside config/waiting.py (STACK.md): a stream costs a coroutine. One Redis subscription per process hears of
all changes (approvals/news.py) and fans them out in memory; what is sent only says that a page should look again, so
losing it does no harm. Who may hear of what is read from the database when a stream opens and every `RECHECK` seconds.

Looking again costs the server far more than telling, so a process invites at most `INVITES` pages a second: two hundred
reviewers of one queue do not all ask at once when something comes in, and their decisions are not kept waiting."""

import asyncio
import random
import re
from collections import defaultdict
from concurrent.futures import ThreadPoolExecutor
from contextlib import suppress
from dataclasses import dataclass, field
from http.cookies import CookieError, SimpleCookie
from importlib import import_module
from typing import Any
from urllib.parse import parse_qs
from uuid import UUID

import redis.asyncio
import structlog
from django.conf import settings
from django.contrib.auth import get_user
from django.db import DatabaseError, InterfaceError, close_old_connections
from django.http import HttpRequest
from redis.exceptions import RedisError

from accounts.models import User
from approvals import news, permissions
from approvals.models import Proposal, Queue
from config.bridge import Receive, Scope, Send

log = structlog.get_logger(__name__)
PATH = "/stream/"
READERS = 2
MOST_TOPICS = 100
MOST_PER_PERSON = 6
MOST_STREAMS = 1000
RECHECK = 30.0
LONGEST = 600.0
HEARTBEAT = 15.0
LEAST = 1.0
"""Seconds between two news to the same page."""
INVITES = 40.0
"""Pages asked to look again, per second and process; as many may be asked at once after a quiet second."""
SEND_TIMEOUT = 15.0
"""Seconds after which a browser that takes nothing any more is let go."""
RETRY = (0.5, 5.0)
"""Seconds between attempts to reach Redis: the first, the longest."""
CHECK = 15.0
"""Seconds between two proofs that the subscription still lives."""
ALL_QUEUES = "queues"
"""Asks for every queue that the person reviews."""
ALL_AGENTS = "agents"
"""Asks for every agent that the person answers for; auditors and admins answer for all."""
_QUEUE = re.compile(r"queue:([-a-zA-Z0-9_]{1,60})\Z")
_PROPOSAL = re.compile(r"proposal:([0-9a-f]{8}(?:-[0-9a-f]{4}){3}-[0-9a-f]{12})\Z")
_HEADERS = [
    (b"content-type", b"text/event-stream; charset=utf-8"),
    (b"cache-control", b"no-store, no-transform"),
    (b"x-accel-buffering", b"no"),
    (b"x-content-type-options", b"nosniff"),
]


@dataclass(frozen=True, slots=True)
class Listener:
    """Who listens, and to what he may."""

    person: int
    topics: frozenset[str]


@dataclass(eq=False, slots=True)
class Stream:
    """One open page: what it is told of, what it has not been told yet, and whether it has gone."""

    listener: Listener
    news: set[str] = field(default_factory=set)
    woken: asyncio.Event = field(default_factory=asyncio.Event)
    over: asyncio.Event = field(default_factory=asyncio.Event)

    def tell(self, topic: str) -> None:
        self.news.add(topic)
        self.woken.set()

    def end(self) -> None:
        self.over.set()
        self.woken.set()

    async def pause(self, seconds: float) -> None:
        """Let others go first; news that come meanwhile go out in one message."""
        if seconds > 0:
            with suppress(TimeoutError):
                await asyncio.wait_for(self.over.wait(), seconds)


class Hub:
    """The streams of this process by topic, and the one subscription they share."""

    def __init__(self) -> None:
        self._by_topic: defaultdict[str, set[Stream]] = defaultdict(set)
        self._streams: set[Stream] = set()
        self._subscriber: asyncio.Task[None] | None = None
        self._next_invitation = 0.0
        self.is_draining = False

    def __len__(self) -> int:
        return len(self._streams)

    def has_room(self, person: int) -> bool:
        if self.is_draining or len(self._streams) >= MOST_STREAMS:
            return False
        return len(self._by_topic.get(news.person_topic(person), ())) < MOST_PER_PERSON

    def add(self, stream: Stream) -> None:
        if self._subscriber is None or self._subscriber.done():
            self._subscriber = asyncio.create_task(self._subscribe())
        self._streams.add(stream)
        for topic in stream.listener.topics:
            self._by_topic[topic].add(stream)

    def remove(self, stream: Stream) -> None:
        self._streams.discard(stream)
        for topic in stream.listener.topics:
            self._by_topic[topic].discard(stream)
            if not self._by_topic[topic]:
                del self._by_topic[topic]

    def drain(self) -> None:
        """Let every page go: the process is about to stop, and they find another one."""
        self.is_draining = True
        for stream in self._streams:
            stream.end()

    async def close(self) -> None:
        """Let go of the subscription, when the process stops."""
        if self._subscriber is not None:
            self._subscriber.cancel()
            with suppress(asyncio.CancelledError):
                await self._subscriber
            self._subscriber = None
        self.is_draining = False

    def turn(self, now: float) -> float:
        """Seconds until another page may be invited to look again; asking takes the place."""
        self._next_invitation = max(self._next_invitation, now - 1.0) + 1.0 / INVITES
        return max(0.0, self._next_invitation - now)

    def hear(self, topics: list[str]) -> None:
        """Pass a message on, in no fixed order: nobody is always the last to be told."""
        if news.EVERYTHING in topics:
            for stream in self._streams:
                stream.tell(news.EVERYTHING)
            return
        for topic in topics:
            streams = list(self._by_topic.get(topic, ()))
            random.shuffle(streams)
            for stream in streams:
                stream.tell(topic)

    async def _subscribe(self) -> None:
        pause = RETRY[0]
        while True:
            try:
                async for topics in _messages():
                    pause = RETRY[0]
                    self.hear(topics)
            except (RedisError, OSError, TimeoutError) as error:
                log.warning("news_lost", error=str(error)[:200])
            await asyncio.sleep(pause)
            pause = min(pause * 2, RETRY[1])


async def _messages() -> Any:
    """The topics of each message. Every (re)subscription counts as one message about everything, since nobody knows
    what was said meanwhile. Raises what redis raises when the connection is lost."""
    client = redis.asyncio.Redis.from_url(
        settings.REDIS_URL, socket_connect_timeout=CHECK, socket_timeout=CHECK, decode_responses=True
    )
    async with client, client.pubsub() as subscription:
        await subscription.subscribe(news.CHANNEL)
        unanswered = 0
        while True:
            message = await subscription.get_message(timeout=CHECK)
            unanswered = unanswered + 1 if message is None else 0
            if unanswered > 1:
                raise TimeoutError("Redis is connected and says nothing")
            if message is None:
                await asyncio.wait_for(subscription.ping(), CHECK)
            elif message["type"] == "subscribe":
                yield [news.EVERYTHING]
            elif message["type"] == "message":
                yield message["data"].split(" ")


hub = Hub()
_readers = ThreadPoolExecutor(READERS, thread_name_prefix="stream-read")


async def close() -> None:
    """Let go of subscription and threads, when the process stops."""
    global _readers
    await hub.close()
    _readers.shutdown(wait=True)
    _readers = ThreadPoolExecutor(READERS, thread_name_prefix="stream-read")


def matches(scope: Scope) -> bool:
    return (scope["type"], scope.get("method"), scope.get("path")) == ("http", "GET", PATH)


async def application(scope: Scope, receive: Receive, send: Send) -> None:
    """Stream to whoever is signed in. Everybody else, and whoever has too many already, gets a 204, which tells a
    browser to let it be (and, unlike an error, leaves its console alone)."""
    asked = parse_qs(scope["query_string"].decode("latin-1")).get("watch", [])[:MOST_TOPICS]
    session_key = _session_key(scope)
    listener = await _read(session_key, asked) if session_key and _is_from_here(scope) else None
    if listener is None or not hub.has_room(listener.person):
        await send(
            {"type": "http.response.start", "status": 204, "headers": [(b"cache-control", b"no-store")]}
        )
        await send({"type": "http.response.body"})
        return
    stream = Stream(listener)
    hub.add(stream)
    watcher = asyncio.create_task(_watch(receive, stream))
    try:
        await _serve(stream, send, session_key, asked)
    finally:
        watcher.cancel()
        hub.remove(stream)


async def _serve(stream: Stream, send: Send, session_key: str, asked: list[str]) -> None:
    """Send news as they come, a comment while there are none, and look again who is listening from time to time."""
    loop = asyncio.get_running_loop()
    opened = checked = loop.time()
    told = 0.0
    await send({"type": "http.response.start", "status": 200, "headers": _HEADERS})
    text = ": here\n\n"
    while await _sent(send, text):
        with suppress(TimeoutError):
            await asyncio.wait_for(stream.woken.wait(), min(HEARTBEAT, RECHECK))
        if stream.news:
            await stream.pause(told + LEAST - loop.time())
            await stream.pause(hub.turn(loop.time()))
            told = loop.time()
        stream.woken.clear()
        now = loop.time()
        if now - checked >= RECHECK and not stream.over.is_set():
            checked = now
            await _recheck(stream, session_key, asked)
        if stream.over.is_set() or now - opened >= LONGEST:
            break
        text = f"event: news\ndata: {' '.join(sorted(stream.news))}\n\n" if stream.news else ": still\n\n"
        stream.news.clear()
    with suppress(OSError, TimeoutError):
        await asyncio.wait_for(send({"type": "http.response.body"}), SEND_TIMEOUT)


async def _sent(send: Send, text: str) -> bool:
    try:
        message = {"type": "http.response.body", "body": text.encode(), "more_body": True}
        await asyncio.wait_for(send(message), SEND_TIMEOUT)
    except (OSError, TimeoutError):
        return False
    return True


async def _recheck(stream: Stream, session_key: str, asked: list[str]) -> None:
    """End the stream of somebody who has signed out, and drop topics that are no longer his."""
    listener = await _read(session_key, asked)
    if listener is None or listener.person != stream.listener.person:
        stream.end()
    elif listener.topics != stream.listener.topics:
        hub.remove(stream)
        stream.listener = listener
        stream.news &= listener.topics | {news.EVERYTHING}
        hub.add(stream)


async def _watch(receive: Receive, stream: Stream) -> None:
    while (await receive())["type"] != "http.disconnect":
        pass
    stream.end()


async def _read(session_key: str, asked: list[str]) -> Listener | None:
    return await asyncio.get_running_loop().run_in_executor(_readers, _listener, session_key, asked)


def _listener(session_key: str, asked: list[str]) -> Listener | None:
    """Who this session belongs to and which of the topics asked for he may hear of; None for nobody, and while the
    database is away. Runs in a reader thread."""
    close_old_connections()
    try:
        request = HttpRequest()
        request.session = import_module(settings.SESSION_ENGINE).SessionStore(session_key)
        user = get_user(request)
        if not isinstance(user, User) or not user.is_active:
            return None
        return Listener(user.pk, frozenset({news.person_topic(user.pk), *_allowed(user, asked)}))
    except (DatabaseError, InterfaceError):
        return None
    finally:
        close_old_connections()


def _allowed(user: User, asked: list[str]) -> list[str]:
    """Queues he reviews, agents he answers for, proposals he may see. What is none, or not his, is left out."""
    slugs = {found[1] for found in map(_QUEUE.match, asked) if found}
    ids = {UUID(found[1]) for found in map(_PROPOSAL.match, asked) if found}
    topics: list[str] = []
    if slugs or ALL_QUEUES in asked:
        mine = Queue.objects.filter(pk__in=permissions.readable_queue_ids(user))
        if ALL_QUEUES not in asked:
            mine = mine.filter(slug__in=slugs)
        topics += map(news.queue_topic, mine.values_list("slug", flat=True))
    if ALL_AGENTS in asked:
        topics += map(news.agent_topic, permissions.watched_agent_ids(user))
    if ids:
        visible = Proposal.objects.filter(permissions.visible_to(user), pk__in=ids)
        topics += map(news.proposal_topic, visible.values_list("pk", flat=True).distinct())
    return topics


def _session_key(scope: Scope) -> str:
    """The session's key from the cookie, or nothing."""
    cookies: SimpleCookie = SimpleCookie()
    for name, value in scope["headers"]:
        if name == b"cookie":
            with suppress(CookieError):
                cookies.load(value.decode("latin-1"))
    found = cookies.get(settings.SESSION_COOKIE_NAME)
    return found.value if found else ""


def _is_from_here(scope: Scope) -> bool:
    """A page of another site may not keep streams of a signed-in person open (browsers say where they come from)."""
    site = next((value for name, value in scope["headers"] if name == b"sec-fetch-site"), b"same-origin")
    return site in (b"same-origin", b"none")
