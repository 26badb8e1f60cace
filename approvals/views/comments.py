"""The comment thread of a proposal: people among themselves."""

from uuid import UUID

from django.contrib.auth.decorators import login_required
from django.http import HttpRequest, HttpResponse
from django.shortcuts import redirect, render
from django.urls import reverse
from django.views.decorators.cache import never_cache
from django.views.decorators.http import require_safe

from accounts.http import person
from approvals import colleagues, selectors
from approvals.forms.handing import CommentForm
from approvals.services.comment import comment
from approvals.views import page
from approvals.views.landing import posted


@login_required
@never_cache
@require_safe
def proposal_comments(request: HttpRequest, proposal_id: UUID) -> HttpResponse:
    """The thread alone, for a page that has it on screen up to the comment `after`; 204 while it has all."""
    found = selectors.proposal_for(person(request), proposal_id)
    latest = found.comments.order_by("-pk").values_list("pk", flat=True).first()
    if request.GET.get("after", "") == str(latest or ""):
        return HttpResponse(status=204)
    return render(request, "approvals/_thread.html", {"proposal": found, "is_news": True})


@login_required
@never_cache
@posted
def proposal_comment(request: HttpRequest, proposal_id: UUID) -> HttpResponse:
    found = selectors.proposal_for(person(request), proposal_id)
    form = CommentForm(request.POST, people=colleagues.who_may_see(found))
    if not form.is_valid():
        context = page.context_of(request, person(request), found)
        return render(request, "approvals/proposal.html", {**context, "comment_form": form}, status=422)
    comment(
        proposal_id=proposal_id,
        author=person(request),
        text=form.cleaned_data["text"],
        mention_ids=form.cleaned_data["mentions"],
    )
    return redirect(reverse("approvals:proposal", args=[proposal_id]) + "#comments")
