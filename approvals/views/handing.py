"""Handing a proposal on without deciding it: skip, assign, escalate."""

from uuid import UUID

from django.contrib import messages
from django.contrib.auth.decorators import login_required
from django.http import HttpRequest, HttpResponse
from django.shortcuts import redirect, render
from django.views.decorators.cache import never_cache

from accounts.http import person
from approvals import colleagues, permissions, selectors
from approvals.forms.handing import AssignForm, EscalateForm
from approvals.services.assign import assign
from approvals.services.escalate import escalate
from approvals.services.skip import skip
from approvals.views import onwards, page
from approvals.views.landing import posted


@login_required
@posted
def proposal_skip(request: HttpRequest, proposal_id: UUID) -> HttpResponse:
    """Pass over this one and open the next, in one key press."""
    skipped = skip(proposal_id=proposal_id, reviewer=person(request))
    return onwards.to_next(request, otherwise=onwards.to_queue(skipped))


@login_required
@never_cache
@posted
def proposal_assign(request: HttpRequest, proposal_id: UUID) -> HttpResponse:
    """Give it to a colleague. Whoever is away is named once more before it goes to him (422, the form again)."""
    found = selectors.proposal_for(person(request), proposal_id)
    form = AssignForm(
        request.POST,
        colleagues=colleagues.colleagues_of(person(request), permissions.deciders(found)),
        assigned_to=found.assigned_to,
    )
    if not form.is_valid():
        context = page.context_of(request, person(request), found)
        refused = {**context, "open": "assign", "assign_form": form}
        return render(request, "approvals/proposal.html", refused, status=422)
    given = assign(proposal_id=proposal_id, to_id=form.to_id, actor=person(request))
    if given.assigned_to is None:
        messages.info(request, "It is nobody's in particular now.")
    else:
        messages.success(request, f"Given to {given.assigned_to}, who has been told.")
    return onwards.to_queue(given)


@login_required
@never_cache
@posted
def proposal_escalate(request: HttpRequest, proposal_id: UUID) -> HttpResponse:
    """Send it up the queue's chain now instead of when its time has run out."""
    form = EscalateForm(request.POST, version=0)
    if not form.is_valid():
        found = selectors.proposal_for(person(request), proposal_id)
        context = page.context_of(request, person(request), found)
        refused = {**context, "open": "escalate", "escalate_form": form}
        return render(request, "approvals/proposal.html", refused, status=422)
    sent = escalate(proposal_id=proposal_id, reviewer=person(request), **form.cleaned_data)
    messages.success(request, f"Escalated: it waits in {sent.queue} now.")
    return onwards.to_next(request, otherwise=redirect("approvals:queue_list"))
