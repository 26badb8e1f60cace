"""Incidents: report one, see them, write down the root cause and close it."""

from uuid import UUID

from django.contrib import messages
from django.contrib.auth.decorators import login_required
from django.core.paginator import Paginator
from django.http import HttpRequest, HttpResponse
from django.shortcuts import redirect, render
from django.views.decorators.cache import never_cache
from django.views.decorators.http import require_safe

from accounts.exceptions import Invalid, NotFound
from accounts.http import person
from accounts.models import User
from approvals import disputes, permissions
from approvals.forms.incidents import OutcomeForm, ReportForm, ids_in
from approvals.models import Incident, Proposal
from approvals.services import incident
from approvals.views.landing import posted

PAGE = 50


@login_required
@never_cache
@require_safe
def incident_list(request: HttpRequest) -> HttpResponse:
    """Open ones, or all; the newest first."""
    found = disputes.incidents_for(person(request)).select_related("answers", "reported_by").order_by("-pk")
    which = "all" if request.GET.get("which") == "all" else "open"
    if which == "open":
        found = found.filter(closed_at=None)
    page = Paginator(found, PAGE).get_page(request.GET.get("page"))
    return render(request, "approvals/incident_list.html", {"page": page, "which": which})


@login_required
@never_cache
def incident_report(request: HttpRequest) -> HttpResponse:
    """The form, for the proposals named in the address; what it sends."""
    me = person(request)
    text = request.POST.get("proposals", "") if request.method == "POST" else request.GET.get("proposal", "")
    proposals = _proposals(me, ids_in(text))
    initial = {"proposals": text, "answers": str(proposals[0].agent.owner_id) if proposals else ""}
    people = incident.may_answer(proposals)
    form = ReportForm(request.POST if request.method == "POST" else None, people=people, initial=initial)
    if request.method == "POST" and form.is_valid():
        try:
            made = incident.report(report=form.report(), reporter=me)
        except (Invalid, NotFound) as refused:
            form.add_error("proposals", refused.detail)
        else:
            messages.success(request, "The incident is reported, and who answers for it is told.")
            return redirect("approvals:incident", incident_id=made.pk)
    context = {"form": form, "proposals": proposals}
    return render(
        request, "approvals/incident_report.html", context, status=422 if request.method == "POST" else 200
    )


def _proposals(me: User, ids: list[UUID]) -> list[Proposal]:
    found = Proposal.objects.filter(permissions.visible_to(me), pk__in=ids[: incident.MOST])
    return list(found.select_related("agent", "action_type").order_by("pk"))


@login_required
@never_cache
@require_safe
def incident_page(request: HttpRequest, incident_id: int) -> HttpResponse:
    me = person(request)
    found = disputes.incident_for(me, incident_id)
    return _shown(request, me, found, OutcomeForm(incident=found))


@login_required
@never_cache
@posted
def incident_write(request: HttpRequest, incident_id: int) -> HttpResponse:
    """Root cause and correction; with "close" it is closed."""
    me = person(request)
    found = disputes.incident_for(me, incident_id)
    form = OutcomeForm(request.POST, incident=found)
    if not form.is_valid():
        return _shown(request, me, found, form, status=422)
    incident.write(incident_id=incident_id, actor=me, close=form.closing, **form.cleaned_data)
    messages.success(request, "The incident is closed." if form.closing else "It is written down.")
    return redirect("approvals:incident", incident_id=incident_id)


def _shown(
    request: HttpRequest, me: User, found: Incident, form: OutcomeForm, status: int = 200
) -> HttpResponse:
    visible = _proposals(me, list(found.proposals.values_list("pk", flat=True)))
    context = {
        "incident": found,
        "proposals": visible,
        "hidden": found.proposals.count() - len(visible),
        "form": form,
        "may_change": incident.may_change(me, found),
    }
    return render(request, "approvals/incident.html", context, status=status)
