"""Token buckets: one party, one kind of request, one bucket in Redis, asked for and paid in one round trip.

A bucket that Redis does not know is full, so a flushed Redis forgives and forgets nothing else. While Redis is away
everybody passes: people must be able to decide, and what an agent can pile up is still capped by what PostgreSQL holds
open of it (approvals/open_items.py). Redis' own clock counts, so that several hosts agree."""

import hashlib
import hmac
import math
import time
from functools import lru_cache

import redis
import structlog
from django.conf import settings
from django.db import DatabaseError
from redis.backoff import NoBackoff
from redis.retry import Retry

from accounts.exceptions import DomainError, TooManyRequests
from agents import authority, http
from agents.authority import Bearer
from config.rates import Kind

log = structlog.get_logger(__name__)
PATIENCE = 0.2
"""Seconds that an answer of Redis is waited for."""
PAUSE = 1.0
"""Seconds that Redis is left alone after it did not answer, so that waiting for it is not what slows everybody."""
SAID_EVERY = 60.0
_BUCKET = """
local rate, burst, cost = tonumber(ARGV[1]), tonumber(ARGV[2]), tonumber(ARGV[3])
local clock = redis.call('TIME')
local now = clock[1] + clock[2] / 1000000
local known = redis.call('HMGET', KEYS[1], 'left', 'at')
local left = math.min(burst, (tonumber(known[1]) or burst)
    + math.max(0, now - (tonumber(known[2]) or now)) * rate)
local wait = 0
if left >= cost then left = left - cost else wait = math.ceil((cost - left) / rate * 1000) end
redis.call('HSET', KEYS[1], 'left', string.format('%.6f', left), 'at', string.format('%.6f', now))
redis.call('PEXPIRE', KEYS[1], math.ceil(burst / rate * 1000) + 1000)
return wait
"""
_away_until = _said_at = -math.inf


def spend(kind: Kind, *, party: str, slug: str = "", cost: int = 1) -> None:
    """Take `cost` out of the party's bucket. Raises `TooManyRequests` where it does not hold as much.

    A batch costs its items; one that is larger than the bucket costs all of it."""
    rate = settings.LIMITS.rate(kind, slug)
    wait = _wait(_key(kind, party), rate.per_second, rate.burst, min(cost, rate.burst))
    if wait > 0:
        seconds = math.ceil(wait / 1000)
        raise TooManyRequests(
            f"{_WHAT[kind]} {rate.per_second} a second, {rate.burst} at once. Send the same again in {seconds} s.",
            retry_after=seconds,
        )


_WHAT: dict[Kind, str] = {
    "propose": "An agent may propose",
    "act": "An agent may write",
    "read": "An agent may read",
    "person": "One person may ask for",
}


def known(authorization: str, *, address: str | None = None) -> Bearer | None:
    """Whom the header names by what this process knows; None for nobody, whom the view refuses, and for a token that
    comes from elsewhere than it may: who has stolen it is not to use its agent's allowance up.

    Good for counting and nothing else: what is acted upon is authenticated where it is done."""
    try:
        bearer = authority.cache().bearer(http.bearer_hash(authorization))
        if bearer is not None:
            authority.check_network(bearer, address)
    except (DomainError, DatabaseError):
        return None
    return bearer


def spend_of_agent(kind: Kind, bearer: Bearer) -> None:
    """One request of an agent, whichever of its credentials it came with. Raises `TooManyRequests`."""
    spend(kind, party=f"agent:{bearer.agent.pk}", slug=bearer.agent.slug)


def spend_on_proposals(bearer: Bearer, count: int) -> None:
    """What a batch costs, once it is known how many it holds. Raises `TooManyRequests`."""
    spend("propose", party=f"agent:{bearer.agent.pk}", slug=bearer.agent.slug, cost=count)


def _key(kind: Kind, party: str) -> str:
    """Of this installation alone, though two share a Redis, and nobody's name to read."""
    name = f"{settings.DATABASES['default']['NAME']} {kind} {party}"
    return (
        "countersign:limit:"
        + hmac.digest(settings.SECRET_KEY.encode(), name.encode(), hashlib.sha256).hex()[:32]
    )


@lru_cache(maxsize=1)
def _client(url: str, patience: float) -> redis.Redis:
    again = Retry(NoBackoff(), 1)  # at once, on a new connection: the old one may have ended with a restart
    return redis.Redis.from_url(url, socket_timeout=patience, socket_connect_timeout=patience, retry=again)


_HASH = hashlib.sha1(_BUCKET.encode(), usedforsecurity=False).hexdigest()


def _wait(key: str, per_second: int, burst: int, cost: int) -> int:
    """Milliseconds until the bucket holds enough; 0 when it has been paid, or nobody can say."""
    global _away_until, _said_at
    now = time.monotonic()
    if now < _away_until:
        return 0
    client = _client(settings.REDIS_URL, PATIENCE)
    try:
        try:
            answer = client.evalsha(_HASH, 1, key, str(per_second), str(burst), str(cost))
        except redis.exceptions.NoScriptError:
            answer = client.eval(_BUCKET, 1, key, str(per_second), str(burst), str(cost))
        return int(str(answer))
    except (redis.RedisError, OSError) as error:
        _away_until = now + PAUSE
        if now - _said_at >= SAID_EVERY:
            _said_at = now
            log.warning("limits_away", error=str(error)[:200], effect="nobody's rate is limited")
        return 0
