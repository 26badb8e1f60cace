"""What a reviewer is told after a vote, whichever page it was sent from."""

from django.contrib import messages
from django.http import HttpRequest

from approvals.services.decide import Decided
from approvals.states import State


def tell(request: HttpRequest, decided: Decided) -> None:
    """One sentence about what the vote did, naming the proposal, for the page may be of another by then.

    While the undo window is open the bar of undoable decisions says it instead."""
    if decided.held_until is not None:
        return
    name = f"“{decided.proposal.title[:120]}”"
    if decided.repeated:
        messages.info(request, f"You had decided {name} already; nothing was counted twice.")
    elif not decided.final:
        messages.info(request, f"Your vote on {name} is recorded. It needs another one before it is decided.")
    else:
        word = State(decided.proposal.state).label.lower()
        messages.success(request, f"Signed: {word}. {name}")
