"""Register an agent, change its particulars and its managers."""

from django.contrib import messages
from django.contrib.auth.decorators import login_required
from django.contrib.auth.models import Group
from django.http import HttpRequest, HttpResponse
from django.shortcuts import get_object_or_404, redirect, render
from django.views.decorators.http import require_POST

from accounts.http import person as me
from accounts.models import User
from agents import permissions, selectors
from agents.forms import AgentForm, BudgetForm, ManagerForm, RegisterForm
from agents.models import Agent
from agents.services import budgets, register
from agents.services.assign_owners import assign_manager


@login_required
def agent_register(request: HttpRequest) -> HttpResponse:
    form = RegisterForm(request.POST or None, by=me(request))
    if request.method == "POST" and form.is_valid():
        values = form.cleaned_data
        agent = register.register(
            actor=me(request),
            slug=values["slug"],
            name=values["name"],
            owner=values.get("owner") or me(request),
            purpose=values["purpose"],
            version=values["version"],
            team=values["team"],
            said=form.said(),
            domain=values["domain"],
            systems=values["systems"],
            live=values["live"],
        )
        messages.success(request, f"{agent} is registered. Issue a credential and give it a mandate.")
        return redirect("approvals:agent", slug=agent.slug)
    return render(request, "agents/register.html", {"form": form})


@login_required
def agent_edit(request: HttpRequest, slug: str) -> HttpResponse:
    agent = selectors.managed_agent(me(request), slug)
    form = AgentForm(request.POST or None, by=me(request), agent=agent)
    if request.method == "POST" and form.is_valid():
        register.change(agent_id=agent.pk, actor=me(request), **form.cleaned_data)
        messages.success(request, "The particulars are saved.")
        return redirect("approvals:agent", slug=slug)
    return _edit_page(request, agent, form, BudgetForm(agent=agent))


@login_required
@require_POST
def agent_budget(request: HttpRequest, slug: str) -> HttpResponse:
    agent = selectors.managed_agent(me(request), slug)
    form = BudgetForm(request.POST, agent=agent)
    if not form.is_valid():
        return _edit_page(request, agent, AgentForm(by=me(request), agent=agent), form, status=422)
    reason = form.cleaned_data["reason"]
    budgets.save(agent_id=agent.pk, budget=form.budget(), actor=me(request), reason=reason)
    messages.success(request, "The budget is saved and in force from now on.")
    return redirect("approvals:agent", slug=slug)


def _edit_page(
    request: HttpRequest, agent: Agent, form: AgentForm, budget_form: BudgetForm, status: int = 200
) -> HttpResponse:
    context = {"form": form, "budget_form": budget_form, "agent": agent}
    return render(request, "agents/edit.html", context, status=status)


@login_required
@require_POST
def manager_add(request: HttpRequest, slug: str) -> HttpResponse:
    agent = selectors.managed_agent(me(request), slug)
    permissions.check_can_assign_managers(me(request), agent)
    form = ManagerForm(request.POST)
    if form.is_valid():
        assign_manager(agent_id=agent.pk, to=form.holder(), actor=me(request))
        messages.success(request, f"{form.holder()} can manage {agent} now.")
    else:
        messages.error(request, "Choose a person or a team.")
    return redirect("approvals:agent", slug=slug)


@login_required
@require_POST
def manager_remove(request: HttpRequest, slug: str, kind: str, holder_id: int) -> HttpResponse:
    agent = selectors.managed_agent(me(request), slug)
    holder = get_object_or_404(Group if kind == "team" else User, pk=holder_id)
    assert isinstance(holder, User | Group)
    assign_manager(agent_id=agent.pk, to=holder, actor=me(request), allowed=False)
    messages.success(request, f"{holder} can no longer manage {agent}.")
    return redirect("approvals:agent", slug=slug)
