"""May this proposal be approved together with others? Everything that asks for a page of its own says so here.

Approving several at once is for the small, the plain and the undoable. The rules look at one proposal as it is now;
how it stands beside its look-alikes is approvals/alike.py's matter."""

from collections.abc import Sequence
from decimal import Decimal

from agents.models import AgentState
from approvals import pacing
from approvals.models import Proposal, Revision
from approvals.reading import alike, comparison, figures, mismatch, sheet, signals
from approvals.reading.comparison import Earlier, Present
from approvals.reading.sheet import Money

MOST = 25
"""So many stand on one page, and may be sent at once."""
LONG_SUMMARY = 300


def why_alone(proposal: Proposal, revision: Revision, *, earlier: Sequence[Earlier] = ()) -> str:
    """Why this one is approved on its own page only, in a sentence; empty where it may be approved with others.

    `earlier` are the approved ones that it is compared with."""
    return _by_nature(proposal) or _by_amount(proposal) or _by_content(proposal, revision, earlier)


def _by_nature(proposal: Proposal) -> str:
    kind, queue = proposal.action_type, proposal.queue
    if queue is None or queue.bulk_amount is None:
        return "This queue lets nobody decide several at once."
    if kind.risk in ("high", "critical"):
        return f"Its risk is {kind.risk}."
    if pacing.must_be_seen(risk=kind.risk, is_reversible=kind.reversible_by_id is not None):
        return "It cannot be undone, so all of it has to be in view."
    if proposal.quorum > 1 or proposal.required:
        return "It needs more than one person."
    if proposal.agent.state != AgentState.LIVE:
        return f"Its agent is {proposal.agent.get_state_display().lower()}."
    return ""


def _by_amount(proposal: Proposal) -> str:
    limit = proposal.queue.bulk_amount if proposal.queue else None
    if proposal.amount is None:
        return "Its amount cannot be read." if proposal.action_type.amount_pointer else ""
    if limit is None or abs(proposal.amount) > limit:
        return f"Its amount is above {figures.money(str(limit or Decimal(0)))}, this queue’s limit for several at once."
    return ""


def _by_content(proposal: Proposal, revision: Revision, earlier: Sequence[Earlier]) -> str:
    value = sheet.parse(revision.canonical)
    kind = proposal.action_type
    labels = {
        pointer: entry.label
        for pointer, entry in alike.leaves(
            sheet.entries(kind.schema, value, material=kind.material, money=Money())
        ).items()
    }
    arguments = revision.arguments
    others = [one for one in earlier if one.id != proposal.pk]
    found = [
        *signals.in_arguments(arguments, labels),
        *signals.in_arguments({"title": proposal.title}, {"/title": "Its title"}),
        *signals.addressed_in_arguments(arguments, labels),
        *signals.in_words(
            [
                (signals.SUMMARY, proposal.summary),
                (signals.REASONING, proposal.reasoning),
                (signals.CONTEXT, proposal.context),
                (signals.WORDS, [proposal.subject_id, proposal.current_state]),
            ]
        ),
    ]
    if not found and any(one.stands and one.arguments == arguments for one in others):
        return "Exactly the same was approved before."
    if not found:
        found = comparison.signals(
            Present(
                arguments=arguments,
                subject=(proposal.subject_type, proposal.subject_id),
                amount=proposal.amount,
                currency=proposal.currency,
                material=kind.material,
                labels=labels,
                amount_pointer=kind.amount_pointer,
            ),
            others,
        )
        found = [
            one for one in found if one.kind != "repeated"
        ]  # equal sums are what look-alikes have in common
    if found:
        return f"{found[0].label}. {found[0].text}"
    if hints := _hints(proposal, revision):
        return hints[0]
    if len(proposal.summary) > LONG_SUMMARY:
        return f"What the agent says of it is long ({len(proposal.summary):,} characters)."
    return ""


def _hints(proposal: Proposal, revision: Revision) -> list[str]:
    return mismatch.hints(
        summary=proposal.summary,
        action=proposal.action_type.name,
        amount=proposal.amount,
        arguments=revision.arguments,
        currency=proposal.currency,
        about=proposal.subject_id,
    )


def differing_length(first: Revision, other: Revision) -> int:
    """How many characters there are to read in one that is compared with another."""
    known = alike.values(sheet.parse(first.canonical))
    mine = alike.values(sheet.parse(other.canonical))
    return sum(len(text) for pointer, text in mine.items() if known.get(pointer) != text)
