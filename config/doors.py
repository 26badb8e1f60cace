"""What the doors outside Django's handler share: threads that read, and refusals as problem documents.

No middleware stands before them, so each says itself whom it refused and spends from the agent's allowance."""

import asyncio
from collections.abc import Callable, Sequence
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass
from typing import TypeVar, TypeVarTuple

from django.db import OperationalError, close_old_connections
from django.http import HttpResponse

from accounts.exceptions import DomainError
from agents import authority, http, identity
from agents.authority import Bearer
from audit.events import Source
from config import limits, refusals
from config.bridge import Scope, Send

READERS = 4
_T = TypeVar("_T")
_Ts = TypeVarTuple("_Ts")
_readers = ThreadPoolExecutor(READERS, thread_name_prefix="wait-read")


def close() -> None:
    """Let go of the threads and their database connections, when the process stops."""
    global _readers
    _readers.shutdown(wait=True)
    _readers = ThreadPoolExecutor(READERS, thread_name_prefix="wait-read")


async def read(function: Callable[[*_Ts], _T], *arguments: *_Ts) -> _T:
    """Run it in one of the few threads that may speak to the database."""
    return await asyncio.get_running_loop().run_in_executor(_readers, _in_reader, function, arguments)


def _in_reader(function: Callable[..., _T], arguments: tuple[object, ...]) -> _T:
    close_old_connections()
    try:
        return function(*arguments)
    finally:
        close_old_connections()


async def refusal(scope: Scope, error: DomainError | OperationalError) -> HttpResponse:
    """The answer to who is refused; noted in the log as config/middleware.py does it."""
    if isinstance(error, OperationalError):
        return http.problem(
            status=503,
            code="unavailable",
            title="Not available right now",
            detail="The database cannot be reached. Ask again.",
            retry_after=2,
        )
    if error.status in (401, 403, 429):
        await read(_note, scope, error)
    return http.problem_of(error)


@dataclass(frozen=True, slots=True)
class Comer:
    """By which token somebody asks, and from where. `pays`: he has just come."""

    authorization: str
    address: str
    pays: bool = True


def is_of_issuer(authorization: str) -> bool:
    """Whether an issuer's keys may have to be fetched to know the token. Nobody else should wait for that."""
    return identity.is_shaped(authorization.partition(" ")[2].strip())


def admit(comers: Sequence[Comer]) -> list[Bearer | DomainError]:
    """The agent of each, with the authority that it has now, or why it is refused; runs in a reader thread.

    For all of them one look at the authority's number, one query for those that are not known yet and one note of
    their use. Who has just come pays (`spend`)."""
    cache = authority.fresh()
    hashes: dict[int, bytes] = {}
    found: dict[int, Bearer | DomainError] = {}
    for place, comer in enumerate(comers):
        try:
            hashes[place] = http.bearer_hash(comer.authorization)
        except DomainError as error:
            found[place] = error
    cache.learn(hashes.values())
    used: dict[int, str] = {}
    for place, token_hash in hashes.items():
        comer = comers[place]
        try:
            if comer.pays:
                spend(comer.authorization, comer.address)
            bearer = found[place] = http.admitted(cache, token_hash, address=comer.address)
        except DomainError as error:
            found[place] = error
        else:
            if comer.pays:
                used[bearer.credential_id] = comer.address
    authority.note_uses(used)
    return [found[place] for place in range(len(comers))]


def spend(authorization: str, where: str) -> None:
    """Opening a door counts as one reading, however long it stays open; runs in a reader thread.

    Raises `TooManyRequests`."""
    bearer = limits.known(authorization, address=where)
    if bearer is not None:
        limits.spend_of_agent("read", bearer)


def _note(scope: Scope, error: DomainError) -> None:
    refusals.note(
        actor=None,
        source=Source(request_id=refusals.request_id(header(scope, b"x-request-id")), address=address(scope)),
        method=str(scope["method"]),
        path=str(scope["path"]),
        status=error.status,
        code=error.code,
        why=refusals.why(error),
        authorization=header(scope, b"authorization"),
    )


async def send_whole(send: Send, response: HttpResponse) -> None:
    """A finished answer of Django's, over ASGI."""
    headers = [(name.lower().encode("latin-1"), value.encode("latin-1")) for name, value in response.items()]
    if response.status_code != 304:
        headers.append((b"content-length", str(len(response.content)).encode()))
    await send({"type": "http.response.start", "status": response.status_code, "headers": headers})
    await send({"type": "http.response.body", "body": response.content})


def address(scope: Scope) -> str:
    """The same address that config/middleware.RequestSource knows."""
    client = scope.get("client") or ("",)
    return str(client[0])[:64]


def header(scope: Scope, name: bytes) -> str:
    """The header of this name, in lower case; the first if there are several."""
    return next((value.decode("latin-1") for key, value in scope["headers"] if key == name), "")
