"""Requests that wait for a second signature: what an owner asked for and an admin who is somebody else answers."""

from django.contrib import messages
from django.contrib.auth.decorators import login_required
from django.http import HttpRequest, HttpResponse
from django.shortcuts import redirect, render
from django.views.decorators.http import require_POST, require_safe

from accounts.http import person as me
from agents import permissions
from approvals import signatures
from approvals.forms.standing import AnswerForm
from approvals.services import earn


@login_required
@require_safe
def signature_list(request: HttpRequest) -> HttpResponse:
    permissions.check_is_admin(me(request))
    return _list(request)


@login_required
@require_POST
def signature_sign(request: HttpRequest, signature_id: int) -> HttpResponse:
    form = AnswerForm(request.POST)
    if not form.is_valid():
        permissions.check_is_admin(me(request))
        return _list(request, refused=signature_id, form=form, status=422)
    asked = earn.sign(signature_id=signature_id, actor=me(request), answer=form.cleaned_data["answer"])
    messages.success(request, f"Signed. Evidence may raise {asked.mandate} now.")
    return redirect("approvals:signature_list")


@login_required
@require_POST
def signature_decline(request: HttpRequest, signature_id: int) -> HttpResponse:
    form = AnswerForm(request.POST)
    if not form.is_valid():
        permissions.check_is_admin(me(request))
        return _list(request, refused=signature_id, form=form, status=422)
    asked = earn.decline(signature_id=signature_id, actor=me(request), answer=form.cleaned_data["answer"])
    messages.success(request, f"Declined. {asked.mandate} stays in the loop.")
    return redirect("approvals:signature_list")


def _list(
    request: HttpRequest, *, refused: int = 0, form: AnswerForm | None = None, status: int = 200
) -> HttpResponse:
    waiting = [
        (
            asked,
            form if form and asked.pk == refused else AnswerForm(prefix=None, auto_id=f"id_{asked.pk}_%s"),
        )
        for asked in signatures.waiting()
    ]
    context = {"waiting": waiting, "answered": signatures.answered()}
    return render(request, "approvals/standing_signatures.html", context, status=status)
