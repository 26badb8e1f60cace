"""Give an agent a mandate, or change one."""

from django.contrib import messages
from django.contrib.auth.decorators import login_required
from django.http import HttpRequest, HttpResponse
from django.shortcuts import redirect, render

from accounts.http import person as me
from accounts.models import PendingChange
from agents import selectors
from agents.forms import MandateForm
from agents.models import Agent, Mandate
from agents.services import mandates


@login_required
def mandate_add(request: HttpRequest, slug: str) -> HttpResponse:
    return _form(request, selectors.managed_agent(me(request), slug), None)


@login_required
def mandate_edit(request: HttpRequest, slug: str, action_type: str) -> HttpResponse:
    agent = selectors.managed_agent(me(request), slug)
    return _form(request, agent, selectors.mandate_of(agent, action_type))


def _form(request: HttpRequest, agent: Agent, mandate: Mandate | None) -> HttpResponse:
    form = MandateForm(request.POST or None, by=me(request), agent=agent, mandate=mandate)
    if request.method == "POST" and form.is_valid():
        kind = mandate.action_type if mandate else form.cleaned_data["action_type"]
        saved = mandates.save(
            agent_id=agent.pk,
            action_type=kind.name,
            terms=form.terms(),
            actor=me(request),
            reason=form.cleaned_data["reason"],
        )
        if isinstance(saved, PendingChange):
            messages.success(request, "It waits for a second person. Until then nothing has changed.")
            return redirect("approvals:pending_changes")
        messages.success(request, f"The mandate for “{kind}” is saved and in force from now on.")
        return redirect("approvals:agent", slug=agent.slug)
    return render(request, "agents/mandate.html", {"form": form, "agent": agent, "mandate": mandate})
