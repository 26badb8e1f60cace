"""What a reviewer is told after a vote, whichever page it was sent from."""

from django.contrib import messages
from django.http import HttpRequest

from approvals.services.decide import Decided
from approvals.states import State


def tell(request: HttpRequest, decided: Decided) -> None:
    """One sentence about what the vote did; the page shows the rest."""
    if decided.repeated:
        messages.info(request, "You had decided this already; nothing was counted twice.")
    elif not decided.final:
        messages.info(request, "Your vote is recorded. It needs another one before it is decided.")
    else:
        word = State(decided.proposal.state).label.lower()
        messages.success(request, f"Signed: {word}.")
