"""Submit many proposals of one agent, in their order, each in a transaction of its own.

Whoever is cut off in the middle has whole proposals and none in part; the same items sent again give the rest, and the
first ones as the repeats that they are."""

from collections.abc import Iterator, Sequence
from dataclasses import dataclass

from accounts.exceptions import DomainError
from approvals.requests import ProposeRequest
from approvals.services.submit import Submitted, submit


@dataclass(frozen=True, slots=True)
class Item:
    """One proposal under its idempotency key; `digest` is what a repeat is known by."""

    key: str
    digest: bytes
    request: ProposeRequest


def submit_several(*, token_hash: bytes, items: Sequence[Item]) -> Iterator[Submitted | DomainError]:
    """What became of each, one after the other; a refusal concerns its item alone. See `submit` for which there are.

    A credential that is revoked meanwhile is refused from there on. Faults of ours and of the database end it."""
    for item in items:
        try:
            yield submit(
                token_hash=token_hash, key=item.key, request_digest=item.digest, request=item.request
            )
        except DomainError as error:
            yield error
