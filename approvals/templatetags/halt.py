"""The stop switches as every page shows them: the link that leads there, and what is pulled."""

from typing import Any
from urllib.parse import urlencode

from django import template
from django.template.context import Context
from django.urls import reverse

from accounts.models import User
from agents import stops
from agents.models import Agent, Mandate, Stop
from approvals import stopping
from approvals.models import Proposal

register = template.Library()
SHOWN = 3


@register.simple_tag(takes_context=True)
def stop_url(context: Context) -> str:
    """Where the switches are; from a proposal's or an agent's page, with that one chosen already."""
    address = reverse("approvals:stop_list")
    proposal, agent = context.get("proposal"), context.get("agent")
    if isinstance(proposal, Proposal):
        if context.get("blind"):  # its number would lead to what became of it
            return f"{address}?{urlencode({'agent': proposal.agent.slug})}"
        return f"{address}?{urlencode({'proposal': proposal.pk})}"
    return f"{address}?{urlencode({'agent': agent.slug})}" if isinstance(agent, Agent) else address


@register.inclusion_tag("approvals/_halted.html", takes_context=True)
def halted(context: Context) -> dict[str, Any]:
    """The pulled switches that concern whoever looks; one query for each page while none is."""
    user = context.get("user")
    found = stopping.concerning(user) if isinstance(user, User) else []
    lines = [{"stop": stop, "words": stops.words(stop)} for stop in found[:SHOWN]]
    return {"lines": lines, "more": len(found) - len(lines)}


@register.simple_tag(takes_context=True)
def stopped_how(context: Context, agent: Agent) -> str:
    """`stopped`, `partly stopped` or nothing: what switches do to an agent. Two queries for any number of agents."""
    request = context.get("request")
    known = getattr(request, "pulled_stops", None)
    if known is None:
        pulled = list(stops.live())
        types = [stop.action_type_id for stop in pulled if stop.scope == Stop.Scope.ACTION_TYPE]
        partly = set(
            Mandate.objects.filter(action_type__in=types, active=True).values_list("agent", flat=True)
            if types
            else []
        )
        partly |= {stop.mandate.agent_id for stop in pulled if stop.mandate is not None}
        whole = {stop.agent_id for stop in pulled if stop.scope == Stop.Scope.AGENT}
        known = (any(stop.scope == Stop.Scope.ALL for stop in pulled), whole, partly)
        if request is not None:
            request.pulled_stops = known
    everything, whole, partly = known
    if everything or agent.pk in whole:
        return "stopped"
    return "partly stopped" if agent.pk in partly else ""
