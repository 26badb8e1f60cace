"""What a proposal's page shows, gathered once: sheet, the agent's words, reasons, record, history."""

import re
from collections.abc import Iterable
from dataclasses import asdict, dataclass
from typing import Any

import msgspec
from django.http import HttpRequest
from django.utils import timezone

from accounts.models import User
from agents.accuracy import Accuracy
from approvals import differences, permissions, probe_records, record
from approvals.forms.decide import ApproveForm, ReasonForm, ReturnForm, SeenForm
from approvals.models import Decision, Proposal, Revision, Verdict, Vote
from approvals.reading import comparison, mismatch, reasons, sheet, signals, untrusted
from approvals.reading.comparison import Present
from approvals.reading.reasons import Why
from approvals.reading.sheet import Beside, Change, Entry, Money, Part
from approvals.reading.signals import Signal
from approvals.reading.untrusted import Findings
from approvals.record import Decider, Judged, Precedent, Seat
from approvals.states import State
from audit import selectors as trail
from audit.events import Kind
from audit.models import AuditEvent

SHOWN_ABOVE = 12
"""So many signals are listed above the arguments; all of them stand where they belong."""


@dataclass(frozen=True, slots=True)
class Sheet:
    """What will happen: the current revision's arguments. `signals` are those of the whole proposal, gravest first;
    `flags` has the same by the place they belong to, `rest` is how many the list above leaves out."""

    title: list[Part]
    entries: list[Entry]
    missing: list[str]
    size: int
    outside: list[tuple[str, str]]
    signals: list[Signal]
    flags: dict[str, list[Signal]]
    rest: int


@dataclass(frozen=True, slots=True)
class Record:
    """What is known of the agent: its accuracy, judged results of earlier versions, and the most similar proposals."""

    accuracy: Accuracy
    of_earlier_versions: int
    precedents: list[Precedent]
    compared: int


@dataclass(frozen=True, slots=True)
class Voting:
    """Who has voted, whose votes are missing, who may give them."""

    votes: list[Vote]
    seats: list[Seat]
    still: int
    deciders: list[Decider]


@dataclass(frozen=True, slots=True)
class Moment:
    """One event of the history, with what it changed in the arguments."""

    event: AuditEvent
    changes: list[Change]
    reply: str = ""


def money_of(proposal: Proposal) -> Money:
    """Where the amount stands and in which currency it is; one that cannot be read has none."""
    kind = proposal.action_type
    return Money(kind.amount_pointer, proposal.currency if proposal.amount is not None else kind.currency)


def sheet_of(proposal: Proposal, revision: Revision, judged: list[Judged]) -> Sheet:
    """The arguments with everything that stands beside them."""
    kind, money = proposal.action_type, money_of(proposal)
    value = sheet.parse(revision.canonical)
    beside = Beside(state=proposal.current_state, now=timezone.localtime())
    entries = sheet.entries(kind.schema, value, material=kind.material, money=money, beside=beside)
    labels = sheet.labels(entries)
    found = signs(proposal, revision, value, labels, judged)
    above = signals.gathered(found)
    flags: dict[str, list[Signal]] = {}
    for one in found:
        flags.setdefault(one.where, []).append(one)
    return Sheet(
        title=sheet.title(kind.title_template, value, money),
        entries=entries,
        missing=sheet.missing(kind.schema, value),
        size=len(bytes(revision.canonical)),
        outside=sheet.outside(value, proposal.current_state),
        signals=above[:SHOWN_ABOVE],
        flags=flags,
        rest=max(0, len(above) - SHOWN_ABOVE),
    )


_GRAVITY = list(signals.LABELS)


def signs(
    proposal: Proposal, revision: Revision, value: Any, labels: dict[str, str], judged: list[Judged]
) -> list[Signal]:
    """Every signal of the proposal, the gravest first: by comparison, in the arguments, in the agent's words."""
    kind = proposal.action_type
    present = present_of(proposal, revision, labels)
    found = [
        *comparison.signals(present, record.approved(judged)),
        *(Signal("mismatch", signals.SUMMARY, hint) for hint in hints(proposal, revision)),
        *signals.in_arguments(value, labels),
        *signals.addressed_in_arguments(value, labels),
        *signals.in_words(
            [
                (signals.SUMMARY, proposal.summary),
                (signals.REASONING, proposal.reasoning),
                (signals.REPLY, "" if revision.editor_id else revision.reply),
                (signals.CONTEXT, proposal.context),
                (signals.WORDS, [proposal.subject_id, proposal.current_state]),
            ]
        ),
    ]
    unknown = [name for name in value if name not in kind.schema.get("properties", {})]
    if unknown and kind.schema.get("properties"):
        named = ", ".join(f"“{name[:40]}”" for name in unknown[:3])
        found.append(Signal("unexpected", signals.ARGUMENTS, f"The schema does not know {named}."))
    return sorted(found, key=lambda one: _GRAVITY.index(one.kind))


def present_of(proposal: Proposal, revision: Revision, labels: dict[str, str]) -> Present:
    """The proposal at hand, as comparisons take it."""
    return Present(
        arguments=revision.arguments,
        subject=(proposal.subject_type, proposal.subject_id),
        amount=proposal.amount,
        currency=proposal.currency,
        material=tuple(proposal.action_type.material),
        labels=labels,
        amount_pointer=proposal.action_type.amount_pointer,
    )


def findings_of(proposal: Proposal, revision: Revision) -> Findings:
    """What is hidden or folded anywhere in what the agent sent."""
    words = [
        proposal.summary,
        proposal.reasoning,
        proposal.context,
        proposal.subject_id,
        proposal.current_state,
    ]
    return untrusted.findings([sheet.parse(revision.canonical), words, revision.reply])


def hints(proposal: Proposal, revision: Revision) -> list[str]:
    """Where the summary and the action disagree."""
    return mismatch.hints(
        summary=proposal.summary,
        action=proposal.action_type.name,
        amount=proposal.amount,
        currency=proposal.currency,
        arguments=revision.arguments,
        about=f"{proposal.subject_type} {proposal.subject_id}",
    )


def why(proposal: Proposal) -> list[Why]:
    """What sent it here, in words."""
    version, kind = proposal.policy_version, proposal.action_type
    found = reasons.in_words(
        proposal.reasons,
        version.rules if version else [],
        action=kind.name,
        label=lambda pointer: sheet.label(kind.schema, pointer),
    )
    is_over = proposal.state not in OPEN  # before that, who decides or vetoes must not know of the draw
    drawn = reasons.sampling(proposal.sample_probability, drawn=is_over and proposal.sampled)
    return [*found, drawn] if drawn else found


def record_of(me: User, proposal: Proposal, revision: Revision, judged: list[Judged]) -> Record:
    accuracy, of_earlier_versions = record.accuracy_of(proposal)
    present = present_of(proposal, revision, {})
    return Record(accuracy, of_earlier_versions, record.precedents(me, present, judged), len(judged))


OPEN = frozenset({State.PENDING, State.RETURNED, State.SCHEDULED})


def voting(proposal: Proposal) -> Voting:
    """The votes on the current revision and who may give those that are missing; nobody once it is decided."""
    votes = current_votes(proposal)
    approvals = [vote for vote in votes if vote.verdict in (Verdict.APPROVE, Verdict.EDIT)]
    return Voting(
        votes=votes,
        seats=record.seats(proposal, votes),
        still=max(0, proposal.quorum - len(approvals)) if proposal.state == State.PENDING else 0,
        deciders=record.deciders(proposal) if proposal.state in OPEN else [],
    )


def history(proposal: Proposal) -> list[Moment]:
    """The audit timeline, each new revision with its difference from the one before."""
    revisions = {revision.number: revision for revision in proposal.revisions.all()}
    seen = 1
    moments = []
    events = list(trail.timeline("proposal", str(proposal.pk)))
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
        "sheet": sheet_of(proposal, revision, judged),
        "hosts": findings_of(proposal, revision).hosts,
        "why": why(proposal),
        "record": record_of(me, proposal, revision, judged),
        "voting": voting(proposal),
        "history": history(proposal),
    }
