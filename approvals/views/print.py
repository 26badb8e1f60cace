"""A proposal on paper, or as a file for whoever asks later: everything about it at one moment, nothing to press."""

from uuid import UUID

from django.contrib.auth.decorators import login_required
from django.http import HttpRequest, HttpResponse
from django.shortcuts import render
from django.utils import timezone
from django.views.decorators.cache import never_cache
from django.views.decorators.http import require_safe

from accounts.http import person
from approvals import selectors, showing
from approvals.views import page


@login_required
@never_cache
@require_safe
def proposal_print(request: HttpRequest, proposal_id: UUID) -> HttpResponse:
    """Sheet, words, reasons, record, revisions with their bytes, votes, decisions, comments, outcome and history.

    Folded blank lines stay folded with their number: ten thousand of them would be two hundred pages."""
    me = person(request)
    found = selectors.proposal_for(me, proposal_id)
    context = {
        **page.shown(me, found, showing.current_revision(found)),
        "revisions": page.revisions_of(found),
        "decisions": sorted(found.decisions.all(), key=lambda decision: decision.decided_at),
        "votes": sorted(found.votes.all(), key=lambda vote: vote.voted_at),
        "grant": getattr(found, "grant", None),
        "outcome": getattr(found, "outcome", None),
        "exact": True,
        "now": timezone.now(),
    }
    return render(request, "approvals/print.html", context)
