"""Tell open pages that something has changed: a hint after the commit, which may get lost (DESIGN.md §3).

Whoever changes a row marks its topics here. The marks of a process are gathered and one thread publishes them over
Redis, at once after a quiet while and then at most every `PAUSE` seconds. A request pays for adding to a set; where
Redis is away the hint is dropped and pages find out by their slow pulse. config/streaming.py carries it to browsers."""

import os
import threading
import time
from collections.abc import Iterable
from functools import partial

import redis
from django.conf import settings
from django.db import transaction

from approvals.models import Proposal

CHANNEL = "countersign:news"
EVERYTHING = "*"
"""The topic that stands for all, where so much changed that naming it would cost more than looking."""
PAUSE = 0.2
MOST = 2000
AWAY = 1.0
"""Seconds for which a Redis that did not answer is left alone."""


def queue_topic(slug: str) -> str:
    return f"queue:{slug}"


def proposal_topic(proposal_id: object) -> str:
    return f"proposal:{proposal_id}"


def person_topic(person_id: int) -> str:
    return f"person:{person_id}"


def agent_topic(agent_id: int) -> str:
    return f"agent:{agent_id}"


def proposal_changed(proposal: Proposal) -> None:
    """Its state, content or holder is another one; whoever has it, its queue or its agent on screen hears of it."""
    _after_commit([proposal_topic(proposal.pk), *_around(proposal)])


def proposal_came(proposal: Proposal) -> None:
    """A new one; nobody can have it on screen yet."""
    _after_commit(_around(proposal))


def _around(proposal: Proposal) -> list[str]:
    topics = [agent_topic(proposal.agent_id)]
    if proposal.queue_id is not None and proposal.queue is not None:
        topics.append(queue_topic(proposal.queue.slug))
    return topics


def queue_changed(slug: str) -> None:
    """Something came into this queue or left it."""
    _after_commit([queue_topic(slug)])


def people_told(people: Iterable[int]) -> None:
    """These people (primary keys) have new notifications."""
    _after_commit([person_topic(person) for person in people])


def _after_commit(topics: list[str]) -> None:
    transaction.on_commit(partial(post.mark, topics))


class Post:
    """The marks of this process and the thread that publishes them. Neither can fail or delay who marks."""

    def __init__(self) -> None:
        self._reset()

    def _reset(self) -> None:
        """Also in a forked child, which inherits neither the thread nor a lock that anybody would release."""
        self._lock = threading.Lock()
        self._dirty: set[str] = set()
        self._marked = threading.Event()
        self._thread: threading.Thread | None = None
        self._client: redis.Redis | None = None

    def mark(self, topics: Iterable[str]) -> None:
        with self._lock:
            self._dirty.update(topics)
            if len(self._dirty) > MOST:
                self._dirty = {EVERYTHING}
            if self._thread is None:
                self._thread = threading.Thread(target=self._run, name="news", daemon=True)
                self._thread.start()
        self._marked.set()

    def _run(self) -> None:
        while True:
            self._marked.wait()
            self._marked.clear()
            with self._lock:
                topics, self._dirty = self._dirty, set()
            time.sleep(PAUSE if not topics or self._publish(topics) else AWAY)

    def _publish(self, topics: set[str]) -> bool:
        """Whether Redis took it."""
        try:
            if self._client is None:
                self._client = redis.Redis.from_url(
                    settings.REDIS_URL, socket_timeout=AWAY, socket_connect_timeout=AWAY
                )
            self._client.publish(CHANNEL, " ".join(topics))
        except (redis.RedisError, OSError):
            return False
        return True


post = Post()
os.register_at_fork(after_in_child=post._reset)
