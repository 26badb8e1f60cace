"""The only writer of a proposal's state. Every change bumps the version, is audited in the same transaction (I6)
and announced to waiting agents by NOTIFY, which PostgreSQL delivers at the commit, and to their webhooks by rows
(approvals/outbox.py)."""

from datetime import datetime
from typing import Any
from uuid import UUID

from django.db.models import F

from accounts.exceptions import NotFound
from approvals import news, outbox, states
from approvals.exceptions import WrongState
from approvals.models import Claim, Proposal, Queue
from approvals.states import State
from audit import recording
from audit.events import Actor, Kind, Target

CHANNEL = "countersign_proposal"
NOT_OWN = "There is no such proposal of this agent."


def locked(proposal_id: UUID, *, agent_id: int | None = None) -> Proposal:
    """The proposal under a row lock, for the rest of the transaction. Raises `NotFound`.

    With `agent_id`, another agent's, and what was planted, is answered, and locked, as little as one that does not
    exist (I9, I11)."""
    found = (
        Proposal.objects.select_for_update(of=("self",), no_key=True)
        .select_related("agent", "action_type", "queue", "credential")
        .filter(pk=proposal_id)
    )
    if agent_id is not None:
        found = found.filter(agent_id=agent_id, planted=False)
    proposal = found.first()
    if proposal is None:
        raise NotFound("There is no such proposal." if agent_id is None else NOT_OWN)
    return with_its_queue(proposal)


def with_its_queue(proposal: Proposal) -> Proposal:
    """The same, after it was locked and joined with its queue in one statement.

    Where another transaction moved it while we waited for the lock, PostgreSQL takes the row as it is now and joins it
    with the queue that was read before: no match, so no queue at all. It is read when it is asked for, then."""
    if proposal.queue_id is not None and proposal.queue is None:
        Proposal._meta.get_field("queue").delete_cached_value(proposal)
    return proposal


def apply(
    proposal: Proposal,
    to: State,
    *,
    actor: Actor,
    at: datetime,
    detail: dict[str, Any] | None = None,
    fields: tuple[str, ...] = (),
) -> None:
    """Move a locked proposal to `to`, saving `fields` the caller has set along with it.

    Raises `WrongState` when the table has no such transition."""
    before = State(proposal.state)
    if not states.may(before, to):
        raise WrongState(f"A proposal that is {before.label.lower()} cannot become {to.label.lower()}.")
    proposal.state = to
    saved = ["state", *fields]
    if before == State.PENDING and proposal.claimed_by_id is not None:
        Claim.objects.filter(proposal=proposal, ended_at=None).update(ended_at=at, ended_by=str(to))
        proposal.claimed_by = None
        proposal.claimed_until = None
        saved += ["claimed_by", "claimed_until"]
    _save(proposal, at, saved)
    recording.record(
        actor=actor,
        kind=f"proposal.{to}",
        target=Target("proposal", str(proposal.pk), proposal.version),
        before={"state": str(before)},
        after={"state": str(to), "revision": proposal.revision, "digest": proposal.digest},
        detail=detail,
        policy_version=proposal.policy_version_id,
    )
    _announce(proposal)


def new_revision(
    proposal: Proposal,
    *,
    actor: Actor,
    at: datetime,
    before: dict[str, Any],
    detail: dict[str, Any],
    fields: tuple[str, ...],
) -> None:
    """Record that a pending proposal now has another revision without leaving its state."""
    _save(proposal, at, list(fields))
    recording.record(
        actor=actor,
        kind=Kind.PROPOSAL_EDITED,
        target=Target("proposal", str(proposal.pk), proposal.version),
        before=before,
        after={"revision": proposal.revision, "digest": proposal.digest},
        detail=detail,
        policy_version=proposal.policy_version_id,
    )
    _announce(proposal)


def noted(
    proposal: Proposal, *, kind: Kind, actor: Actor, at: datetime, detail: dict[str, Any] | None = None
) -> None:
    """Record what leaves the state of a locked proposal as it is, and what its agent has to hear of all the same."""
    _save(proposal, at, [])
    recording.record(
        actor=actor,
        kind=kind,
        target=Target("proposal", str(proposal.pk), proposal.version),
        after={"state": str(proposal.state), "revision": proposal.revision, "digest": proposal.digest},
        detail=detail,
        policy_version=proposal.policy_version_id,
    )
    _announce(proposal, event=outbox.ROLLBACK_REQUESTED if kind == Kind.ROLLBACK_ASKED else "")


def moved(
    proposal: Proposal,
    to: Queue,
    *,
    actor: Actor,
    at: datetime,
    detail: dict[str, Any],
    fields: tuple[str, ...] = (),
) -> None:
    """Record that a pending proposal now waits in another queue, saving `fields` the caller has set along with it.

    Lease and assignment end: they were for people of the queue it came from."""
    came_from = proposal.queue
    assert came_from is not None
    Claim.objects.filter(proposal=proposal, ended_at=None).update(ended_at=at, ended_by="moved")
    proposal.queue = to
    proposal.claimed_by = proposal.claimed_until = proposal.assigned_to = None
    _save(proposal, at, ["queue", "claimed_by", "claimed_until", "assigned_to", *fields])
    recording.record(
        actor=actor,
        kind=Kind.PROPOSAL_ESCALATED,
        target=Target("proposal", str(proposal.pk), proposal.version),
        before={"queue": came_from.slug},
        after={"queue": to.slug, "revision": proposal.revision, "digest": proposal.digest},
        detail=detail,
        policy_version=proposal.policy_version_id,
    )
    _announce(proposal)
    news.queue_changed(came_from.slug)


def _save(proposal: Proposal, at: datetime, fields: list[str]) -> None:
    """Compare-and-set on the version: a caller without the lock fails loudly instead of overwriting."""
    values = {name: getattr(proposal, name) for name in fields}
    changed = Proposal.objects.filter(pk=proposal.pk, version=proposal.version).update(
        **values, changed_at=at, version=F("version") + 1
    )
    if changed != 1:
        raise WrongState("The proposal has changed meanwhile; read it again.")
    proposal.version += 1
    proposal.changed_at = at


def _announce(proposal: Proposal, *, event: str = "") -> None:
    outbox.changed(proposal, channel=CHANNEL, event=event)
    news.proposal_changed(proposal)
