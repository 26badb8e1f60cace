"""The version number of all authority, and the per-process cache that is valid for one number."""

import time
from contextlib import suppress
from dataclasses import dataclass
from datetime import datetime
from typing import TypeVar

from django.db import connection
from django.db.models.expressions import RawSQL
from django.utils import timezone

from agents.models import ActionType, Agent, AgentVersion, AuthorityVersion, Credential, Mandate

_K = TypeVar("_K")
_V = TypeVar("_V")
MAX_KNOWN = 20_000
NOTED_EVERY = 60.0
"""Seconds between two notes of a credential's use."""

_NEXT = RawSQL("GREATEST(number + 1, (extract(epoch FROM clock_timestamp()) * 1000000)::bigint)", ())
"""Rises with the clock too, so that a number is not met again after a restore or a new database."""


def _create_row() -> None:
    AuthorityVersion.objects.bulk_create([AuthorityVersion(id=1)], ignore_conflicts=True)
    AuthorityVersion.objects.filter(pk=1).update(number=_NEXT)


def bump() -> None:
    """Call in every transaction that changes credentials, agents, mandates, action types, policies or queues."""
    if not AuthorityVersion.objects.filter(pk=1).update(number=_NEXT):
        _create_row()


def current() -> int:
    """The committed number, by one primary-key look-up; the row is made on first use."""
    with connection.cursor() as cursor:
        cursor.execute("SELECT number FROM agents_authorityversion WHERE id = 1")
        row = cursor.fetchone()
    if row is None:
        _create_row()
        return current()
    return int(row[0])


@dataclass(frozen=True, slots=True)
class Bearer:
    """An authenticated agent: which credential it used and until when that is good."""

    agent: Agent
    credential_id: int
    expires_at: datetime


class Cache:
    """What this process knows at one authority number; thrown away whole when the number has moved.

    Correct without any clock: the statement that acts on it checks the number again in the database."""

    def __init__(self, number: int) -> None:
        self.number = number
        self._bearers: dict[bytes, Bearer | None] = {}
        self._versions: dict[int, AgentVersion | None] = {}
        self._action_types: dict[str, ActionType | None] = {}
        self._mandates: dict[tuple[int, int], Mandate | None] = {}

    def bearer(self, token_hash: bytes) -> Bearer | None:
        """The agent behind a token's hash; unknown and revoked ones are None."""
        with suppress(KeyError):
            return self._bearers[token_hash]
        credential = (
            Credential.objects.filter(token_hash=token_hash, revoked_at=None)
            .select_related("agent__owner", "agent__team")
            .first()
        )
        bearer = None
        if credential is not None:
            bearer = Bearer(credential.agent, credential.pk, credential.expires_at)
        return _keep(self._bearers, token_hash, bearer)

    def version(self, agent: Agent) -> AgentVersion | None:
        """What the agent announced of its present version."""
        with suppress(KeyError):
            return self._versions[agent.pk]
        found = AgentVersion.objects.filter(agent=agent, label=agent.version).first()
        return _keep(self._versions, agent.pk, found)

    def action_type(self, name: str) -> ActionType | None:
        with suppress(KeyError):
            return self._action_types[name]
        return _keep(self._action_types, name, ActionType.objects.filter(name=name).first())

    def mandate(self, agent: Agent, action_type: ActionType) -> Mandate | None:
        key = (agent.pk, action_type.pk)
        with suppress(KeyError):
            return self._mandates[key]
        found = Mandate.objects.filter(agent=agent, action_type=action_type, active=True).first()
        return _keep(self._mandates, key, found)


def _keep(known: dict[_K, _V], key: _K, value: _V) -> _V:
    """Remember, in a bounded dictionary: whoever sends made-up tokens or names must not fill the memory.

    Another thread may empty it at any moment, so callers take what is returned and never look twice."""
    if len(known) >= MAX_KNOWN:
        known.clear()
    known[key] = value
    return value


_cache: Cache | None = None


def cache() -> Cache:
    """This process's cache, possibly stale; whoever acts on it checks `Cache.number` where it matters."""
    global _cache
    if _cache is None:
        return fresh()
    return _cache


def fresh() -> Cache:
    """The cache after a look at the database: the same one while nothing has changed."""
    global _cache
    number = current()
    if _cache is None or _cache.number != number:
        _cache = Cache(number)
    return _cache


def drop() -> None:
    """Forget everything, for tests that replace the database under a running process."""
    global _cache
    _cache = None
    _noted.clear()


_noted: dict[int, float] = {}


def note_use(credential_id: int) -> None:
    """Remember when a credential was last used, once a minute in each process. For people to read; decides nothing."""
    now = time.monotonic()
    if now - _noted.get(credential_id, -NOTED_EVERY) < NOTED_EVERY:
        return
    _noted[credential_id] = now
    Credential.objects.filter(pk=credential_id).update(last_used_at=timezone.now())
