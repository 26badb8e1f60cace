"""A reviewer's ballot on one revision, and everything that must be true of it before it counts."""

from dataclasses import dataclass
from datetime import datetime
from typing import Any

from django.utils import timezone

from accounts.exceptions import Invalid
from accounts.models import User
from agents import stops, strict_json
from agents.exceptions import AgentNotLive, ArgumentsInvalid
from agents.models import AgentState
from approvals import canonical, pace, permissions, revising, signing
from approvals.exceptions import AlreadyClaimed, PolicyRefused, ProposalChanged, Stopped, WrongState
from approvals.models import Proposal, Verdict
from approvals.states import State

MAX_REASON = 60
MAX_COMMENT = 20_000


@dataclass(frozen=True, slots=True, kw_only=True)
class Ballot:
    """What the reviewer saw and says. `revision` and `version` are those of the page he looked at.

    `arguments` go with an edit, `reason` (a code of the queue's list) with reject and veto, `comment` with all.
    `opened_at` is when the page was made, which a queue's pacing asks for; `seen` that all of it was in view; `page`
    which one it was. `opened` is that moment where pacing reckons with another (decide_several). `answer` is what his
    passkey signed, `host` the one that the request was for."""

    verdict: Verdict
    revision: int
    version: int
    reason: str = ""
    comment: str = ""
    arguments: dict[str, Any] | None = None
    opened_at: datetime | None = None
    seen: bool = False
    page: str = "proposal"
    opened: datetime | None = None
    answer: signing.Answer | None = None
    host: str = ""


def check(proposal: Proposal, reviewer: User, ballot: Ballot, *, at: datetime) -> None:
    """Everything that must be true for this vote on a locked proposal, when it is given and when it settles."""
    _check_state(proposal, reviewer, ballot, at)
    permissions.check_has_not_voted(reviewer, proposal)
    _check_reason(proposal, ballot)
    if ballot.verdict == Verdict.EDIT:
        _check_edit(proposal, ballot)


def _check_state(proposal: Proposal, reviewer: User, ballot: Ballot, now: datetime) -> None:
    expected = State.SCHEDULED if ballot.verdict == Verdict.VETO else State.PENDING
    if proposal.state != expected:
        label = State(proposal.state).label.lower()
        raise WrongState(
            f"Your decision was not recorded: the proposal is {label} by now.", current=proposal.state
        )
    if ballot.revision != proposal.revision or ballot.version != proposal.version:
        raise ProposalChanged(
            "Your decision was not recorded: the proposal has changed since the page was opened. Read it again.",
            current={"revision": proposal.revision, "version": proposal.version, "digest": proposal.digest},
        )
    if ballot.verdict == Verdict.VETO:
        return
    if proposal.expires_at is not None and proposal.expires_at <= now:
        raise WrongState("Your decision was not recorded: the time to decide has run out.", current="expired")
    if proposal.is_claimed and proposal.claimed_by_id != reviewer.pk:
        raise AlreadyClaimed(f"Your decision was not recorded: {proposal.claimed_by} is on it.")
    if ballot.verdict in (Verdict.APPROVE, Verdict.EDIT) and proposal.agent.state != AgentState.LIVE:
        state = proposal.agent.get_state_display().lower()
        raise AgentNotLive(f"The agent is {state}; approving would lead to nothing.")
    if ballot.verdict in pace.APPROVING:
        _check_not_stopped(proposal)


def _check_not_stopped(proposal: Proposal) -> None:
    stop = stops.over(agent_id=proposal.agent_id, action_type_id=proposal.action_type_id)
    if stop is not None:
        raise Stopped(
            f"Your decision was not recorded. {stops.words(stop)} Approving would lead to nothing; rejecting stays "
            "possible."
        )


def _check_reason(proposal: Proposal, ballot: Ballot) -> None:
    assert proposal.queue is not None
    codes = [code for code, _ in proposal.queue.reasons]
    required = ballot.verdict in (Verdict.REJECT, Verdict.VETO)
    if codes and (required or ballot.reason) and ballot.reason not in codes:
        raise Invalid(
            "Choose a reason.", errors=[{"field": "reason", "message": "must be one of " + ", ".join(codes)}]
        )
    for name, text, most in (("reason", ballot.reason, MAX_REASON), ("comment", ballot.comment, MAX_COMMENT)):
        if len(text) > most or "\x00" in text:
            raise Invalid(
                "Write it shorter.",
                errors=[{"field": name, "message": f"must have at most {most} characters, and no NUL"}],
            )
    if ballot.verdict == Verdict.RETURN and not ballot.comment.strip():
        raise Invalid("Ask your question.", errors=[{"field": "comment", "message": "must not be empty"}])


def _check_edit(proposal: Proposal, ballot: Ballot) -> None:
    if canonical_of(ballot.arguments) == bytes(proposal.current_revision.canonical):
        raise Invalid(
            "Nothing was changed; approve it as it is.",
            errors=[{"field": "arguments", "message": "are the same as before"}],
        )
    revising.check_arguments(proposal, ballot.arguments or {})
    route = revising.route_again(proposal, ballot.arguments or {}, timezone.now())
    if route.state == State.DENIED:
        raise PolicyRefused(route.reasons[-1].detail, rule=route.reasons[-1].rule)


def digest_of(proposal: Proposal, ballot: Ballot) -> str:
    """The digest of what this ballot approves: of the present revision, or of the one that its edit makes."""
    if ballot.verdict != Verdict.EDIT:
        return proposal.digest
    return canonical.digest(
        agent=proposal.agent.slug,
        action_type=proposal.action_type.name,
        revision=proposal.revision + 1,
        canonical=canonical_of(ballot.arguments),
    )


def canonical_of(arguments: dict[str, Any] | None) -> bytes:
    """The bytes of edited arguments, under the same strict rules as an agent's: a form or a script made them."""
    try:
        content = canonical.arguments_bytes(arguments or {})
        strict_json.loads(content)
    except ValueError as error:
        raise ArgumentsInvalid(
            "The new arguments cannot be written as JSON.",
            errors=[{"field": "/arguments", "message": str(error)}],
        ) from error
    return content
