"""One proposal: its page, the claim on it, and the four verdicts."""

from uuid import UUID

from django.contrib import messages
from django.contrib.auth.decorators import login_required
from django.http import HttpRequest, HttpResponse, QueryDict
from django.shortcuts import redirect, render
from django.views.decorators.cache import never_cache
from django.views.decorators.http import require_http_methods, require_POST, require_safe

from accounts.http import person
from accounts.models import User
from approvals import edit_form, permissions, selectors
from approvals.edit_form import EditForm
from approvals.forms import ApproveForm, ReasonForm, ReturnForm, SeenForm
from approvals.models import Proposal, Verdict
from approvals.services import claim
from approvals.services.decide import Ballot, Decided, decide
from approvals.states import State
from approvals.views import page
from approvals.views.landing import posted

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
    found = selectors.proposal_for(person(request), proposal_id)
    return render(request, "approvals/proposal.html", page.context_of(request, person(request), found))


@login_required
@never_cache
@require_safe
def proposal_pulse(request: HttpRequest, proposal_id: UUID) -> HttpResponse:
    """Whether the proposal on screen is still what it was; 204 while it is."""
    found = selectors.proposal_for(person(request), proposal_id)
    holder = str(found.claimed_by_id or "") if found.is_claimed else ""
    if request.GET.get("version") == str(found.version) and request.GET.get("holder", "") == holder:
        return HttpResponse(status=204)
    return render(request, "approvals/_proposal_pulse.html", {"proposal": found})


@login_required
@posted
def proposal_claim(request: HttpRequest, proposal_id: UUID) -> HttpResponse:
    claim.claim(proposal_id=proposal_id, reviewer=person(request))
    return redirect("approvals:proposal", proposal_id=proposal_id)


@login_required
@require_POST
def proposal_renew(request: HttpRequest, proposal_id: UUID) -> HttpResponse:
    """The page's heartbeat: keep the lease while somebody is working on it."""
    renewed = claim.claim(proposal_id=proposal_id, reviewer=person(request))
    return render(request, "approvals/_lease.html", {"proposal": renewed, "is_mine": True})


@login_required
@posted
def proposal_release(request: HttpRequest, proposal_id: UUID) -> HttpResponse:
    released = claim.release(proposal_id=proposal_id, reviewer=person(request))
    if released.queue is None:
        return redirect("approvals:queue_list")
    messages.info(request, "Handed back to the queue.")
    return redirect("approvals:queue", slug=released.queue.slug)


@login_required
@posted
def proposal_decide(request: HttpRequest, proposal_id: UUID, verdict: str) -> HttpResponse:
    """Approve, reject, return or veto. A form that was not filled in comes back with the page, 422."""
    found = selectors.proposal_for(person(request), proposal_id)
    form = _form(request, found, VERDICTS[verdict])
    if not form.is_valid():
        context = page.context_of(request, person(request), found, bound=[form])
        return render(request, "approvals/proposal.html", {**context, "open": verdict}, status=422)
    decided = decide(proposal_id=proposal_id, reviewer=person(request), ballot=form.ballot)
    _tell(request, decided)
    return redirect("approvals:proposal", proposal_id=proposal_id)


def _form(request: HttpRequest, found: Proposal, verdict: Verdict) -> SeenForm:
    if verdict == Verdict.APPROVE:
        return ApproveForm(request.POST, proposal=found, folds=page.folds_in(found), folds_open=False)
    if verdict == Verdict.RETURN:
        return ReturnForm(request.POST, proposal=found)
    return ReasonForm(request.POST, proposal=found, verdict=verdict)


def _tell(request: HttpRequest, decided: Decided) -> None:
    """One sentence about what the vote did; the page shows the rest."""
    if decided.repeated:
        messages.info(request, "You had decided this already; nothing was counted twice.")
    elif not decided.final:
        messages.info(request, "Your vote is recorded. It needs another one before it is decided.")
    else:
        word = State(decided.proposal.state).label.lower()
        messages.success(request, f"Signed: {word}.")


@login_required
@never_cache
@require_http_methods(["GET", "HEAD", "POST"])
def proposal_edit(request: HttpRequest, proposal_id: UUID) -> HttpResponse:
    """Edit the arguments in a form made from the schema; adding and removing rows is a submit of the same form."""
    found = selectors.proposal_for(person(request), proposal_id)
    revision = page.current_revision(found)
    data: QueryDict | None = request.POST if request.method == "POST" else None
    rows_only = data is not None and ("add" in data or "remove" in data)
    if data is not None and "remove" in data:
        data = edit_form.removed(data)
    form = EditForm(
        schema=found.action_type.schema,
        arguments=revision.arguments,
        material=found.action_type.material,
        data=data,
    )
    status = 200
    closed = page.folds_in(found) > 0 and not page.are_folds_open(request)
    if request.method == "POST" and not rows_only:
        if form.is_valid() and not closed:
            decided = decide(
                proposal_id=proposal_id, reviewer=person(request), ballot=_edit_ballot(request, form)
            )
            _tell(request, decided)
            return _after_edit(person(request), decided)
        status = 422
    context = {
        "proposal": found,
        "revision": revision,
        "form": form,
        "closed": closed,
        "folds_open": page.are_folds_open(request),
        "comment": request.POST.get("comment", ""),
        "seen": {
            "revision": request.POST.get("revision", found.revision),
            "version": request.POST.get("version", found.version),
        },
    }
    return render(request, "approvals/edit.html", context, status=status)


def _after_edit(editor: User, decided: Decided) -> HttpResponse:
    """The proposal, or the editor's queues where the policy has sent it out of his sight."""
    if permissions.can_see(editor, decided.proposal):
        return redirect("approvals:proposal", proposal_id=decided.proposal.pk)
    return redirect("approvals:queue_list")


def _edit_ballot(request: HttpRequest, form: EditForm) -> Ballot:
    return Ballot(
        verdict=Verdict.EDIT,
        revision=_number(request.POST.get("revision", "")),
        version=_number(request.POST.get("version", "")),
        comment=request.POST.get("comment", "")[:4000],
        arguments=form.arguments,
    )


def _number(text: str) -> int:
    """A revision or version as a form sends it; what is none matches no proposal and so is stale."""
    return int(text) if text.isascii() and text.isdigit() and len(text) < 9 else 0
