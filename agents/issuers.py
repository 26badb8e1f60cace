"""Public keys of the issuers whose tokens we take: by discovery (OpenID Connect Discovery 1.0 §4), kept per process.

Only issuers that an identity names are ever asked, so nobody can send us anywhere with a made-up token. A key set is
good for as long as its server says, within a minute and a day; while the server is away it goes on being used for up to
a day. An unknown key asks again, at most once a minute per issuer, whoever floods us with made-up key ids. One thread
asks, the others wait for it, or work with the old keys where they know the one they need."""

import re
import threading
import time
from collections.abc import Callable
from dataclasses import dataclass
from typing import Any

import structlog
from joserfc import jwk
from joserfc.errors import JoseError

from agents import fetching
from agents.fetching import NotFetched

log = structlog.get_logger(__name__)
Key = jwk.RSAKey | jwk.ECKey | jwk.OKPKey
LEAST_GOOD, MOST_GOOD, USUALLY_GOOD = 60.0, 86_400.0, 600.0
"""Seconds a key set is good without asking again: at least, at most, and where the server does not say."""
LONGEST_STALE = 86_400.0
"""Seconds since it was fetched that a key set is used while its server is away."""
RETRY = 60.0
"""Seconds between two questions about a key that is not known, or to a server that was away."""
RETRY_FIRST = 5.0
"""The same while nothing at all is known of the issuer."""
MOST_KEYS = 100
MOST_ISSUERS = 200
_WEAKEST_RSA = 2048
_MAX_AGE = re.compile(r"(?:\A|[,\s])max-age=\"?(\d{1,9})")
_CURVES = {"EC": {"P-256"}, "OKP": {"Ed25519"}}

clock: Callable[[], float] = time.monotonic


@dataclass(frozen=True, slots=True)
class _Known:
    """One issuer's keys by id, and when they came."""

    keys: dict[str, Key]
    fetched_at: float
    good_until: float


class IssuerAway(Exception):
    """Nothing is known of the issuer's keys and it does not answer."""


_known: dict[str, _Known] = {}
_asked: dict[str, float] = {}
_locks: dict[str, threading.Lock] = {}
_any = threading.Lock()


def key(issuer: str, kid: str) -> Key | None:
    """The issuer's public key of that id, or None where it has none. Raises `IssuerAway`."""
    found = _known.get(issuer)
    if found is not None and kid in found.keys:
        if clock() < found.good_until:
            return found.keys[kid]
        found = _refreshed(issuer, kid, wait=clock() - found.fetched_at >= LONGEST_STALE)
    else:
        found = _refreshed(issuer, kid, wait=True)
    return found.keys.get(kid)


def forget() -> None:
    """For tests, and for whoever wants the next token to be checked against newly fetched keys."""
    with _any:
        _known.clear()
        _asked.clear()
        _locks.clear()


def _refreshed(issuer: str, kid: str, *, wait: bool) -> _Known:
    lock = _lock(issuer)
    if not lock.acquire(blocking=wait):
        return _usable(issuer)
    try:
        found = _known.get(issuer)
        now = clock()
        if found is not None and now < found.good_until and kid in found.keys:
            return found
        pause = RETRY if found is not None else RETRY_FIRST
        if now - _asked.get(issuer, -pause) >= pause:
            _asked[issuer] = now
            _fetch(issuer)
        return _usable(issuer)
    finally:
        lock.release()


def _usable(issuer: str) -> _Known:
    found = _known.get(issuer)
    if found is None or clock() - found.fetched_at >= LONGEST_STALE:
        raise IssuerAway(f"The keys of {issuer} cannot be had.")
    return found


def _lock(issuer: str) -> threading.Lock:
    with _any:
        if len(_locks) >= MOST_ISSUERS:
            for old in [name for name, lock in _locks.items() if not lock.locked()]:
                for table in (_locks, _known, _asked):
                    table.pop(old, None)
        return _locks.setdefault(issuer, threading.Lock())


def _fetch(issuer: str) -> None:
    """Ask once. Where that fails, what was known stays."""
    try:
        said = fetching.get(issuer.rstrip("/") + "/.well-known/openid-configuration").document
        if said.get("issuer") != issuer:
            raise NotFetched(f"{issuer} says that it is {str(said.get('issuer'))[:200]}.")
        answer = fetching.get(str(said.get("jwks_uri", "")))
        keys = _keys(answer.document)
        if not keys:
            raise NotFetched(f"{issuer} publishes no key that could sign.")
    except NotFetched as error:
        log.warning("issuer_away", issuer=issuer, error=str(error)[:300])
        return
    now = clock()
    _known[issuer] = _Known(keys, now, now + _good_for(answer.cache_control))


def _good_for(cache_control: str) -> float:
    found = _MAX_AGE.search(cache_control.lower())
    wanted = float(found[1]) if found else USUALLY_GOOD
    return min(max(wanted, LEAST_GOOD), MOST_GOOD)


def _keys(document: dict[str, Any]) -> dict[str, Key]:
    """The keys that can verify; whatever is odd is left out, symmetric ones first of all."""
    listed = document.get("keys")
    found: dict[str, Key] = {}
    for entry in listed[:MOST_KEYS] if isinstance(listed, list) else []:
        one = _key(entry) if isinstance(entry, dict) else None
        if one is not None:
            found[str(entry["kid"])] = one
    return found


def _key(entry: dict[str, Any]) -> Key | None:
    kid, kind = entry.get("kid"), entry.get("kty")
    if (
        not isinstance(kid, str)
        or not kid
        or kind not in ("RSA", "EC", "OKP")
        or entry.get("use", "sig") != "sig"
    ):
        return None
    if kind in _CURVES and entry.get("crv") not in _CURVES[kind]:
        return None
    public = {
        name: value for name, value in entry.items() if name in ("kty", "kid", "n", "e", "crv", "x", "y")
    }
    try:
        one = jwk.import_key(public, kind)
        if isinstance(one, jwk.RSAKey) and one.raw_value.key_size < _WEAKEST_RSA:
            return None
    except (JoseError, ValueError, TypeError, KeyError):
        return None
    return one if isinstance(one, jwk.RSAKey | jwk.ECKey | jwk.OKPKey) else None
