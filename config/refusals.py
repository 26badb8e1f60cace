"""Refused attempts in the audit log: what somebody was not let do, bounded so that a flood cannot fill the log (A26).

Within ten minutes the first ten refusals of one person, agent or address (of IPv6 the network, /64) for one reason are
an event each; after that those whose number is 1, 2 or 5 times a power of ten, which say how many there were. However
many addresses take part, the same rule stands over all that nobody has signed in for, from the 300th on. So a flood of
a million refusals leaves some dozens of events, each telling how large it had grown."""

import ipaddress
import re
import time
from collections import Counter
from uuid import uuid4

import redis.exceptions
import structlog
from django.conf import settings
from django.core.cache import cache
from django.db import DatabaseError, transaction

from accounts.exceptions import DomainError
from accounts.models import User
from agents import authority, identity, tokens
from agents.exceptions import BadCredential
from agents.models import Credential, Identity
from audit import recording
from audit.events import Actor, Kind, Source, Target

log = structlog.get_logger(__name__)
WINDOW = 600
_MOST_IDENTITIES = 1000
_REQUEST_ID = re.compile(r"[A-Za-z0-9._-]{8,64}\Z")
ANONYMOUS = Actor("system", "anonymous", "anonymous")
_here: Counter[tuple[str, int]] = Counter()


def note(
    *,
    actor: Actor | None,
    source: Source,
    method: str,
    path: str,
    status: int,
    code: str,
    why: str,
    authorization: str = "",
) -> None:
    """Record one refused attempt, if it is one of those that are. Never raises: the refusal stands in any case."""
    try:
        known = actor or _agent_behind(authorization)
        nothing_sent = status == 401 and known is None and not _is_token(authorization)
        count = _without_token(source) if nothing_sent else _count(known, source, code)
        if count is None:
            return
        detail: dict[str, object] = {
            "method": method[:16],
            "path": path[:500],
            "status": status,
            "why": why[:500],
            "code": code,
        }
        if count > 1:
            detail |= {"number": count, "within_seconds": WINDOW}
        with transaction.atomic(), recording.coming_from(source):
            recording.record(
                actor=known or ANONYMOUS,
                kind=Kind.ACCESS_REFUSED,
                target=Target("path", path[:64]),
                detail=detail,
            )
    except DatabaseError as error:
        log.error("refusal_not_logged", path=path[:200], code=code, error=str(error)[:300])


def why(error: DomainError) -> str:
    """What the log says of a refusal, where that is more than who was refused may hear."""
    noted = error.noted if isinstance(error, BadCredential) else ""
    return noted or error.detail


def _is_token(authorization: str) -> bool:
    """Whether what was sent can have been a token at all, of ours or of an issuer."""
    scheme, _, token = authorization.partition(" ")
    token = token.strip()
    return scheme.lower() == "bearer" and (tokens.is_well_formed(token) or identity.is_shaped(token))


def _agent_behind(authorization: str) -> Actor | None:
    """Whose credential was sent, though it is expired or revoked; None for one that was made up, also for an issuer's
    token whose signature was never good."""
    if not _is_token(authorization):
        return None
    token = authorization.partition(" ")[2].strip()
    if identity.is_shaped(token):
        return _vouched_for(identity.vouched(identity.digest(token)))
    found = Credential.objects.filter(token_hash=tokens.digest(token)).select_related("agent").first()
    return found.agent.actor() if found else None


def _vouched_for(vouched: identity.Vouched | None) -> Actor | None:
    if vouched is None:
        return None
    identities = Identity.objects.filter(issuer=vouched.issuer).select_related("credential__agent")
    fitting = [one.credential.agent for one in identities[:_MOST_IDENTITIES] if authority.is_of(one, vouched)]
    return fitting[0].actor() if len({agent.pk for agent in fitting}) == 1 else None


def _without_token(source: Source) -> int | None:
    """A request without a token, or with one whose checksum is wrong, opens nothing and is answered without a look at
    the database (A36): only from as many on as would each be an event otherwise are they told of."""
    count = _next(f"refused:no_token:{network(source.address)}")
    return count if count >= settings.REFUSALS_EACH and is_round(count) else None


def _count(actor: Actor | None, source: Source, code: str) -> int | None:
    """How many of these there were in this window, or None where this one is not worth an event."""
    who = f"{actor.kind}:{actor.id}" if actor else f"at:{network(source.address)}"
    count = _next(f"refused:{who}:{code}")
    if not (count <= settings.REFUSALS_EACH or is_round(count)):
        return None
    if actor is None:
        of_all = _next("refused:anybody")
        if not (of_all <= 30 * settings.REFUSALS_EACH or is_round(of_all)):
            return None
    return count


def is_round(count: int) -> bool:
    """1, 2 or 5 times a power of ten."""
    digits = str(count)
    return digits[0] in "125" and not digits[1:].strip("0")


def network(address: str) -> str:
    """What stands for one party: an IPv4 address, the /64 of an IPv6 one, anything else as it is."""
    try:
        found = ipaddress.ip_address(address)
    except ValueError:
        return address[:64]
    return str(ipaddress.ip_network((found, 64), strict=False)) if found.version == 6 else str(found)


def _next(key: str) -> int:
    """Count one more. While Redis is away each process counts for itself, which is more events, not fewer."""
    try:
        cache.add(key, 0, WINDOW)
        return int(cache.incr(key))
    except (redis.exceptions.RedisError, ValueError):
        now = int(time.monotonic()) // WINDOW
        for old in [known for known in _here if known[1] != now]:
            del _here[old]
        _here[key, now] += 1
        return _here[key, now]


def request_id(given: str) -> str:
    """The caller's X-Request-ID where it is well-formed, else one of ours."""
    return given if _REQUEST_ID.match(given) else uuid4().hex


def actor_of(user: object) -> Actor | None:
    """The signed-in person, if somebody is."""
    return user.actor() if isinstance(user, User) else None
