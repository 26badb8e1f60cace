"""What a proposal's page shows for one revision: sheet, reasons, record, votes.

The page, its print and the sheet kept at a vote (`approvals.sheets`) are made by these functions and no others, so that
what is kept is what was shown."""

from dataclasses import dataclass
from datetime import datetime
from typing import Any

from django.utils import timezone

from accounts.models import User
from agents.accuracy import Accuracy
from approvals import facts, record
from approvals.models import Proposal, Revision, Verdict, Vote
from approvals.reading import comparison, mismatch, reasons, sheet, signals, untrusted
from approvals.reading.comparison import Present
from approvals.reading.reasons import Why
from approvals.reading.sheet import Beside, Entry, Money, Part
from approvals.reading.signals import Signal
from approvals.reading.untrusted import Findings
from approvals.record import Decider, Judged, Precedent, Seat
from approvals.states import State

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


def money_of(proposal: Proposal) -> Money:
    """Where the amount stands and in which currency it is; one that cannot be read has none."""
    kind = proposal.action_type
    return Money(kind.amount_pointer, proposal.currency if proposal.amount is not None else kind.currency)


def sheet_of(
    proposal: Proposal, revision: Revision, judged: list[Judged], *, now: datetime | None = None
) -> Sheet:
    """The arguments with everything that stands beside them, on the reader's clock."""
    kind, money = proposal.action_type, money_of(proposal)
    value = sheet.parse(revision.canonical)
    beside = Beside(state=proposal.current_state, now=timezone.localtime(now))
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


def record_of(
    me: User,
    proposal: Proposal,
    revision: Revision,
    judged: list[Judged],
    *,
    before: datetime | None = None,
) -> Record:
    accuracy, of_earlier_versions = record.accuracy_of(proposal, before=before)
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


def set_back(proposal: Proposal, revision: Revision) -> None:
    """A proposal in hand, which must never be saved, as it was at an earlier revision."""
    proposal.revision, proposal.digest = revision.number, revision.digest
    proposal.amount, proposal.currency = facts.money(proposal.action_type, revision.arguments)


def current_revision(proposal: Proposal) -> Revision:
    """The revision in force, from what is loaded already."""
    return next(revision for revision in proposal.revisions.all() if revision.number == proposal.revision)


def current_votes(proposal: Proposal) -> list[Vote]:
    return [vote for vote in proposal.votes.all() if vote.revision.number == proposal.revision]
