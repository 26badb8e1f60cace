"""What a row of the monitor says of its action, and what can still be done about one on other pages."""

from datetime import UTC, datetime

from django import template
from django.http import HttpRequest
from django.template.context import Context
from django.utils import timezone
from django.utils.html import format_html
from django.utils.safestring import SafeString

from accounts.models import User
from approvals import monitor
from approvals.models import Proposal
from approvals.monitor import Row
from approvals.states import State
from approvals.templatetags.ui import exact

register = template.Library()
_AFTER = frozenset({State.APPROVED, State.SUCCEEDED, State.ROLLED_BACK})


@register.simple_tag
def runs(moment: datetime) -> SafeString:
    """The time left until then, which the page's script counts down by the server's clock."""
    return format_html(
        '<time class="runs" datetime="{}" title="{}" data-runs>{}</time>',
        moment.astimezone(UTC).isoformat(timespec="milliseconds"),
        exact(moment),
        left((moment - timezone.now()).total_seconds()),
    )


def left(seconds: float) -> str:
    """`4:05`, `1:04:05`, or days and hours; static/js/monitor.js has the same words."""
    rest = max(0, int(seconds))
    days, hours, minutes, rest = rest // 86400, rest // 3600 % 24, rest // 60 % 60, rest % 60
    if days:
        return f"{days} d {hours} h"
    return f"{hours}:{minutes:02}:{rest:02}" if hours else f"{minutes}:{rest:02}"


_ENDED = {
    "agent_suspended": "the agent was stopped",
    "agent_retired": "the agent was retired",
    "mandate_withdrawn": "the agent's mandate was taken back",
    "tier_lowered": "the agent's tier was taken back",
    "stopped": "a stop switch was pulled",
    "no_owner": "nobody answers for the agent and the policy lets nobody review it",
    "escalated": "the agent does too badly of late and this cannot be undone",
}


@register.filter
def ended(reason: str) -> str:
    """Why the policy ended what was scheduled (approvals/services/expire.py), in words."""
    return f"ended because {_ENDED.get(reason, reason.replace('_', ' '))}"


@register.simple_tag(takes_context=True)
def watching(context: Context, proposal: Proposal) -> Row | None:
    """What can still be done about an approved proposal, for its own page; None before and where nothing follows."""
    user = context.get("user")
    if not isinstance(user, User) or proposal.state not in _AFTER:
        return None
    return monitor.row(user, proposal.pk)


@register.simple_tag(takes_context=True)
def instead(context: Context) -> Row | None:
    """What a veto or a recall that came too late can still be replaced by; None for every other refusal."""
    request: HttpRequest | None = context.get("request")
    match = request.resolver_match if request is not None else None
    if request is None or match is None or not isinstance(request.user, User):
        return None
    if match.url_name not in ("proposal_veto", "monitor_veto", "monitor_recall"):
        return None
    found = monitor.row(request.user, match.kwargs["proposal_id"])
    return found if found is not None and found.proposal.state != State.SCHEDULED else None
