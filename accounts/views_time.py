"""Being away: everybody's own page, and all absences for admins and auditors.

Times are read and shown in the zone that the middleware has put in force for the reader."""

from django.contrib import messages
from django.contrib.auth.decorators import login_required
from django.http import HttpRequest, HttpResponse
from django.shortcuts import redirect, render
from django.utils import timezone
from django.views.decorators.http import require_POST

from accounts import permissions, selectors
from accounts.forms_time import AbsenceForm
from accounts.http import person as me
from accounts.services import absences


@login_required
def absence(request: HttpRequest) -> HttpResponse:
    """My absences, and for whom I stand in."""
    form = AbsenceForm(request.POST or None, me=me(request))
    if request.method == "POST" and form.is_valid():
        absences.enter(**form.absence(), actor=me(request))
        messages.success(request, "Your absence is written down.")
        return redirect("accounts:absence")
    own = selectors.absences_of(me(request))
    context = {
        "form": form,
        "coming": [one for one in own if one.ends_at > timezone.now()],
        "past": [one for one in own if one.ends_at <= timezone.now()][:5],
        "standing_in": selectors.stood_in_for(me(request)),
        "now": timezone.now(),
        "zone": timezone.get_current_timezone_name(),
    }
    return render(request, "accounts/absence.html", context, status=422 if form.errors else 200)


@login_required
def absence_list(request: HttpRequest) -> HttpResponse:
    """Everybody who is or will be away; admins write down others' absences here."""
    permissions.check_can_see_people(me(request))
    may_edit = me(request).is_admin
    if request.method == "POST":
        permissions.check_is_admin(me(request))
    form = AbsenceForm(request.POST or None, me=me(request), for_others=True) if may_edit else None
    if form is not None and request.method == "POST" and form.is_valid():
        made = absences.enter(**form.absence(), actor=me(request))
        messages.success(request, f"The absence of {made.person} is written down.")
        return redirect("accounts:absence_list")
    context = {
        "form": form,
        "absences": selectors.coming_absences(),
        "now": timezone.now(),
        "zone": timezone.get_current_timezone_name(),
    }
    status = 422 if form is not None and form.errors else 200
    return render(request, "accounts/absences.html", context, status=status)


@login_required
@require_POST
def absence_end(request: HttpRequest, absence_id: int) -> HttpResponse:
    """Back, or not going: from one's own page, or an admin's list."""
    ended = absences.end(absence_id=absence_id, actor=me(request))
    messages.success(request, "The absence has ended.")
    return redirect("accounts:absence" if ended.person_id == me(request).pk else "accounts:absence_list")
