"""Decide: one reviewer's verdict on one revision; the final decision once the quorum is met."""

from dataclasses import dataclass
from datetime import datetime
from typing import Any
from uuid import UUID

from django.db import transaction
from django.db.models import Func, Value
from django.utils import timezone

from accounts.exceptions import Invalid
from accounts.models import User
from agents import authority, evidence, pointers, schemas, strict_json
from agents.autonomy import Tier
from agents.evidence import LOSS_APPROVED, LOSS_WRONG, Judgement
from agents.exceptions import AgentNotLive, ArgumentsInvalid
from agents.models import AgentState, Evidence, Mandate
from approvals import acceptance, canonical, facts, grants, permissions, routing, transitions
from approvals.exceptions import AlreadyClaimed, PolicyRefused, ProposalChanged, WrongState
from approvals.models import Claim, Decision, Proposal, Queue, Revision, Verdict, Vote
from approvals.routing import Route
from approvals.states import State
from audit import recording
from audit.events import Kind, Target

MAX_REASON = 60
MAX_COMMENT = 20_000

_FINAL_STATE = {
    Verdict.APPROVE: State.APPROVED,
    Verdict.EDIT: State.APPROVED,
    Verdict.REJECT: State.REJECTED,
    Verdict.RETURN: State.RETURNED,
    Verdict.VETO: State.REJECTED,
}


@dataclass(frozen=True, slots=True, kw_only=True)
class Ballot:
    """What the reviewer saw and says. `revision` and `version` are those of the page he looked at.

    `arguments` go with an edit, `reason` (a code of the queue's list) with reject and veto, `comment` with all."""

    verdict: Verdict
    revision: int
    version: int
    reason: str = ""
    comment: str = ""
    arguments: dict[str, Any] | None = None


@dataclass(frozen=True, slots=True)
class Decided:
    """The proposal afterwards. `final` is False while further votes are needed, `repeated` for a double click."""

    proposal: Proposal
    final: bool
    repeated: bool = False


def decide(*, proposal_id: UUID, reviewer: User, ballot: Ballot) -> Decided:
    """Record the vote and, if it settles the matter, the decision, evidence and grant in one transaction.

    Sending the same vote again answers as the first time did (A24). Raises `MayNotDecide`, `ProposalChanged`,
    `WrongState`, `AlreadyClaimed`, `Invalid`, `ArgumentsInvalid`, `PolicyRefused`, `AgentNotLive`."""
    with transaction.atomic(durable=True):
        proposal = transitions.locked(proposal_id)
        if ballot.verdict == Verdict.EDIT and _is_own_edit(proposal, reviewer, ballot):
            return Decided(proposal, final=proposal.state != State.PENDING, repeated=True)
        permissions.check_can_decide(reviewer, proposal)
        repeated = _repeat(proposal, reviewer, ballot)
        if repeated is not None:
            return repeated
        now = timezone.now()
        _check_state(proposal, reviewer, ballot, now)
        permissions.check_has_not_voted(reviewer, proposal)
        _check_reason(proposal, ballot)
        if ballot.verdict == Verdict.EDIT:
            return _edit(proposal, reviewer, ballot, now)
        revision = proposal.current_revision
        _vote(proposal, revision, reviewer, ballot)
        if ballot.verdict == Verdict.APPROVE and _approvals(revision) < proposal.quorum:
            _hand_on(proposal, at=now, by="voted")
            proposal.save(update_fields=["claimed_by", "claimed_until"])
            return Decided(proposal, final=False)
        _finish(proposal, revision, reviewer, ballot, now)
        return Decided(proposal, final=True)


def _is_own_edit(proposal: Proposal, reviewer: User, ballot: Ballot) -> bool:
    """The same edit once more. It may have moved the proposal to where its editor has no right, so ask this first."""
    made = proposal.revisions.filter(number=ballot.revision + 1, editor=reviewer).first()
    return reviewer.is_active and made is not None and bytes(made.canonical) == _canonical(ballot.arguments)


def _repeat(proposal: Proposal, reviewer: User, ballot: Ballot) -> Decided | None:
    """The same vote once more (double click, replayed request) is answered, not counted."""
    earlier = Vote.objects.filter(
        proposal=proposal, revision__number=ballot.revision, reviewer=reviewer, verdict=ballot.verdict
    )
    if ballot.verdict == Verdict.EDIT or not earlier.exists():
        return None
    return Decided(proposal, final=proposal.state != State.PENDING, repeated=True)


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
        raise AgentNotLive(f"The agent is {proposal.agent.state}; approving would lead to nothing.")


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


def _vote(proposal: Proposal, revision: Revision, reviewer: User, ballot: Ballot) -> None:
    Vote.objects.create(
        proposal=proposal,
        revision=revision,
        reviewer=reviewer,
        verdict=ballot.verdict,
        reason=ballot.reason,
        comment=ballot.comment,
    )
    recording.record(
        actor=reviewer.actor(),
        kind=Kind.PROPOSAL_VOTED,
        target=Target("proposal", str(proposal.pk)),
        after={"revision": revision.number, "digest": revision.digest, "verdict": str(ballot.verdict)},
        detail={"reason": ballot.reason, "comment": ballot.comment},
        policy_version=proposal.policy_version_id,
    )


def _approvals(revision: Revision) -> int:
    return revision.votes.filter(verdict__in=[Verdict.APPROVE, Verdict.EDIT]).count()


def _edit(proposal: Proposal, reviewer: User, ballot: Ballot, now: datetime) -> Decided:
    """A new revision, checked against schema and policy again; it voids earlier votes and counts as one itself.

    When the policy sends the edited arguments to another queue, the vote counts only if the editor may decide
    there."""
    before = proposal.current_revision
    content = _canonical(ballot.arguments)
    if content == bytes(before.canonical):
        raise Invalid(
            "Nothing was changed; approve it as it is.",
            errors=[{"field": "arguments", "message": "are the same as before"}],
        )
    arguments = ballot.arguments or {}
    check_arguments(proposal, arguments)
    route = route_again(proposal, arguments, now)
    if route.state == State.DENIED:
        raise PolicyRefused(route.reasons[-1].detail, rule=route.reasons[-1].rule)
    revision = add_revision(proposal, content, editor=reviewer, reply=ballot.comment, at=now)
    moved = apply_route(proposal, route)
    counts = not moved or permissions.can_decide(reviewer, proposal)
    if counts:
        _vote(proposal, revision, reviewer, ballot)
    if counts and _approvals(revision) >= proposal.quorum:
        _finish(proposal, revision, reviewer, ballot, now, fields=REVISED_FIELDS)
        return Decided(proposal, final=True)
    _hand_on(proposal, at=now, by="edited")
    transitions.new_revision(
        proposal,
        actor=reviewer.actor(),
        at=now,
        before={"revision": before.number, "digest": before.digest},
        detail={"comment": ballot.comment, "queue": proposal.queue and proposal.queue.slug},
        fields=REVISED_FIELDS,
    )
    return Decided(proposal, final=False)


REVISED_FIELDS = ("revision", "digest", "title", "amount", "currency", "tier", "queue", "quorum", "roles", "reasons",
                  "policy_version", "claimed_by", "claimed_until")  # fmt: skip
"""What another revision changes on its proposal."""


def _hand_on(proposal: Proposal, *, at: datetime, by: str) -> None:
    """Who has voted cannot vote again: his lease would only keep the others off. The caller saves the proposal."""
    Claim.objects.filter(proposal=proposal, ended_at=None).update(ended_at=at, ended_by=by)
    proposal.claimed_by = None
    proposal.claimed_until = None


def _canonical(arguments: dict[str, Any] | None) -> bytes:
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


def check_arguments(proposal: Proposal, arguments: dict[str, Any]) -> None:
    """Raise `ArgumentsInvalid` when a new revision would not fit the action type's schema."""
    faults = schemas.errors(proposal.action_type.schema, arguments)
    if faults:
        raise ArgumentsInvalid(
            "The new arguments do not fit the action type.",
            errors=[{"field": "/arguments" + fault.field, "message": fault.message} for fault in faults],
        )


def route_again(proposal: Proposal, arguments: dict[str, Any], now: datetime) -> Route:
    """What limits and policy say of new arguments for an existing proposal; it stays with people."""
    amount, currency = facts.money(proposal.action_type, arguments)
    mandate = Mandate.objects.filter(
        agent_id=proposal.agent_id, action_type_id=proposal.action_type_id, active=True
    ).first()
    if mandate is not None and mandate.tier != Tier.ADVISORY:
        mandate.tier = Tier.IN_THE_LOOP
    rules = facts.domain_policy(proposal.action_type.domain, authority.current())
    return routing.route(
        facts.collect(
            agent=proposal.agent,
            action_type=proposal.action_type,
            mandate=mandate,
            arguments=arguments,
            subjects=facts.Subjects(amount, currency, proposal.subject_type, proposal.subject_id),
            rules=rules,
            now=now,
            exclude=proposal,
        )
    )


def add_revision(
    proposal: Proposal, content: bytes, *, editor: User | None, reply: str, at: datetime
) -> Revision:
    """A step: store the next revision and set what the proposal repeats of it (saved by the caller)."""
    number = proposal.revision + 1
    revision = Revision(
        proposal=proposal,
        number=number,
        canonical=content,
        digest=canonical.digest(
            agent=proposal.agent.slug,
            action_type=proposal.action_type.name,
            revision=number,
            canonical=content,
        ),
        editor=editor,
        reply=reply,
        created_at=at,
    )
    proposal.revision = number
    proposal.digest = revision.digest
    proposal.title = pointers.title(proposal.action_type.title_template, revision.arguments)
    revision.document = Func(Value(acceptance.words_of(proposal, content)), function="countersign_words")
    revision.save(force_insert=True)
    proposal.amount, proposal.currency = facts.money(proposal.action_type, revision.arguments)
    return revision


def apply_route(proposal: Proposal, route: Route) -> bool:
    """Take over tier, quorum, roles and reasons of the new route; True when it goes to another queue or other roles.

    The tier too: what the policy caps at advisory after an edit must not get a grant."""
    before = (proposal.queue and proposal.queue.slug, proposal.roles)
    proposal.tier, proposal.quorum, proposal.roles = route.tier, route.quorum, route.roles
    proposal.reasons = routing.as_json(route.reasons)
    if route.queue is not None and (proposal.queue is None or route.queue != proposal.queue.slug):
        proposal.queue = Queue.objects.get(slug=route.queue)
        Claim.objects.filter(proposal=proposal, ended_at=None).update(
            ended_at=timezone.now(), ended_by="moved"
        )
        proposal.claimed_by = None
        proposal.claimed_until = None
    return before != (proposal.queue and proposal.queue.slug, proposal.roles)


def _finish(
    proposal: Proposal,
    revision: Revision,
    reviewer: User,
    ballot: Ballot,
    now: datetime,
    fields: tuple[str, ...] = (),
) -> None:
    """The quorum is met: decision, evidence, state, and the grant where something may be executed."""
    edited = ballot.verdict == Verdict.APPROVE and revision.editor_id is not None
    Decision.objects.create(
        proposal=proposal,
        revision=revision,
        verdict=Verdict.EDIT if edited else ballot.verdict,
        reason=ballot.reason,
        comment=ballot.comment,
        decider=reviewer,
        label=str(reviewer)[:120],
        decided_at=now,
    )
    if ballot.verdict != Verdict.RETURN:
        _record_evidence(proposal, revision, reviewer, ballot)
    state = _FINAL_STATE[ballot.verdict]
    transitions.apply(
        proposal,
        state,
        actor=reviewer.actor(),
        at=now,
        detail={"verdict": str(ballot.verdict), "reason": ballot.reason, "comment": ballot.comment},
        fields=fields,
    )
    if state == State.APPROVED and proposal.tier != Tier.ADVISORY:
        grants.issue(proposal, revision, at=now)


def _record_evidence(proposal: Proposal, revision: Revision, reviewer: User, ballot: Ballot) -> None:
    """Judge the agent's own latest revision: the decision may stand on one that a person edited."""
    proposed = proposal.revisions.filter(editor=None).latest("number")
    if ballot.verdict in (Verdict.REJECT, Verdict.VETO):
        loss, verdict = LOSS_WRONG, str(ballot.verdict)
    elif proposed.pk == revision.pk:
        loss, verdict = LOSS_APPROVED, str(Verdict.APPROVE)
    else:
        loss = evidence.loss_of_edit(
            before=proposed.arguments, after=revision.arguments, material=proposal.action_type.material
        )
        verdict = str(Verdict.EDIT)
    veto = ballot.verdict == Verdict.VETO
    evidence.record(
        agent=proposal.agent,
        agent_version=proposal.agent_version,
        action_type=proposal.action_type,
        tier=proposal.tier,
        proposal_id=proposal.pk,
        revision=proposed.number,
        judgement=Judgement(
            basis=Evidence.Basis.VETO if veto else Evidence.Basis.DECISION, verdict=verdict, loss=loss
        ),
        judged_by=reviewer,
    )
