"""One proposal: its page, the claim on it, and the four verdicts."""

from dataclasses import replace
from uuid import UUID

from django.contrib import messages
from django.contrib.auth.decorators import login_required
from django.http import HttpRequest, HttpResponse
from django.shortcuts import redirect, render
from django.views.decorators.cache import never_cache
from django.views.decorators.http import require_POST, require_safe

from accounts.http import person
from approvals import blind, selectors, sheets, showing
from approvals.forms.decide import ApproveForm, ReasonForm, ReturnForm, SeenForm
from approvals.forms.signing import answer_of
from approvals.models import Proposal, Verdict
from approvals.services import claim
from approvals.services.decide import decide
from approvals.signing import session_of
from approvals.views import onwards, page
from approvals.views.landing import posted
from approvals.views.telling import tell

VERDICTS = {
    "approve": Verdict.APPROVE,
    "reject": Verdict.REJECT,
    "return": Verdict.RETURN,
    "veto": Verdict.VETO,
}


@login_required
@never_cache
@require_safe
def proposal(request: HttpRequest, proposal_id: UUID) -> HttpResponse:
    """The page. Opening it claims nothing and changes nothing."""
    me = person(request)
    found = selectors.proposal_for(me, proposal_id)
    blind.note_peek(me, found)
    context = page.context_of(request, me, found)
    if found.state in showing.OPEN and context["why_not"] is None:
        sheets.remember(me, found, context["revision"], context)
    return render(request, "approvals/proposal.html", context)


@login_required
@never_cache
@require_safe
def proposal_pulse(request: HttpRequest, proposal_id: UUID) -> HttpResponse:
    """Whether the proposal on screen is still what it was; 204 while it is, or has become the asker's own."""
    found = selectors.proposal_for(person(request), proposal_id)
    holder = str(found.claimed_by_id or "") if found.is_claimed else ""
    is_same = request.GET.get("version") == str(found.version)
    if is_same and holder in (request.GET.get("holder", ""), str(person(request).pk)):
        return HttpResponse(status=204)
    context = {"proposal": found, "is_same": is_same, "was_held": request.GET.get("holder", "") != ""}
    return render(request, "approvals/_proposal_pulse.html", context)


@login_required
@posted
def proposal_claim(request: HttpRequest, proposal_id: UUID) -> HttpResponse:
    claim.claim(proposal_id=proposal_id, reviewer=person(request))
    return redirect("approvals:proposal", proposal_id=proposal_id)


@login_required
@require_POST
def proposal_renew(request: HttpRequest, proposal_id: UUID) -> HttpResponse:
    """The page's own claim when it was opened, and its heartbeat: the lease is kept while somebody works on it."""
    renewed = claim.claim(proposal_id=proposal_id, reviewer=person(request))
    context = {"proposal": renewed, "is_mine": True, "is_news": "opening" in request.POST}
    return render(request, "approvals/_lease.html", context)


@login_required
@posted
def proposal_release(request: HttpRequest, proposal_id: UUID) -> HttpResponse:
    """Hand it back; `leaving` is sent by a page that is being left, which nobody will read the answer of."""
    released = claim.release(proposal_id=proposal_id, reviewer=person(request))
    if "leaving" in request.POST:
        return HttpResponse(status=204)
    messages.info(request, "Handed back to the queue.")
    return onwards.to_queue(released)


@login_required
@posted
def proposal_decide(request: HttpRequest, proposal_id: UUID, verdict: str) -> HttpResponse:
    """Approve, reject, return or veto. A form that was not filled in comes back with the page, 422."""
    found = selectors.proposal_for(person(request), proposal_id)
    form = _form(request, found, VERDICTS[verdict])
    if not form.is_valid():
        context = page.context_of(request, person(request), found, bound=[form])
        return render(request, "approvals/proposal.html", {**context, "open": verdict}, status=422)
    answer = answer_of(request.POST, session=session_of(request.session.session_key))
    ballot = replace(form.ballot(person(request)), answer=answer, host=request.get_host())
    decided = decide(proposal_id=proposal_id, reviewer=person(request), ballot=ballot)
    tell(request, decided)
    return onwards.after_vote(request, decided)


def _form(request: HttpRequest, found: Proposal, verdict: Verdict) -> SeenForm:
    if verdict == Verdict.APPROVE:
        return ApproveForm(request.POST, proposal=found, folds=page.folds_in(found), folds_open=False)
    if verdict == Verdict.RETURN:
        return ReturnForm(request.POST, proposal=found)
    return ReasonForm(request.POST, proposal=found, verdict=verdict)
