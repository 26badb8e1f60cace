"""Where a reviewer goes when he is done with a proposal: to the next one, or to where he is told that none waits."""

from django.contrib import messages
from django.http import HttpRequest, HttpResponse
from django.shortcuts import redirect

from accounts.http import person
from approvals import permissions
from approvals.exceptions import NothingToClaim
from approvals.models import Proposal
from approvals.services import claim
from approvals.services.decide import Decided


def to_next(request: HttpRequest, *, otherwise: HttpResponse) -> HttpResponse:
    """Claim the next most urgent one. That nothing waits is no refusal here: what was asked for has been done."""
    try:
        following = claim.claim_next(reviewer=person(request))
    except NothingToClaim:
        messages.info(request, "Nothing else is waiting for you.")
        return otherwise
    return redirect("approvals:proposal", proposal_id=following.pk)


def after_vote(request: HttpRequest, decided: Decided) -> HttpResponse:
    """The next proposal for who has chosen that; else the decided one, or the queues where the policy has sent it out
    of his sight."""
    here = _page_of(request, decided.proposal)
    if person(request).preferences.get("advance") and not decided.repeated:
        return to_next(request, otherwise=here)
    return here


def _page_of(request: HttpRequest, proposal: Proposal) -> HttpResponse:
    if permissions.can_see(person(request), proposal):
        return redirect("approvals:proposal", proposal_id=proposal.pk)
    return redirect("approvals:queue_list")


def to_queue(proposal: Proposal) -> HttpResponse:
    """The list it was in."""
    if proposal.queue is None:
        return redirect("approvals:queue_list")
    return redirect("approvals:queue", slug=proposal.queue.slug)
