"""Queues and their reviewers, unknown outcomes to settle, and the way from an audit event to its object's page."""

from typing import Any
from uuid import UUID

from django.contrib import messages
from django.contrib.auth.decorators import login_required
from django.contrib.auth.models import Group
from django.core.paginator import Paginator
from django.http import HttpRequest, HttpResponse
from django.shortcuts import get_object_or_404, redirect, render
from django.urls import reverse
from django.utils import timezone
from django.utils.http import urlencode
from django.views.decorators.http import require_POST, require_safe

from accounts.http import person as me
from accounts.models import User
from agents import permissions
from agents import selectors as agents
from agents.models import Agent, Mandate
from approvals import deadlines, overview
from approvals.forms.admin import ReviewerForm, SettleForm
from approvals.forms.queue import (
    QueueForm,
    ReasonFormSet,
    StepFormSet,
    reasons_in,
    steps_as_typed,
    steps_in,
    targets,
)
from approvals.models import Priority, Queue
from approvals.services import report, set_up
from audit import selectors as trail


@login_required
@require_safe
def queue_list(request: HttpRequest) -> HttpResponse:
    queues = overview.queue_lines(list(Queue.objects.order_by("domain", "name")))
    context = {"lines": queues, "may_edit": me(request).is_admin}
    return render(request, "approvals/admin/queues.html", context)


@login_required
@require_safe
def queue(request: HttpRequest, slug: str) -> HttpResponse:
    found = get_object_or_404(Queue.objects.select_related("calendar"), slug=slug)
    line = overview.queue_lines([found])[0]
    now = timezone.now()
    context = {
        "queue": found,
        "due": [(one.label, deadlines.due_at(found, one, now)) for one in Priority],
        "chain": _chain(found),
        "looks": [(risk, found.view_seconds[risk]) for risk in set_up.RISKS if found.view_seconds.get(risk)],
        "line": line,
        "form": ReviewerForm(people=line.people, teams=line.teams) if me(request).is_admin else None,
        "may_edit": me(request).is_admin,
        "events": trail.latest_about([("queue", [found.slug])]),
    }
    return render(request, "approvals/admin/queue.html", context)


def _chain(queue: Queue) -> list[dict[str, Any]]:
    """The steps of its chain with the queue each leads to; None where that is gone."""
    named = [step["queue"] for step in queue.escalation if "queue" in step]
    queues = {one.slug: one for one in Queue.objects.filter(slug__in=named)}
    return [{**step, "to": queues.get(step.get("queue", ""))} for step in queue.escalation]


@login_required
def queue_add(request: HttpRequest) -> HttpResponse:
    return _queue_form(request, None)


@login_required
def queue_edit(request: HttpRequest, slug: str) -> HttpResponse:
    return _queue_form(request, get_object_or_404(Queue, slug=slug))


def _queue_form(request: HttpRequest, existing: Queue | None) -> HttpResponse:
    permissions.check_is_admin(me(request))
    form = QueueForm(request.POST or None, existing=existing)
    chain: dict[str, Any] = {"prefix": "steps", "form_kwargs": {"targets": targets()}}
    if request.POST:  # without initial: every row counts as it was sent
        reasons, steps = ReasonFormSet(request.POST, prefix="reasons"), StepFormSet(request.POST, **chain)
    else:
        reasons = ReasonFormSet(initial=existing.reason_codes if existing else None, prefix="reasons")
        steps = StepFormSet(initial=steps_as_typed(existing.escalation) if existing else None, **chain)
    if request.POST and all([form.is_valid(), reasons.is_valid(), steps.is_valid()]):
        offered, taken = reasons_in(reasons), steps_in(steps)
        if form.check(offered, taken):
            saved = set_up.save_queue(definition=form.definition(offered, taken), actor=me(request))
            messages.success(request, f"“{saved}” is saved.")
            return redirect("approvals:queue_settings", slug=saved.slug)
    context = {"form": form, "reasons": reasons, "steps": steps, "queue": existing}
    return render(request, "approvals/admin/queue_form.html", context, status=422 if request.POST else 200)


@login_required
@require_POST
def reviewer_add(request: HttpRequest, slug: str) -> HttpResponse:
    permissions.check_is_admin(me(request))
    form = ReviewerForm(request.POST)
    if form.is_valid():
        set_up.assign_reviewer(queue_slug=slug, to=form.holder(), actor=me(request))
        messages.success(request, f"{form.holder()} can decide in this queue now.")
    else:
        messages.error(request, "Choose a person or a team.")
    return redirect("approvals:queue_settings", slug=slug)


@login_required
@require_POST
def reviewer_remove(request: HttpRequest, slug: str, kind: str, holder_id: int) -> HttpResponse:
    permissions.check_is_admin(me(request))
    holder = get_object_or_404(Group if kind == "team" else User, pk=holder_id)
    assert isinstance(holder, User | Group)
    set_up.assign_reviewer(queue_slug=slug, to=holder, actor=me(request), allowed=False)
    messages.success(request, f"{holder} can no longer decide in this queue.")
    return redirect("approvals:queue_settings", slug=slug)


@login_required
@require_safe
def unknown_outcomes(request: HttpRequest) -> HttpResponse:
    page = Paginator(overview.unknown_outcomes(me(request)), 25).get_page(request.GET.get("page"))
    may_settle = overview.settleable_by(me(request))
    context = {
        "page": page,
        "lines": [(proposal, may_settle(proposal)) for proposal in page],
        "form": SettleForm(auto_id=False),
    }
    return render(request, "approvals/admin/unknown.html", context)


@login_required
@require_POST
def outcome_settle(request: HttpRequest, proposal_id: UUID) -> HttpResponse:
    form = SettleForm(request.POST)
    if form.is_valid():
        proposal = report.settle(proposal_id=proposal_id, person=me(request), **form.cleaned_data)
        messages.success(request, f"Settled: {proposal.title}")
    else:
        messages.error(request, "Say what happened and how you found out.")
    return redirect("approvals:unknown_outcomes")


@login_required
@require_safe
def object_page(request: HttpRequest, object_type: str, object_id: str) -> HttpResponse:
    """From what an audit event names to the page about it; what has none is looked up in the log."""
    if object_type == "proposal" and _is_uuid(object_id):
        return redirect("approvals:proposal", proposal_id=object_id)
    if object_type == "agent" and object_id.isdigit():
        return _agent_page(request, get_object_or_404(Agent, pk=object_id))
    if object_type == "mandate" and object_id.isdigit():
        mandate = get_object_or_404(Mandate.objects.select_related("agent"), pk=object_id)
        return _agent_page(request, mandate.agent)
    if object_type == "action_type":
        return redirect("agents:action_type", name=object_id)
    if object_type == "queue":
        return redirect("approvals:queue_settings", slug=object_id)
    if object_type == "policy":
        return redirect("approvals:policy", domain=object_id)
    if object_type == "calendar" and object_id.isdigit():
        return redirect("approvals:calendar_list")
    if object_type == "person" and object_id.isdigit():
        return redirect("approvals:person", person_id=int(object_id))
    if object_type == "team" and object_id.isdigit():
        return redirect("accounts:team", team_id=int(object_id))
    query = urlencode({"object_type": object_type, "object_id": object_id})
    return redirect(f"{reverse('audit:explorer')}?{query}")


def _agent_page(request: HttpRequest, agent: Agent) -> HttpResponse:
    """The agent's name stands in the address, so only who may see it is led there."""
    return redirect("approvals:agent", slug=agents.agent_for(me(request), agent.slug).slug)


def _is_uuid(text: str) -> bool:
    try:
        return str(UUID(text)) == text
    except ValueError:
        return False
