"""What a proposal's page and its print are made of: what `approvals.showing` gathers, the forms, the history."""

import re
from collections.abc import Iterable
from dataclasses import asdict, dataclass
from typing import Any

import msgspec
from django.http import HttpRequest
from django.utils import timezone

from accounts.models import User
from approvals import differences, permissions, probe_records, record, showing
from approvals.forms.decide import ApproveForm, ReasonForm, ReturnForm, SeenForm
from approvals.models import Decision, Proposal, Revision, Verdict
from approvals.reading.sheet import Change
from approvals.showing import current_revision, current_votes, findings_of
from approvals.states import State
from audit import selectors as trail
from audit.content import reveal
from audit.events import Kind
from audit.models import AuditEvent


@dataclass(frozen=True, slots=True)
class Moment:
    """One event of the history, with what it changed in the arguments."""

    event: AuditEvent
    changes: list[Change]
    reply: str = ""


def history(proposal: Proposal) -> list[Moment]:
    """The audit timeline, each new revision with its difference from the one before."""
    revisions = {revision.number: revision for revision in proposal.revisions.all()}
    seen = 1
    moments = []
    events = list(trail.timeline("proposal", str(proposal.pk)))
    reveal(events)
    if proposal.planted and not probe_records.is_told(proposal):
        events = [_as_of_the_agent(event, proposal) for event in events]
    for event, following in zip(events, [*events[1:], None], strict=True):
        if event.kind == Kind.PROPOSAL_VOTED and following and following.transaction == event.transaction:
            continue  # the decision it made says the same, in the same transaction
        number = (event.data.get("after") or {}).get("revision", seen)
        changes: list[Change] = []
        reply = ""
        if isinstance(number, int) and number > seen and {number, seen} <= revisions.keys():
            changes = differences.between(proposal, revisions[seen], revisions[number])
            reply = revisions[number].reply
            seen = number
        moments.append(Moment(event, changes, reply))
    return moments


def _as_of_the_agent(event: AuditEvent, proposal: Proposal) -> AuditEvent:
    """What the system did to a planted proposal, as the page says it until somebody has decided; the log says it."""
    if event.actor_id == probe_records.PLANTER:
        agent = proposal.agent.actor()
        event.content = msgspec.json.encode(event.data | {"actor": asdict(agent)}).decode()
        event.actor_kind, event.actor_id = agent.kind, agent.id
    return event


@dataclass(frozen=True, slots=True)
class Bytes:
    """A revision as it is stored, and what it changed in the one before."""

    revision: Revision
    text: str
    changes: list[Change]


def revisions_of(proposal: Proposal) -> list[Bytes]:
    """Every revision with its canonical bytes, the first one first."""
    found = sorted(proposal.revisions.all(), key=lambda revision: revision.number)
    return [
        Bytes(
            one,
            bytes(one.canonical).decode(),
            differences.between(proposal, before, one) if before else [],
        )
        for before, one in zip([None, *found], found, strict=False)
    ]


def latest_decision(proposal: Proposal) -> Decision | None:
    """The verdict on the current revision, or the last one there was."""
    decisions = sorted(proposal.decisions.all(), key=lambda decision: decision.decided_at)
    return decisions[-1] if decisions else None


def folds_in(proposal: Proposal) -> int:
    """How many runs of blank lines are folded on the proposal's page."""
    return findings_of(proposal, current_revision(proposal)).folds


def are_folds_open(request: HttpRequest) -> bool:
    """Whether the page at hand shows folded lines in full, or the form sent comes from one that did."""
    return request.GET.get("folds") == "open" or request.POST.get("shown") == "True"


def context_of(
    request: HttpRequest, me: User, proposal: Proposal, bound: Iterable[SeenForm] = ()
) -> dict[str, Any]:
    """Everything the template needs; `bound` are forms that were sent and refused, shown in place of fresh ones."""
    revision = current_revision(proposal)
    folds = folds_in(proposal)
    folds_open = are_folds_open(request)
    forms: dict[str, SeenForm] = {
        "approve": ApproveForm(proposal=proposal, folds=folds, folds_open=folds_open, person=me),
        "reject": ReasonForm(proposal=proposal, verdict=Verdict.REJECT),
        "return": ReturnForm(proposal=proposal),
        "veto": ReasonForm(proposal=proposal, verdict=Verdict.VETO),
    }
    forms.update({str(form.verdict): form for form in bound})
    since = request.GET.get("since", "")
    votes = current_votes(proposal)
    return {
        **shown(me, proposal, revision),
        "forms": forms,
        "folds": folds,
        "folds_open": folds_open,
        "votes": votes,
        "my_vote": next((vote for vote in votes if vote.reviewer_id == me.pk), None),
        "decision": None if proposal.state == State.PENDING else latest_decision(proposal),
        "returned_before": [d for d in proposal.decisions.all() if d.verdict == Verdict.RETURN],
        "why_not": permissions.why_not(me, proposal),
        "is_mine": proposal.is_claimed and proposal.claimed_by_id == me.pk,
        "held_by_other": proposal.is_claimed and proposal.claimed_by_id != me.pk,
        "since": int(since) if re.fullmatch(r"\d{1,6}", since) else None,
        "changes": differences.since(proposal, int(since)) if re.fullmatch(r"\d{1,6}", since) else [],
        "now": timezone.now(),
    }


def shown(me: User, proposal: Proposal, revision: Revision) -> dict[str, Any]:
    """What the page and its print have in common: everything that can be read."""
    judged = record.judged_before(proposal)
    return {
        "proposal": proposal,
        "revision": revision,
        "sheet": showing.sheet_of(proposal, revision, judged),
        "hosts": findings_of(proposal, revision).hosts,
        "why": showing.why(proposal),
        "record": showing.record_of(me, proposal, revision, judged),
        "voting": showing.voting(proposal),
        "history": history(proposal),
    }
