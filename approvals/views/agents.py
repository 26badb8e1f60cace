"""Agents with their proposals: the list, an agent's page, going live, another owner, stop and resume."""

from django.contrib import messages
from django.contrib.auth.decorators import login_required
from django.core.paginator import Paginator
from django.http import HttpRequest, HttpResponse, QueryDict
from django.shortcuts import redirect, render
from django.views.decorators.http import require_POST, require_safe

from accounts.http import person as me
from accounts.models import User
from agents import permissions
from agents import selectors as agents
from agents.forms import ManagerForm, StopForm
from agents.models import Agent, AgentState
from approvals import overview, readiness, selectors, standing
from approvals.forms.registry import FilterForm, TransferForm
from approvals.services import ownership, suspend
from audit import selectors as trail

PAGE = 50


@login_required
@require_safe
def agent_list(request: HttpRequest) -> HttpResponse:
    visible = agents.visible_agents(me(request))
    form = FilterForm(request.GET, visible=visible)
    page = Paginator(form.chosen(visible), PAGE).get_page(request.GET.get("page"))
    asked = request.GET.copy()
    asked.pop("page", None)
    context = {
        "page": page,
        "lines": overview.agent_lines(list(page.object_list)),
        "form": form,
        "filters": asked.urlencode(),
    }
    return render(request, "approvals/admin/agents.html", context)


@login_required
@require_safe
def agent(request: HttpRequest, slug: str) -> HttpResponse:
    return _agent_page(request, agents.agent_for(me(request), slug))


def _agent_page(
    request: HttpRequest,
    found: Agent,
    *,
    stop_form: StopForm | None = None,
    transfer_form: TransferForm | None = None,
    status: int = 200,
) -> HttpResponse:
    lines = overview.mandate_lines(found)
    outlooks = standing.outlooks(found, [line.mandate for line in lines])
    figures = overview.figures([found.pk])[found.pk]
    may_manage = permissions.can_manage(me(request), found)
    context = {
        "agent": found,
        "may_manage": may_manage,
        "figures": figures,
        "mandates": [(line, outlooks[line.mandate.pk]) for line in lines],
        "by_chance": standing.expected_by_chance(outlooks.values()),
        "may_add_mandate": may_manage and agents.without_mandate(found).exists(),
        "tier_changes": agents.tier_changes(found),
        "credentials": found.credentials.select_related("registered_by", "identity").order_by("-id")[:20],
        "steps": readiness.steps(found) if found.state == AgentState.PREPARING else [],
        "transfer_form": transfer_form or _transfer_form(request, found),
        "managers": agents.managers(found),
        "manager_form": ManagerForm() if may_manage else None,
        "proposals": selectors.recent_for(me(request), agent=found, limit=15),
        "stopping": overview.stopping(found, figures),
        "stop_form": stop_form or StopForm(),
        "events": trail.latest_about(
            [
                ("agent", [str(found.pk)]),
                ("mandate", [str(line.mandate.pk) for line in lines]),
            ],
            limit=15,
        ),
    }
    return render(request, "approvals/admin/agent.html", context, status=status)


def _transfer_form(request: HttpRequest, found: Agent, data: QueryDict | None = None) -> TransferForm | None:
    """Admins name another owner here where the present one has left."""
    if not me(request).is_admin or (found.has_live_owner and data is None):
        return None
    return TransferForm(data, heirs=readiness.heirs([found])[found.pk])


@login_required
@require_POST
def agent_go_live(request: HttpRequest, slug: str) -> HttpResponse:
    found = agents.managed_agent(me(request), slug)
    suspend.go_live(agent_id=found.pk, actor=me(request))
    messages.success(request, f"{found} is live. What it proposes is routed from now on.")
    return redirect("approvals:agent", slug=slug)


@login_required
@require_POST
def agent_transfer(request: HttpRequest, slug: str) -> HttpResponse:
    found = agents.managed_agent(me(request), slug)
    permissions.check_is_admin(me(request))
    form = _transfer_form(request, found, request.POST)
    assert form is not None
    if not form.is_valid():
        return _agent_page(request, found, transfer_form=form, status=422)
    to = User.objects.get(pk=form.cleaned_data["owner"])
    ownership.transfer(agent_id=found.pk, to=to, actor=me(request))
    messages.success(request, f"{to} answers for {found} from now on.")
    return redirect("approvals:agent", slug=slug)


@login_required
@require_POST
def agent_suspend(request: HttpRequest, slug: str) -> HttpResponse:
    found = agents.managed_agent(me(request), slug)
    form = StopForm(request.POST)
    if not form.is_valid():
        return _agent_page(request, found, stop_form=form, status=422)
    suspend.suspend(agent_id=found.pk, actor=me(request), reason=form.cleaned_data["reason"])
    messages.success(request, f"{found} is suspended. Nothing of it starts any more.")
    return redirect("approvals:agent", slug=slug)


@login_required
@require_POST
def agent_resume(request: HttpRequest, slug: str) -> HttpResponse:
    found = agents.managed_agent(me(request), slug)
    form = StopForm(request.POST)
    if not form.is_valid():
        return _agent_page(request, found, stop_form=form, status=422)
    suspend.resume(agent_id=found.pk, actor=me(request), reason=form.cleaned_data["reason"])
    messages.success(request, f"{found} is live again. What was revoked stays revoked.")
    return redirect("approvals:agent", slug=slug)


@login_required
@require_POST
def agent_retire(request: HttpRequest, slug: str) -> HttpResponse:
    found = agents.managed_agent(me(request), slug)
    form = StopForm(request.POST)
    if not form.is_valid():
        return _agent_page(request, found, stop_form=form, status=422)
    suspend.suspend(agent_id=found.pk, actor=me(request), reason=form.cleaned_data["reason"], retire=True)
    messages.success(request, f"{found} is retired for good.")
    return redirect("approvals:agent", slug=slug)
