"""The version number of all authority, and the per-process cache that is valid for one number."""

import time
from collections.abc import Iterable, Mapping
from contextlib import suppress
from dataclasses import dataclass
from datetime import datetime, timedelta
from typing import Any, TypeVar

from django.db import connection
from django.db.models import Q
from django.db.models.expressions import RawSQL
from django.utils import timezone

from agents import identity, networks
from agents.exceptions import BadCredential, BadToken, IssuerUnavailable
from agents.identity import Vouched
from agents.models import ActionType, Agent, AgentVersion, AuthorityVersion, Credential, Identity, Mandate
from agents.networks import Network
from audit import recording

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
    """An authenticated agent: which credential it used, until when that is good, and from where."""

    agent: Agent
    credential_id: int
    expires_at: datetime
    networks: tuple[Network, ...] = ()


class Cache:
    """What this process knows at one authority number; thrown away whole when the number has moved.

    Correct without any clock: the statement that acts on it checks the number again in the database."""

    def __init__(self, number: int) -> None:
        self.number = number
        self._bearers: dict[bytes, Bearer | None] = {}
        self._versions: dict[int, AgentVersion | None] = {}
        self._action_types: dict[str, ActionType | None] = {}
        self._mandates: dict[tuple[int, int], Mandate | None] = {}
        self._identities: dict[str, list[Identity]] = {}

    def bearer(self, token_hash: bytes) -> Bearer | None:
        """The agent behind a token's hash, or behind an issuer's token that `agents.http` has just verified; unknown
        and revoked ones are None."""
        with suppress(KeyError):
            return self._bearers[token_hash]
        if identity.is_digest(token_hash):
            vouched = identity.seen(token_hash)
            if vouched is None:
                return None
            return _keep(self._bearers, token_hash, self._vouched_for(vouched))
        return _keep(self._bearers, token_hash, _of_ours([token_hash]).get(token_hash))

    def learn(self, token_hashes: Iterable[bytes]) -> None:
        """Look all of ours up that are not known yet, by one query: after a change of authority every agent is
        unknown, and thousands may be waiting."""
        unknown = {one for one in token_hashes if one not in self._bearers and not identity.is_digest(one)}
        if unknown:
            found = _of_ours(unknown)
            for token_hash in unknown:
                _keep(self._bearers, token_hash, found.get(token_hash))

    def still(self, token_hash: bytes) -> Bearer | None:
        """The same for somebody who was let in before and still listens: of an issuer's token counts what was last
        verified, however long ago, so nobody is asked for keys. Raises `IssuerUnavailable` where that is forgotten."""
        if not identity.is_digest(token_hash):
            return self.bearer(token_hash)
        with suppress(KeyError):
            return self._bearers[token_hash]
        vouched = identity.vouched(token_hash)
        if vouched is None:
            raise IssuerUnavailable("What the issuer vouched for is forgotten.", retry_after=5)
        return _keep(self._bearers, token_hash, self._vouched_for(vouched))

    def identities(self, issuer: str) -> list[Identity]:
        """Every identity in force that trusts this issuer."""
        with suppress(KeyError):
            return self._identities[issuer]
        found = Identity.objects.filter(issuer=issuer, credential__revoked_at=None)
        named = found.select_related("credential__agent__owner", "credential__agent__team")
        return _keep(self._identities, issuer, list(named.order_by("pk")))

    def _vouched_for(self, vouched: Vouched) -> Bearer | None:
        """Whom the issuer vouches for. A token that two agents could call theirs is nobody's."""
        now = timezone.now()
        fitting = [
            one.credential
            for one in self.identities(vouched.issuer)
            if one.credential.expires_at > now and is_of(one, vouched)
        ]
        if len({credential.agent_id for credential in fitting}) != 1:
            return None
        first = fitting[0]
        until = min(first.expires_at, vouched.expires_at)
        return Bearer(first.agent, first.pk, until, networks.parsed(first.networks))

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


def _of_ours(token_hashes: Iterable[bytes]) -> dict[bytes, Bearer]:
    """Whom tokens of our own name, by their hashes."""
    credentials = Credential.objects.filter(token_hash__in=list(token_hashes), revoked_at=None)
    return {
        bytes(one.token_hash or b""): Bearer(one.agent, one.pk, one.expires_at, networks.parsed(one.networks))
        for one in credentials.select_related("agent__owner", "agent__team")
    }


def is_of(one: Identity, vouched: Vouched) -> bool:
    """Whether a token is this identity's: audience whole, subject by its pattern, every claim that is asked for."""
    return (
        one.audience == vouched.audience
        and identity.fits(one.subject, vouched.subject)
        and identity.has_claims(vouched.claims, one.claims)
    )


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


REFUSED = "The credential is unknown, expired or revoked, or it may not be used from here."
"""One sentence for all of it: who tries a stolen token from elsewhere does not hear whether it is good."""


def refusal(token_hash: bytes) -> BadCredential:
    """Why a token that opens nothing is refused."""
    if identity.is_digest(token_hash):
        return BadToken(
            "token_no_identity", "No agent's identity fits this token's audience, subject and claims."
        )
    return BadCredential(REFUSED, noted="The credential is unknown, expired or revoked.")


def may_come_from_here(bearer: Bearer, address: str | None = None) -> bool:
    """Whether a credential may be used from where the present request comes from, or from `address`."""
    return networks.cover(bearer.networks, _where(address))


def _where(address: str | None) -> str:
    """The address of the request's connection; behind a proxy the proxy's, unless COUNTERSIGN_PROXIES names it."""
    return recording.present().address if address is None else address


def check_network(bearer: Bearer, address: str | None = None) -> None:
    """Refuse a credential that is used from elsewhere."""
    if not may_come_from_here(bearer, address):
        where = _where(address)
        raise BadCredential(
            REFUSED, noted=f"The credential may not be used from {where or 'an unknown address'}."
        )


_noted: dict[int, float] = {}


def note_use(credential_id: int, address: str | None = None) -> None:
    """Remember when and from where a credential was last used, once a minute. For people to read; decides nothing."""
    ticks = time.monotonic()
    if ticks - _noted.get(credential_id, -NOTED_EVERY) < NOTED_EVERY:
        return
    _noted[credential_id] = ticks
    now = timezone.now()
    where = _where(address)
    stale = Q(last_used_at=None) | Q(last_used_at__lte=now - timedelta(seconds=NOTED_EVERY))
    Credential.objects.filter(stale, pk=credential_id).update(last_used_at=now, last_used_from=where[:64])


_USED = """
UPDATE agents_credential c SET last_used_at = %(now)s, last_used_from = used.place
FROM unnest(%(ids)s::bigint[], %(places)s::text[]) AS used (id, place)
WHERE c.id = used.id AND c.id IN (
    SELECT id FROM agents_credential
    WHERE id = ANY (%(ids)s::bigint[]) AND (last_used_at IS NULL OR last_used_at <= %(stale)s)
    FOR NO KEY UPDATE SKIP LOCKED
)
"""


def note_uses(used: Mapping[int, str]) -> None:
    """As `note_use`, for many credentials, each with the address that it was used from, by one statement. Another
    process that notes the same ones has it noted; nobody waits for the other."""
    ticks = time.monotonic()
    due = {
        pk: where[:64] for pk, where in used.items() if ticks - _noted.get(pk, -NOTED_EVERY) >= NOTED_EVERY
    }
    if not due:
        return
    _noted.update(dict.fromkeys(due, ticks))
    now = timezone.now()
    values: dict[str, Any] = {
        "now": now,
        "stale": now - timedelta(seconds=NOTED_EVERY),
        "ids": list(due),
        "places": list(due.values()),
    }
    with connection.cursor() as cursor:
        cursor.execute(_USED, values)
