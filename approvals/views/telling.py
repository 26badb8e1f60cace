"""What a reviewer is told after a vote, whichever page it was sent from."""

from django.contrib import messages
from django.http import HttpRequest

from accounts.http import person
from agents.autonomy import Tier
from approvals import probe_records, probing
from approvals.services.decide import Decided
from approvals.states import State

_NOTED = {State.APPROVED: "what you did", State.REJECTED: "nothing of the kind was done"}
"""Of an advisory proposal: its agent hears of it, and gets no grant."""


def tell(request: HttpRequest, decided: Decided) -> None:
    """One sentence about what the vote did, naming the proposal, for the page may be of another by then.

    While the undo window is open the bar of undoable decisions says it instead."""
    if decided.held_until is not None:
        return
    if decided.proposal.planted and decided.final and not decided.repeated:
        _tell_of_probe(request, decided)
        return
    name = f"“{decided.proposal.title[:120]}”"
    if decided.repeated:
        messages.info(request, f"You had decided {name} already; nothing was counted twice.")
    elif not decided.final:
        messages.info(request, f"Your vote on {name} is recorded. It needs another one before it is decided.")
    else:
        word = State(decided.proposal.state).label.lower()
        if decided.proposal.tier == Tier.ADVISORY and decided.proposal.state in _NOTED:
            messages.success(request, f"Noted: {_NOTED[State(decided.proposal.state)]}. {name}")
            return
        messages.success(request, f"Signed: {word}. {name}")


def _tell_of_probe(request: HttpRequest, decided: Decided) -> None:
    """Who goes on to the next is told there; who stays reads it on the decided proposal's own page."""
    me = person(request)
    own = probe_records.told(me, decided.proposal)
    if own is not None and me.preferences.get("advance"):
        (messages.success if own.caught else messages.warning)(request, probing.words(own))
