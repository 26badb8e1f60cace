"""Reviews of access: those that run, what is unused outside of them, and one review with what a person is asked."""

from django.contrib import messages
from django.contrib.auth.decorators import login_required
from django.core.paginator import Paginator
from django.http import HttpRequest, HttpResponse
from django.shortcuts import redirect, render
from django.views.decorators.http import require_POST, require_safe

from accounts import permissions
from accounts.exceptions import NotFound
from accounts.http import person as me
from accounts.models import AccessReview, User
from approvals import access_reviews
from approvals.forms.access_requests import BeginForm
from approvals.services import access_review

SHOWN = 50


@login_required
@require_safe
def review_list(request: HttpRequest) -> HttpResponse:
    return _list(request, BeginForm(me=me(request)))


@login_required
@require_POST
def review_begin(request: HttpRequest) -> HttpResponse:
    permissions.check_is_admin(me(request))
    form = BeginForm(request.POST, me=me(request))
    if not form.is_valid():
        return _list(request, form, status=422)
    begun = access_review.begin(actor=me(request), **form.begun())
    messages.success(request, "Begun. Everybody who is asked is told.")
    return redirect("approvals:access_review", review_id=begun.pk)


def _list(request: HttpRequest, form: BeginForm, *, status: int = 200) -> HttpResponse:
    user = me(request)
    found = list(access_reviews.seen_by(user).order_by("-begun_at")[:SHOWN])
    context = {
        "running": [one for one in found if one.ended_at is None],
        "ended": [one for one in found if one.ended_at is not None],
        "form": form if user.is_admin else None,
        "unused": access_reviews.unused_now() if user.reads_everything else None,
        "sees_people": user.reads_everything,
    }
    return render(request, "accounts/reviews.html", context, status=status)


@login_required
@require_safe
def review(request: HttpRequest, review_id: int) -> HttpResponse:
    """What this person is asked, a page at a time; and for who reads everything all of it."""
    user = me(request)
    found = _seen(user, review_id)
    items = access_reviews.items_of(found)
    asked = access_reviews.answerable_by(user, items) if found.ended_at is None else items.none()
    mine = Paginator(asked, access_reviews.PAGE).get_page(1)
    every = items if user.reads_everything else items.filter(asked=user)
    page = Paginator(every, access_reviews.PAGE).get_page(request.GET.get("page"))
    context = {
        "review": found,
        "mine": access_reviews.rows(mine),
        "mine_total": mine.paginator.count,
        "page": page,
        "rows": access_reviews.rows(page),
        "sees_people": user.reads_everything,
    }
    return render(request, "accounts/review.html", context)


@login_required
@require_POST
def review_keep(request: HttpRequest, review_id: int) -> HttpResponse:
    found = _seen(me(request), review_id)
    marked = [int(text) for text in request.POST.getlist("item") if text.isascii() and text.isdigit()]
    number = access_review.keep(
        review_id=found.pk, item_ids=marked, actor=me(request), note=request.POST.get("note", "")
    )
    messages.success(request, f"{number} confirmed.")
    return redirect("approvals:access_review", review_id=review_id)


@login_required
@require_POST
def review_drop(request: HttpRequest, review_id: int, item_id: int) -> HttpResponse:
    found = _seen(me(request), review_id)
    access_review.drop(
        review_id=found.pk, item_id=item_id, actor=me(request), note=request.POST.get("note", "")
    )
    messages.success(request, "Dropped. It has ended at once.")
    return redirect("approvals:access_review", review_id=review_id)


def _seen(user: User, review_id: int) -> AccessReview:
    found = access_reviews.seen_by(user).filter(pk=review_id).first()
    if found is None:
        raise NotFound("There is no such review, or it is not for you to see.")
    return found
