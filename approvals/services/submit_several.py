"""Submit many proposals of one agent, in their order, each accepted or refused by itself.

What only waits for a person, and depends on nothing that came before it, is accepted up to `TOGETHER` at once by one
statement, which is its own transaction and leaves out the rows whose keys are taken; everything else goes the way of a
single proposal, in a transaction of its own. Whoever is cut off in the middle has whole proposals and none in part; the
same items sent again give the rest, and the first ones as the repeats that they are."""

from collections.abc import Iterator, Sequence
from dataclasses import dataclass

from django.db import DataError, IntegrityError
from django.utils import timezone

from accounts.exceptions import DomainError
from agents import authority, schemas
from agents.authority import Bearer, Cache
from agents.autonomy import Tier, lower, rank
from approvals import acceptance, facts, news, open_items
from approvals.acceptance import Draft
from approvals.requests import ProposeRequest
from approvals.services.submit import Submitted, draft_as, submit
from approvals.states import State
from audit import recording

TOGETHER = 50


@dataclass(frozen=True, slots=True)
class Item:
    """One proposal under its idempotency key; `digest` is what a repeat is known by."""

    key: str
    digest: bytes
    request: ProposeRequest


Result = Submitted | DomainError


def submit_several(*, token_hash: bytes, items: Sequence[Item]) -> Iterator[Result]:
    """What became of each, one after the other; a refusal concerns its item alone. See `submit` for which there are.

    A credential that is revoked meanwhile is refused from there on. Faults of ours and of the database end it."""
    position = 0
    while position < len(items):
        group = _Group(token_hash)
        while position + len(group.drafts) < len(items) and group.takes(items[position + len(group.drafts)]):
            pass
        results = group.accept()
        for item, result in zip(items[position:], results, strict=False):
            yield result or _alone(token_hash, item)
        position += len(results)
        if position < len(items) and not results:
            yield _alone(token_hash, items[position])
            position += 1


def _alone(token_hash: bytes, item: Item) -> Result:
    try:
        return submit(token_hash=token_hash, key=item.key, request_digest=item.digest, request=item.request)
    except DomainError as error:
        return error


class _Group:
    """Items that stand one after the other and can be accepted together, by what this process knows just now."""

    def __init__(self, token_hash: bytes) -> None:
        self._cache = authority.cache()
        self._bearer = _good(self._cache, token_hash)
        self._room = open_items.room(self._bearer.agent) if self._bearer else 0
        self._keys: set[str] = set()
        self.drafts: list[Draft] = []

    def takes(self, item: Item) -> bool:
        """Whether this one belongs to it too; it is drafted then."""
        if self._bearer is None or len(self.drafts) >= TOGETHER or item.key in self._keys:
            return False
        if len(self.drafts) >= self._room:
            return False
        draft = _draft(self._cache, self._bearer, item)
        if draft is None:
            return False
        self._keys.add(item.key)
        self.drafts.append(draft)
        return True

    def accept(self) -> list[Submitted | None]:
        """What was accepted, in order; None for what has to go alone: its key is taken, or permissions changed."""
        if not self.drafts:
            return []
        try:
            answers = acceptance.accept_several(self.drafts, self._cache.number)
        except (
            DataError,
            IntegrityError,
        ):  # one of them cannot be stored: alone it does no harm to the others
            return [None] * len(self.drafts)
        return [
            self._accepted(draft) if answer.is_inserted else None
            for draft, answer in zip(self.drafts, answers, strict=True)
        ]

    def _accepted(self, draft: Draft) -> Submitted:
        assert self._bearer is not None
        if draft.route.state in open_items.COUNTED:
            open_items.accepted(self._bearer.agent)
        news.proposal_came(draft.proposal)
        return Submitted(draft.proposal, True, draft.canonical)


def _good(cache: Cache, token_hash: bytes) -> Bearer | None:
    """Who asks, if this process knows him for good; everything else is found out, and refused, one by one."""
    bearer = cache.bearer(token_hash)
    if bearer is None or bearer.expires_at <= timezone.now() or not authority.may_come_from_here(bearer):
        return None
    recording.by_credential(bearer.credential_id)
    return bearer


def _draft(cache: Cache, bearer: Bearer, item: Item) -> Draft | None:
    """The insert, where nothing but this one item has a say in it."""
    request = item.request
    action_type = cache.action_type(request.action_type)
    if action_type is None or request.parent_id is not None or request.agent_version is not None:
        return None
    mandate = cache.mandate(bearer.agent, action_type)
    if mandate is not None and rank(lower(mandate.tier, mandate.ceiling)) > rank(Tier.IN_THE_LOOP):
        return None
    rules = facts.domain_policy(action_type.domain, cache.number)
    if facts.looks_back(bearer.agent, action_type, mandate, rules):
        return None
    if schemas.errors(action_type.schema, request.arguments):
        return None
    try:
        draft = draft_as(bearer, key=item.key, request_digest=item.digest, request=request, cache=cache)
    except DomainError:
        return None
    return None if draft.route.state in (State.SCHEDULED, State.APPROVED) else draft
