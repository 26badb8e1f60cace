"""What a proposal's page shows, gathered once: the sheet, what the agent says, why it is here, its history."""

import re
from collections.abc import Iterable
from dataclasses import dataclass
from typing import Any

from django.http import HttpRequest
from django.utils import timezone

from accounts.models import User
from approvals import differences, mismatch, permissions, sheet, untrusted
from approvals.forms import ApproveForm, ReasonForm, ReturnForm, SeenForm
from approvals.models import Decision, Proposal, Revision, Verdict, Vote
from approvals.sheet import Change, Entry, Money
from approvals.states import State
from approvals.untrusted import Findings
from audit import selectors as trail
from audit.events import Kind
from audit.models import AuditEvent


@dataclass(frozen=True, slots=True)
class Sheet:
    """What will happen: the current revision's arguments, and what a quick eye would miss in them."""

    entries: list[Entry]
    missing: list[str]
    size: int
    findings: Findings


@dataclass(frozen=True, slots=True)
class Moment:
    """One event of the history, with what it changed in the arguments."""

    event: AuditEvent
    changes: list[Change]
    reply: str = ""


def sheet_of(proposal: Proposal, revision: Revision) -> Sheet:
    kind = proposal.action_type
    value = sheet.parse(revision.canonical)
    money = Money(kind.amount_pointer, proposal.currency or kind.currency)
    return Sheet(
        entries=sheet.entries(kind.schema, value, material=kind.material, money=money),
        missing=sheet.missing(kind.schema, value),
        size=len(bytes(revision.canonical)),
        findings=untrusted.findings(value) + untrusted.findings(proposal.title),
    )


def said_by_agent(proposal: Proposal) -> Findings:
    """What is hidden in the agent's words, apart from its arguments."""
    words = [
        proposal.summary,
        proposal.reasoning,
        proposal.context,
        proposal.subject_id,
        proposal.current_state,
    ]
    return untrusted.findings(words)


def hints(proposal: Proposal, revision: Revision) -> list[str]:
    """Where the summary and the action disagree."""
    return mismatch.hints(
        summary=proposal.summary,
        action=proposal.action_type.name,
        amount=proposal.amount,
        arguments=revision.arguments,
    )


def state_before(proposal: Proposal) -> list[tuple[str, str, str]]:
    """The agent's account of the present state beside what its arguments would make of it: name, before, after."""
    if not isinstance(proposal.current_state, dict):
        return []
    after = current_revision(proposal).arguments
    return [
        (name, _short(value), _short(after[name]) if name in after else "")
        for name, value in list(proposal.current_state.items())[:60]
    ]


def _short(value: Any) -> str:
    return value if isinstance(value, str) else sheet.spelled(value)


def history(proposal: Proposal) -> list[Moment]:
    """The audit timeline, each new revision with its difference from the one before."""
    revisions = {revision.number: revision for revision in proposal.revisions.all()}
    seen = 1
    moments = []
    events = list(trail.timeline("proposal", str(proposal.pk)))
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


def current_revision(proposal: Proposal) -> Revision:
    """The revision in force, from what is loaded already."""
    return next(revision for revision in proposal.revisions.all() if revision.number == proposal.revision)


def current_votes(proposal: Proposal) -> list[Vote]:
    return [vote for vote in proposal.votes.all() if vote.revision.number == proposal.revision]


def latest_decision(proposal: Proposal) -> Decision | None:
    """The verdict on the current revision, or the last one there was."""
    decisions = sorted(proposal.decisions.all(), key=lambda decision: decision.decided_at)
    return decisions[-1] if decisions else None


def folds_in(proposal: Proposal) -> int:
    """How many runs of blank lines are folded on the proposal's page."""
    return sheet_of(proposal, current_revision(proposal)).findings.folds + said_by_agent(proposal).folds


def are_folds_open(request: HttpRequest) -> bool:
    """Whether the page at hand shows folded lines in full, or the form sent comes from one that did."""
    return request.GET.get("folds") == "open" or request.POST.get("shown") == "True"


def context_of(
    request: HttpRequest, me: User, proposal: Proposal, bound: Iterable[SeenForm] = ()
) -> dict[str, Any]:
    """Everything the template needs; `bound` are forms that were sent and refused, shown in place of fresh ones."""
    revision = current_revision(proposal)
    the_sheet = sheet_of(proposal, revision)
    said = said_by_agent(proposal)
    folds = the_sheet.findings.folds + said.folds
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
        "proposal": proposal,
        "revision": revision,
        "sheet": the_sheet,
        "said": said,
        "hints": hints(proposal, revision),
        "state_before": state_before(proposal),
        "history": history(proposal),
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
