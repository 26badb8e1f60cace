"""What a refused decision has to say about the proposal it was meant for (attack A23)."""

from dataclasses import dataclass
from typing import Any

from django import template
from django.http import HttpRequest
from django.template.context import Context
from django.urls import reverse

from accounts.exceptions import DomainError
from accounts.models import User
from approvals import differences, selectors
from approvals.reading.sheet import Change

register = template.Library()


@dataclass(frozen=True, slots=True)
class Stale:
    """Where to read the proposal again, its state in words, and how its arguments differ from what was looked at."""

    url: str
    state: str
    changes: list[Change]


@register.simple_tag(takes_context=True)
def what_changed(context: Context) -> Stale | None:
    """The proposal a refused request named, seen with this person's rights; None where the request named none."""
    request: HttpRequest = context["request"]
    match: Any = request.resolver_match
    if match is None or "proposal_id" not in match.kwargs or not isinstance(request.user, User):
        return None
    try:
        proposal = selectors.proposal_for(request.user, match.kwargs["proposal_id"])
    except DomainError:
        return None
    looked_at = request.POST.get("revision", "")
    number = int(looked_at) if looked_at.isascii() and looked_at.isdigit() and len(looked_at) < 9 else 0
    url = reverse("approvals:proposal", args=[proposal.pk])
    return Stale(
        url=f"{url}?since={number}" if number else url,
        state=str(proposal.get_state_display()).lower(),
        changes=differences.since(proposal, number),
    )
