"""Disputes: raised from the proposal's page, listed for the agent's people."""

from uuid import UUID

from django.contrib import messages
from django.contrib.auth.decorators import login_required
from django.http import HttpRequest, HttpResponse
from django.shortcuts import redirect, render
from django.urls import reverse
from django.views.decorators.cache import never_cache
from django.views.decorators.http import require_safe

from accounts.http import person
from approvals import disputes, selectors
from approvals.forms.disputes import DisputeForm
from approvals.services.dispute import dispute
from approvals.views import page
from approvals.views.landing import posted

SHOWN = 100


@login_required
@never_cache
@require_safe
def dispute_list(request: HttpRequest) -> HttpResponse:
    rows = disputes.disputes_for(person(request), limit=SHOWN)
    return render(request, "approvals/dispute_list.html", {"rows": rows, "shown": SHOWN})


@login_required
@never_cache
@posted
def proposal_dispute(request: HttpRequest, proposal_id: UUID) -> HttpResponse:
    """Raise it; a form that lacks something comes back in the page."""
    me = person(request)
    found = selectors.proposal_for(me, proposal_id)
    form = DisputeForm(request.POST)
    if not form.is_valid():
        context = {**page.context_of(request, me, found), "dispute_form": form}
        return render(request, "approvals/proposal.html", context, status=422)
    dispute(
        evidence_id=form.cleaned_data["evidence"],
        actor=me,
        claim=form.cleaned_data["claim"],
        text=form.cleaned_data["text"],
    )
    messages.success(request, "It is in dispute. A third person is asked; you will be told.")
    return redirect(reverse("approvals:proposal", args=[proposal_id]) + "#judged")
