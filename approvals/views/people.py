"""A person's page: what he may do, his particulars, deactivation. Lists and invitations are in accounts."""

from django.contrib import messages
from django.contrib.auth.decorators import login_required
from django.http import HttpRequest, HttpResponse
from django.shortcuts import get_object_or_404, redirect, render
from django.views.decorators.http import require_POST

from accounts import permissions
from accounts.forms import PersonForm
from accounts.http import person as me
from accounts.models import User
from accounts.services import people
from approvals import overview
from approvals.services.deactivate import deactivate
from audit import selectors as trail


@login_required
def person(request: HttpRequest, person_id: int) -> HttpResponse:
    permissions.check_can_see_people(me(request))
    found = get_object_or_404(User, pk=person_id)
    initial = {
        "name": found.name,
        "is_admin": found.is_admin,
        "is_auditor": people.is_auditor(found),
    }
    form = PersonForm(request.POST or None, initial=initial)
    if request.method == "POST" and form.is_valid():
        people.change(person_id=found.pk, actor=me(request), **form.cleaned_data)
        messages.success(request, "Saved.")
        return redirect("approvals:person", person_id=found.pk)
    context = {
        "person": found,
        "form": form,
        "rights": overview.rights_of(found),
        "teams": found.groups.order_by("name"),
        "is_auditor": initial["is_auditor"],
        "may_edit": me(request).is_admin,
        "events": trail.latest_about([("person", [str(found.pk)])]),
    }
    return render(request, "approvals/admin/person.html", context)


@login_required
@require_POST
def person_deactivate(request: HttpRequest, person_id: int) -> HttpResponse:
    found = deactivate(person_id=person_id, actor=me(request))
    messages.success(request, f"{found} is deactivated and signed out everywhere.")
    return redirect("approvals:person", person_id=person_id)
