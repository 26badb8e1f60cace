"""Where a reviewer begins: his queues with their counts, and "next"."""

from django.contrib.auth.decorators import login_required
from django.http import HttpRequest, HttpResponse
from django.shortcuts import redirect, render
from django.views.decorators.http import require_safe

from accounts.http import person
from accounts.models import User
from approvals import lists, selectors
from approvals.models import SavedView
from approvals.services import claim
from approvals.views.landing import posted
from approvals.views.saved_views import address


@require_safe
def home(request: HttpRequest) -> HttpResponse:
    """The first page: the view a person begins with, else his queues; who reviews nothing finds an explanation."""
    if isinstance(request.user, User):
        view = SavedView.objects.filter(owner=request.user, is_default=True).first()
        if view is not None:
            return redirect(address(view))
    return redirect("approvals:queue_list")


@login_required
@require_safe
def queue_list(request: HttpRequest) -> HttpResponse:
    summaries = selectors.my_queues(person(request))
    context = {
        "summaries": summaries,
        "held": lists.mine_in(person(request), [queue for queue, _ in summaries]),
        "waiting": sum(tally.waiting for _, tally in summaries),
        "overdue": sum(tally.overdue for _, tally in summaries),
        "due_soon": sum(tally.due_soon for _, tally in summaries),
        "views": list(SavedView.objects.filter(owner=person(request)).order_by("name")),
    }
    return render(request, "approvals/queue_list.html", context)


@login_required
@posted
def claim_next(request: HttpRequest) -> HttpResponse:
    """Claim the most urgent one I may decide and go there; where nothing waits, say so on the queues' page."""
    queue_id = None
    if slug := request.POST.get("queue", ""):
        queue_id = selectors.queue_for(person(request), slug).pk
    proposal = claim.claim_next(reviewer=person(request), queue_id=queue_id)
    return redirect("approvals:proposal", proposal_id=proposal.pk)
