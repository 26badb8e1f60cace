"""A person's page: his roles and teams, his particulars. Lists and invitations are in accounts."""

from typing import Any

from django.contrib import messages
from django.contrib.auth.decorators import login_required
from django.http import HttpRequest, HttpResponse
from django.shortcuts import get_object_or_404, redirect, render

from accounts import permissions
from accounts.forms import PersonForm
from accounts.http import person as me
from accounts.linked import linked_accounts
from accounts.models import User
from accounts.services import people
from accounts.views_security import shown_of
from agents.models import Agent
from approvals import rights
from approvals.models import Proposal
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
        "sign_in": shown_of(found),
        "accounts": linked_accounts(found),
        "may_edit": me(request).is_admin,
        "events": trail.latest_about([("person", [str(found.pk)])]),
    }
