"""Taking one's own verdict back while its undo window is open."""

from uuid import UUID

from django.contrib import messages
from django.contrib.auth.decorators import login_required
from django.http import HttpRequest, HttpResponse
from django.shortcuts import redirect

from accounts.http import person
from approvals.services import settle
from approvals.views.landing import posted


@login_required
@posted
def proposal_undo(request: HttpRequest, proposal_id: UUID) -> HttpResponse:
    """Back to the proposal as it was; the agent has heard of nothing."""
    undone = settle.undo(proposal_id=proposal_id, reviewer=person(request))
    messages.info(request, f"Taken back: “{undone.title[:120]}” waits for a decision again.")
    return redirect("approvals:proposal", proposal_id=proposal_id)
