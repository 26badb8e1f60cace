"""A person's page: his roles and teams, his particulars, deactivation. Lists and invitations are in accounts."""

from typing import Any

from django.contrib import messages
from django.contrib.auth.decorators import login_required
from django.http import HttpRequest, HttpResponse
from django.shortcuts import get_object_or_404, redirect, render
from django.views.decorators.http import require_POST

from accounts import permissions, second_factor, sessions
from accounts.forms import PersonForm
from accounts.http import person as me
from accounts.linked import linked_accounts
from accounts.models import User
from accounts.services import people
from agents.models import Agent
from approvals import rights
from approvals.forms.roles import HeirForm
from approvals.models import Proposal
from approvals.services.deactivate import deactivate
from audit import selectors as trail


@login_required
def person(request: HttpRequest, person_id: int) -> HttpResponse:
    permissions.check_can_see_people(me(request))
    found = get_object_or_404(User, pk=person_id)
    form = PersonForm(request.POST or None, initial={"name": found.name})
    if request.method == "POST" and form.is_valid():
        people.change(person_id=found.pk, actor=me(request), name=form.cleaned_data["name"])
        messages.success(request, "Saved.")
        return redirect("approvals:person", person_id=found.pk)
    if request.method == "POST":
        permissions.check_is_admin(me(request))
    status = 422 if request.method == "POST" else 200
    return render(request, "approvals/admin/person.html", _context(request, found, form), status=status)


def _context(request: HttpRequest, found: User, form: PersonForm) -> dict[str, Any]:
    held = rights.holding(found)
    owned = list(Agent.objects.filter(owner=found).order_by("name"))
    return {
        "person": found,
        "form": form,
        "grounds": held.everywhere(),
        "owned": owned,
        "holding": Proposal.objects.filter(claimed_by=found).count(),
        "teams": [
            (team, held.joins.get(team.pk, {}).get(found.pk)) for team in found.groups.order_by("name")
        ],
        "heir_form": HeirForm(leaving=found) if owned else None,
        "sessions": len(sessions.of(found)),
        "has_factor": second_factor.has_one(found),
        "needs_factor": second_factor.is_called_for(found),
        "accounts": linked_accounts(found),
        "may_edit": me(request).is_admin,
        "events": trail.latest_about([("person", [str(found.pk)])]),
    }


@login_required
@require_POST
def person_deactivate(request: HttpRequest, person_id: int) -> HttpResponse:
    """All agents of the person go to one heir, where one is named; who wants several transfers them on their pages."""
    permissions.check_is_admin(me(request))
    leaving = get_object_or_404(User, pk=person_id)
    form = HeirForm(request.POST, leaving=leaving)
    if not form.is_valid():
        messages.error(request, "Nobody was deactivated: choose an active person to answer for the agents.")
        return redirect("approvals:person", person_id=person_id)
    heir = form.cleaned_data["heir"]
    owned = Agent.objects.filter(owner=leaving).values_list("pk", flat=True)
    found = deactivate(
        person_id=person_id, actor=me(request), heirs=dict.fromkeys(owned, heir.pk) if heir else None
    )
    messages.success(request, f"{found} is deactivated and signed out everywhere.")
    return redirect("approvals:person", person_id=person_id)
