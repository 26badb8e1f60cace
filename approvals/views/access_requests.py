"""Requests for access: asking, one's own, and those that wait for this person's answer."""

from typing import Any

from django.contrib import messages
from django.contrib.auth.decorators import login_required
from django.http import HttpRequest, HttpResponse
from django.shortcuts import redirect, render
from django.views.decorators.http import require_POST, require_safe

from accounts.exceptions import NotFound
from accounts.http import person as me
from accounts.models import AccessRequest, PendingChange, User
from accounts.roles import ROLES, Role
from approvals import access_requests as access
from approvals.forms.access_requests import AnswerForm, AskForm
from approvals.services import access_request


@login_required
@require_safe
def request_list(request: HttpRequest) -> HttpResponse:
    """`?role=` and `?on=queue:refunds` fill the form in for whoever comes from another page."""
    initial = {"role": request.GET.get("role", ""), "place": request.GET.get("on", "")}
    return _page(request, AskForm(me=me(request), initial=initial))


@login_required
@require_POST
def request_ask(request: HttpRequest) -> HttpResponse:
    form = AskForm(request.POST, me=me(request))
    if not form.is_valid():
        return _page(request, form, status=422)
    access_request.ask(person=me(request), **form.asked())
    messages.success(request, "Asked. Those who may answer are told.")
    return redirect("approvals:access_requests")


@login_required
@require_POST
def request_withdraw(request: HttpRequest, request_id: int) -> HttpResponse:
    access_request.withdraw(request_id=request_id, actor=me(request))
    messages.success(request, "Taken back.")
    return redirect("approvals:access_requests")


@login_required
@require_POST
def request_approve(request: HttpRequest, request_id: int) -> HttpResponse:
    asked = _seen(me(request), request_id)
    form = AnswerForm(request.POST, asked=asked)
    if not form.is_valid():
        return _page(request, AskForm(me=me(request)), refused=form, status=422)
    given = access_request.approve(
        request_id=request_id, actor=me(request), answer=form.cleaned_data["answer"], **form.end()
    )
    if isinstance(given, PendingChange):
        messages.success(request, "This role takes a second person. Nothing is given before he says yes.")
    else:
        messages.success(request, f"{asked.person} is {Role(asked.role).label.lower()} now.")
    return redirect("approvals:access_requests")


@login_required
@require_POST
def request_decline(request: HttpRequest, request_id: int) -> HttpResponse:
    asked = _seen(me(request), request_id)
    form = AnswerForm(request.POST, asked=asked, declining=True)
    if not form.is_valid():
        return _page(
            request,
            AskForm(me=me(request)),
            refused=AnswerForm(request.POST, asked=asked),
            declined=form,
            status=422,
        )
    access_request.decline(request_id=request_id, actor=me(request), answer=form.cleaned_data["answer"])
    messages.success(request, "Declined. Your words reach the one who asked.")
    return redirect("approvals:access_requests")


def _seen(user: User, request_id: int) -> AccessRequest:
    """A request that he may answer or that is his own; for others it does not exist."""
    asked = AccessRequest.objects.select_related("person").filter(pk=request_id).first()
    if asked is None or not (
        user.is_admin or asked.person_id == user.pk or user.pk in access.answerers(asked)
    ):
        raise NotFound("There is no such request, or it is not for you to see.")
    return asked


def _page(
    request: HttpRequest,
    form: AskForm,
    *,
    refused: AnswerForm | None = None,
    declined: AnswerForm | None = None,
    status: int = 200,
) -> HttpResponse:
    user = me(request)
    waiting, own, settled = list(access.to_answer(user)), list(access.own(user)), list(access.answered(user))
    rows = [*waiting, *own, *settled]
    named = access.names((row.scope, row.scope_id) for row in rows)
    seconds = access.seconds_waiting([*waiting, *own]) if waiting or own else {}

    def line(asked: AccessRequest) -> dict[str, Any]:
        return {
            "asked": asked,
            "role": Role(asked.role).label,
            "where": access.where(asked.scope, asked.scope_id, named),
            "second": seconds.get(asked.pk),
        }

    if declined is not None and refused is not None:
        refused.take_errors(declined)
    forms = {row.pk: AnswerForm(asked=row) for row in waiting}
    if refused is not None:
        forms[refused.asked.pk] = refused
    context = {
        "form": form,
        "waiting": [{**line(asked), "form": forms[asked.pk]} for asked in waiting],
        "own": [line(asked) for asked in own],
        "settled": [line(asked) for asked in settled],
        "roles": [(role.label, bundle.means) for role, bundle in ROLES.items()],
        "sees_people": user.reads_everything,
    }
    return render(request, "accounts/requests.html", context, status=status)
