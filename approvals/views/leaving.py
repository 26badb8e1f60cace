"""When a person leaves: who takes over what he owned, and then the end of his sign-in."""

from django.contrib import messages
from django.contrib.auth.decorators import login_required
from django.http import HttpRequest, HttpResponse
from django.shortcuts import get_object_or_404, redirect, render

from accounts import permissions
from accounts.http import person as me
from accounts.models import User
from agents.models import Agent, AgentState
from approvals import readiness
from approvals.forms.registry import LeavingForm
from approvals.services.deactivate import deactivate


@login_required
def person_deactivate(request: HttpRequest, person_id: int) -> HttpResponse:
    """Who owns no agent is deactivated at once; of everybody else the page is asked first who takes them over."""
    permissions.check_is_admin(me(request))
    found = get_object_or_404(User, pk=person_id)
    owned = list(
        Agent.objects.filter(owner=found)
        .exclude(state=AgentState.RETIRED)
        .select_related("team")
        .order_by("name")
    )
    asked = "handed" in request.POST
    if request.method == "POST" and not owned:
        return _deactivated(request, found, {})
    form = LeavingForm(
        request.POST if asked else None, agents=owned, heirs=readiness.heirs(owned) if owned else {}
    )
    if request.method == "POST" and asked and form.is_valid():
        return _deactivated(request, found, form.heirs())
    context = {"person": found, "form": form, "owned": [(one, form[f"agent-{one.pk}"]) for one in owned]}
    return render(request, "approvals/admin/leaving.html", context)


def _deactivated(request: HttpRequest, found: User, heirs: dict[int, int]) -> HttpResponse:
    deactivate(person_id=found.pk, actor=me(request), heirs=heirs)
    messages.success(request, f"{found} is deactivated and signed out everywhere.")
    return redirect("approvals:person", person_id=found.pk)
