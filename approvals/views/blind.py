"""Reviews after the fact: the list, one page for every kind, the answer."""

from dataclasses import dataclass
from typing import Any

from django.contrib import messages
from django.contrib.auth.decorators import login_required
from django.http import HttpRequest, HttpResponse
from django.shortcuts import redirect, render
from django.utils import timezone
from django.views.decorators.cache import never_cache
from django.views.decorators.http import require_safe

from accounts.http import person
from accounts.models import User
from approvals import blind, record, showing
from approvals.exceptions import NothingToClaim
from approvals.forms.blind import JudgeForm
from approvals.models import BlindReview
from approvals.services import blind_review
from approvals.views import page
from approvals.views.landing import posted

SHOWN = 100


@dataclass(frozen=True, slots=True)
class Row:
    """One line of the list."""

    review: BlindReview
    is_mine: bool
    is_held: bool


@login_required
@never_cache
@require_safe
def blind_list(request: HttpRequest) -> HttpResponse:
    """What waits for this person's judgement, the first due first."""
    me, now = person(request), timezone.now()
    found = blind.waiting_for(me, limit=SHOWN + 1)
    rows = []
    for review in found[:SHOWN]:
        held = review.claimed_until is not None and review.claimed_until > now
        rows.append(
            Row(review, held and review.claimed_by_id == me.pk, held and review.claimed_by_id != me.pk)
        )
    context = {"rows": rows, "is_cut": len(found) > SHOWN, "shown": SHOWN}
    return render(request, "approvals/blind_list.html", context)


@login_required
@posted
def blind_next(request: HttpRequest) -> HttpResponse:
    """Take the next one and go there; `after` names one that is passed over."""
    after = request.POST.get("after", "")
    return _to_next(request, after=int(after) if after.isascii() and after.isdigit() else None)


def _to_next(request: HttpRequest, *, after: int | None = None) -> HttpResponse:
    try:
        review = blind_review.take_next(reviewer=person(request), after=after)
    except NothingToClaim as nothing:
        messages.info(request, nothing.detail)
        return redirect("approvals:blind_list")
    return redirect("approvals:blind_review", review_id=review.pk)


@login_required
@never_cache
@require_safe
def blind_page(request: HttpRequest, review_id: int) -> HttpResponse:
    """The page. Opening it takes nothing; what was judged meanwhile leads back to the list."""
    me = person(request)
    if BlindReview.objects.filter(pk=review_id, state=BlindReview.State.DONE, reviewer=me).exists():
        messages.info(request, "You have judged this one.")
        return redirect("approvals:blind_list")
    review = blind.review_for(me, review_id)
    return _shown(request, me, review, _form(request, review))


@login_required
@posted
def blind_judge(request: HttpRequest, review_id: int) -> HttpResponse:
    """The answer, and on to the next one."""
    me = person(request)
    if not BlindReview.objects.filter(pk=review_id, state=BlindReview.State.DONE, reviewer=me).exists():
        review = blind.review_for(me, review_id)
        form = _form(request, review, request.POST)
        if not form.is_valid():
            return _shown(request, me, review, form, status=422)
        answer: dict[str, Any] = form.cleaned_data
    else:
        answer = {name: request.POST.get(name, "") for name in ("judgement", "comment")}
    judged = blind_review.judge(
        review_id=review_id,
        reviewer=me,
        judgement=answer["judgement"],
        critical=answer.get("critical") is True,
        comment=answer["comment"],
    )
    if judged.repeated:
        messages.info(request, "You had judged it already; nothing was counted twice.")
    else:
        messages.success(request, f"Recorded: {judged.review.get_judgement_display().lower()}.")
    return _to_next(request)


@login_required
@posted
def blind_claim(request: HttpRequest, review_id: int) -> HttpResponse:
    blind_review.take(review_id=review_id, reviewer=person(request))
    return redirect("approvals:blind_review", review_id=review_id)


@login_required
@never_cache
@posted
def blind_renew(request: HttpRequest, review_id: int) -> HttpResponse:
    """The lease's part of the page, renewed while its reviewer is at it."""
    review = blind_review.take(review_id=review_id, reviewer=person(request))
    context = {"review": review, "is_mine": True, "is_news": request.POST.get("opening") == "1"}
    return render(request, "approvals/blind_lease.html", context)


@login_required
@posted
def blind_release(request: HttpRequest, review_id: int) -> HttpResponse:
    blind_review.release(review_id=review_id, reviewer=person(request))
    if request.POST.get("leaving"):
        return HttpResponse(status=204)
    messages.info(request, "Given back.")
    return redirect("approvals:blind_list")


def _form(request: HttpRequest, review: BlindReview, data: Any = None) -> JudgeForm:
    folds = showing.findings_of(review.proposal, review.revision).folds
    return JudgeForm(data, proposal=review.proposal, folds=folds, folds_open=page.are_folds_open(request))


def _shown(
    request: HttpRequest, me: User, review: BlindReview, form: JudgeForm, status: int = 200
) -> HttpResponse:
    """Exactly what would have been seen before the fact, and nothing that came of it.

    The proposal in hand, which is never saved, is set back to the revision in question."""
    proposal, revision = review.proposal, review.revision
    showing.set_back(proposal, revision)
    findings = showing.findings_of(proposal, revision)
    held = review.claimed_until is not None and review.claimed_until > timezone.now()
    context = {
        "review": review,
        "proposal": proposal,
        "revision": revision,
        "sheet": showing.sheet_of(proposal, revision, record.judged_before(proposal)),
        "hosts": findings.hosts,
        "folds": findings.folds,
        "folds_open": page.are_folds_open(request),
        "blind": True,
        "form": form,
        "is_mine": held and review.claimed_by_id == me.pk,
        "held_by_other": held and review.claimed_by_id != me.pk,
    }
    return render(request, "approvals/blind_review.html", context, status=status)
