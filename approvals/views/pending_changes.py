"""Changes that wait for a second person, and from which level on it takes one."""

from typing import Any

from django.contrib import messages
from django.contrib.auth.decorators import login_required
from django.http import HttpRequest, HttpResponse
from django.shortcuts import redirect, render
from django.views.decorators.http import require_POST, require_safe

from accounts import permissions, second_person
from accounts.http import person as me
from accounts.second_person import What
from approvals import changes
from approvals.forms.access_requests import LevelForm, WordsForm
from approvals.services import second_person as services


@login_required
@require_safe
def change_list(request: HttpRequest) -> HttpResponse:
    return _page(request)


@login_required
@require_POST
def change_approve(request: HttpRequest, change_id: int) -> HttpResponse:
    form = WordsForm(request.POST, number=change_id)
    if not form.is_valid():
        return _page(request, refused=(change_id, form), status=422)
    change = services.approve(change_id=change_id, actor=me(request), answer=form.cleaned_data["answer"])
    messages.success(request, f"Done: {change.shown['title']}.")
    return redirect("approvals:pending_changes")


@login_required
@require_POST
def change_decline(request: HttpRequest, change_id: int) -> HttpResponse:
    form = WordsForm(request.POST, number=change_id, declining=True)
    if not form.is_valid():
        return _page(request, refused=(change_id, form), status=422)
    services.decline(change_id=change_id, actor=me(request), answer=form.cleaned_data["answer"])
    messages.success(request, "Declined. Nothing has changed.")
    return redirect("approvals:pending_changes")


@login_required
@require_POST
def change_withdraw(request: HttpRequest, change_id: int) -> HttpResponse:
    services.withdraw(change_id=change_id, actor=me(request))
    messages.success(request, "Taken back. Nothing has changed.")
    return redirect("approvals:pending_changes")


@login_required
@require_POST
def level_set(request: HttpRequest) -> HttpResponse:
    permissions.check_is_admin(me(request))
    form = LevelForm(request.POST)
    if not form.is_valid():
        return _page(request, level=form, status=422)
    kinds = [What(kind) for kind in form.cleaned_data["kinds"]]
    change = services.set_level(kinds=kinds, actor=me(request), reason=form.cleaned_data["reason"])
    if change.answered_at is None:
        messages.success(request, "Asking for less waits for a second admin. Until then nothing has changed.")
    else:
        messages.success(request, "It takes two people from now on.")
    return redirect("approvals:pending_changes")


def _page(
    request: HttpRequest,
    *,
    refused: tuple[int, WordsForm] | None = None,
    level: LevelForm | None = None,
    status: int = 200,
) -> HttpResponse:
    user = me(request)
    now = second_person.level()

    def form_of(number: int) -> WordsForm:
        return refused[1] if refused and refused[0] == number else WordsForm(number=number)

    waiting = changes.waiting(user)
    context: dict[str, Any] = {
        "waiting": [(line, None if line.why_not else form_of(line.change.pk)) for line in waiting],
        "settled": changes.settled(user),
        "level": level or LevelForm(initial={"kinds": sorted(now)}),
        "kinds": [(kind, kind in now) for kind in What],
        "needed": now,
        "has_two": services.has_two_admins(),
        "sees_people": user.reads_everything,
    }
    return render(request, "accounts/changes.html", context, status=status)
