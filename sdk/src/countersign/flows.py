"""What each call does, step by step, without sending anything: generators that yield requests and get answers.

Both clients drive the same generators: retries, waiting and reading are written once, and tested without a network."""

from __future__ import annotations

from collections.abc import Generator, Mapping, Sequence
from dataclasses import dataclass, replace
from datetime import datetime
from typing import Any, TypeAlias, TypeVar

from countersign import canonical, wire
from countersign.agent import Me, me_from
from countersign.errors import AlreadyRedeemed, CountersignError, Undecided, Unreachable
from countersign.idempotency import checked
from countersign.proposals import Draft, Proposal
from countersign.settings import Settings, retry_after
from countersign.tokens import agent_in
from countersign.wire import Answer, Lost, Request

T = TypeVar("T")
Flow: TypeAlias = Generator[Request, Answer | Lost, T]
MOST_ITEMS = 500
MOST_BYTES = 1024 * 1024
"""Of one batch; the server takes 2 MiB, and proxies often one."""
REDEEMING = 60.0
"""Seconds beyond the usual ones for the answer to a redemption: one that is given up leaves a grant that nobody may
act on any more, so a busy server is waited for."""


@dataclass(frozen=True)
class Page:
    """Some of one's own proposals, newest first, and where the next page begins."""

    items: tuple[Proposal, ...]
    cursor: str | None


def exchange(request: Request, settings: Settings) -> Flow[Any]:
    """The document that answers, tried again within bounds. An error's `unsure` says that an earlier try of the same
    request may have been carried out, though its answer never came."""
    begun, failures, unsure, pause = settings.clock(), 0, False, 0.0
    while True:
        answer = yield replace(request, after=pause)
        if isinstance(answer, Answer) and answer.status < 300:
            document = answer.document()
            if document is None:
                raise wire.not_ours("it is no JSON", status=answer.status)
            return document
        failures += 1
        pause = settings.pause(failures, answer)
        again = settings.is_worth_repeating(answer, failures)
        if not again or settings.clock() + pause - begun > settings.patience:
            error = _error(answer)
            error.unsure = unsure or (isinstance(error, Unreachable) and settings.may_have_been_done(answer))
            raise error
        unsure = unsure or settings.may_have_been_done(answer)


def _error(answer: Answer | Lost) -> CountersignError:
    if isinstance(answer, Lost):
        return Unreachable(f"Countersign cannot be reached: {answer.why}.")
    if answer.status >= 500 and not answer.code:
        return Unreachable(f"Countersign is not there: a gateway answers {answer.status}.")
    return wire.problem(answer, retry_after=retry_after(answer))


def propose(draft: Draft, settings: Settings) -> Flow[Proposal]:
    """The proposal, new or that of an earlier call with the same key."""
    request = wire.post(wire.PROPOSALS, draft.body(), key=checked(draft.key))
    return wire.proposal_in((yield from exchange(request, settings))).sent_as(draft.arguments)


def propose_many(
    drafts: Sequence[Draft | Mapping[str, Any]], settings: Settings
) -> Flow[list[Proposal | CountersignError]]:
    """A proposal or an error for each, in order, in as many batches as it takes."""
    whole = [draft if isinstance(draft, Draft) else Draft(**draft) for draft in drafts]
    items = [{"key": checked(draft.key)} | draft.body() for draft in whole]
    found: list[Proposal | CountersignError] = []
    for batch in _batches(items):
        request = wire.post(f"{wire.PROPOSALS}/batch", {"items": batch})
        document = yield from exchange(request, settings)
        results = document.get("results") if isinstance(document, dict) else None
        if not isinstance(results, list) or len(results) != len(batch):
            raise wire.not_ours("a batch has to be answered item by item")
        for item, result in zip(batch, results, strict=True):
            found.append(_result(item, result))
    return found


def _result(item: Mapping[str, Any], result: Mapping[str, Any]) -> Proposal | CountersignError:
    if "proposal" in result:
        return wire.proposal_in(result["proposal"]).sent_as(item["arguments"])
    return wire.problem_of(result.get("problem") or {}, status=int(result.get("status") or 0))


def _batches(items: list[dict[str, Any]]) -> list[list[dict[str, Any]]]:
    """Within the server's bounds of number and size; an item that is too large by itself is refused there."""
    batches: list[list[dict[str, Any]]] = []
    room = 0
    for item in items:
        size = len(canonical.dumps(item)) + 1
        if not batches or len(batches[-1]) >= MOST_ITEMS or size > room:
            batches.append([])
            room = MOST_BYTES
        batches[-1].append(item)
        room -= size
    return batches


def get(of: Proposal | str, settings: Settings) -> Flow[Proposal]:
    """As it is now."""
    request = wire.get(wire.of_proposal(_id(of)))
    return wire.proposal_in((yield from exchange(request, settings))).sent_as(_sent(of))


def wait(of: Proposal | str, settings: Settings, timeout: float | None) -> Flow[Proposal]:
    """Ask until it is decided or returned, and where Countersign carries it out, until its outcome is known.

    Lost connections and a server that is away are waited out as well: only the timeout (seconds, None for none) ends
    that, with `Undecided`. What the given proposal says already is taken."""
    proposal = of if isinstance(of, Proposal) else (yield from get(of, settings))
    deadline = None if timeout is None else settings.clock() + timeout
    failures, pause = 0, 0.0
    while not proposal.is_settled:
        asked_at = settings.clock() + pause
        seconds = wire.LONGEST_WAIT if deadline is None else min(wire.LONGEST_WAIT, deadline - asked_at)
        answer = yield replace(_poll(proposal, max(0.0, seconds)), after=pause)
        if isinstance(answer, Answer) and answer.status < 300:
            failures = 0
            proposal = wire.proposal_in(answer.document()).sent_as(proposal.sent)
            pause = 0.5 * (0.2 + settings.chance()) if settings.clock() - asked_at < 1.0 else 0.0
        elif settings.is_worth_repeating(answer):
            failures += 1
            pause = settings.pause(failures, answer)
        else:
            raise _error(answer)
        if deadline is not None and not proposal.is_settled:
            left = deadline - settings.clock()
            if left <= 0:
                raise Undecided(proposal)
            pause = min(pause, left)
    return proposal


def _poll(proposal: Proposal, seconds: float) -> Request:
    return wire.get(
        wire.of_proposal(proposal.id),
        wait=f"{round(seconds, 2):g}",
        after_version=proposal.version,
        timeout=seconds,
    )


def redeem(proposal: Proposal, settings: Settings, *, grant: str | None = None) -> Flow[Proposal]:
    """Use the grant up. Raises `AlreadyRedeemed` where it is used up: by an earlier run, by another process, or by a
    try of this very call whose answer was lost (`unsure`); nobody can tell these apart, so nobody may act on it."""
    body: dict[str, Any] = {"digest": digest_at_hand(proposal)} | ({"grant": grant} if grant else {})
    request = replace(wire.post(wire.of_proposal(proposal.id, "redeem"), body), timeout=REDEEMING)
    try:
        document = yield from exchange(request, replace(settings, patience=settings.patience + REDEEMING))
    except CountersignError as error:
        if error.code == "grant_refused":
            now = yield from get(proposal, settings)
            if now.was_redeemed:
                used = AlreadyRedeemed(now)
                used.unsure = error.unsure
                raise used from error
        raise
    return wire.proposal_in(document).sent_as(proposal.sent)


def digest_at_hand(proposal: Proposal) -> str:
    """Of the arguments as this process has them, not as the server said: what was changed here since is refused."""
    agent = agent_in(proposal.grant.token) if proposal.grant else ""
    if not agent:
        return proposal.digest
    return canonical.digest(
        agent=agent,
        action_type=proposal.action_type,
        revision=proposal.revision,
        arguments=proposal.arguments,
    )


def report(
    of: Proposal | str,
    status: str,
    settings: Settings,
    *,
    result: Any = None,
    external_id: str = "",
    cost: float | None = None,
    occurred_at: datetime | None = None,
) -> Flow[Proposal]:
    """Say how it went. The same report again is the same report."""
    body: dict[str, Any] = {"status": status}
    if result is not None:
        body["result"] = result
    if external_id:
        body["external_id"] = external_id
    if cost is not None:
        body["cost"] = cost
    if occurred_at is not None:
        if occurred_at.tzinfo is None:
            raise ValueError("occurred_at needs a time zone, such as datetime.now(timezone.utc)")
        body["occurred_at"] = occurred_at.isoformat()
    return (yield from _posted(of, "outcome", body, settings))


def withdraw(of: Proposal | str, settings: Settings, reason: str) -> Flow[Proposal]:
    """Take it back while it is undecided."""
    return (yield from _posted(of, "withdraw", {"reason": reason} if reason else {}, settings))


def revise(
    of: Proposal | str, arguments: Mapping[str, Any], settings: Settings, reply: str
) -> Flow[Proposal]:
    """Answer what was returned."""
    body = {"arguments": dict(arguments)} | ({"reply": reply} if reply else {})
    return (yield from _posted(of, "revise", body, settings)).sent_as(arguments)


def _posted(of: Proposal | str, verb: str, body: Mapping[str, Any], settings: Settings) -> Flow[Proposal]:
    request = wire.post(wire.of_proposal(_id(of), verb), body)
    return wire.proposal_in((yield from exchange(request, settings))).sent_as(_sent(of))


def page(settings: Settings, *, status: str | None, cursor: str | None) -> Flow[Page]:
    """A hundred of one's own proposals."""
    request = wire.get(wire.PROPOSALS, status=status, limit=100, cursor=cursor)
    document = yield from exchange(request, settings)
    if not isinstance(document, dict) or not isinstance(document.get("items"), list):
        raise wire.not_ours("a list of proposals was expected")
    return Page(tuple(wire.proposal_in(item) for item in document["items"]), document.get("next_cursor"))


def me(settings: Settings) -> Flow[Me]:
    """Who this token is, and what it may do."""
    document = yield from exchange(wire.get("/api/v1/me"), settings)
    try:
        return me_from(document)
    except (KeyError, TypeError, ValueError, AttributeError) as error:
        raise wire.not_ours(f"no agent was in it ({error!r})") from error


def keys(settings: Settings) -> Flow[dict[str, Any]]:
    """The public keys of grants (RFC 7517), for `countersign.grants`."""
    document = yield from exchange(wire.get("/.well-known/jwks.json"), settings)
    if not isinstance(document, dict) or not isinstance(document.get("keys"), list):
        raise wire.not_ours("a set of keys was expected")
    return document


def _id(of: Proposal | str) -> str:
    return of.id if isinstance(of, Proposal) else of


def _sent(of: Proposal | str) -> Mapping[str, Any] | None:
    return of.sent if isinstance(of, Proposal) else None
