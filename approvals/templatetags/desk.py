"""What the decision part of a proposal's page and the bar of undoable decisions need, asked for only where shown."""

from datetime import datetime
from typing import Any

from django import template
from django.http import HttpRequest
from django.template.context import Context
from django.urls import reverse
from django.utils import timezone
from django.utils.html import format_html
from django.utils.safestring import SafeString

from accounts.models import User
from agents import permissions as agent_permissions
from agents.autonomy import Tier
from agents.models import Agent
from approvals import colleagues, escalation, permissions
from approvals.forms.handing import AssignForm, CommentForm, EscalateForm
from approvals.models import Comment, HeldBallot, Proposal
from approvals.states import State
from approvals.templatetags.ui import state_badge

register = template.Library()
SHOWN = 3


@register.simple_tag(takes_context=True)
def agent_name(context: Context, agent: Agent) -> SafeString:
    """The agent's name, as a link for those who may open its page."""
    user = context.get("user")
    if isinstance(user, User) and agent_permissions.can_see(user, agent):
        return format_html('<a href="{}">{}</a>', reverse("approvals:agent", args=[agent.slug]), agent.name)
    return format_html("{}", agent.name)


@register.simple_tag(takes_context=True)
def my_held(context: Context) -> list[HeldBallot]:
    """The signed-in person's decisions that can still be undone, the latest first."""
    request: HttpRequest | None = context.get("request")
    if request is None or not isinstance(getattr(request, "user", None), User):
        return []
    held = HeldBallot.objects.filter(reviewer=request.user.pk, settles_at__gt=timezone.now())
    return list(held.select_related("proposal").order_by("-held_at")[:SHOWN])


@register.simple_tag
def held_on(proposal: Proposal) -> HeldBallot | None:
    """The verdict on this proposal that waits for the end of its undo window."""
    if proposal.state != State.PENDING:
        return None
    return HeldBallot.objects.filter(proposal=proposal).select_related("reviewer").first()


_DONE = {
    "approve": "Approved",
    "edit": "Approved with edits",
    "reject": "Rejected",
    "return": "Returned with a question",
    "veto": "Vetoed",
}


_DID = {
    "approve": "Done exactly so",
    "edit": "Done differently",
    "reject": "Not done",
    "return": "Returned with a question",
}
"""The same of an advisory proposal: nothing is approved, the reviewer says what he did himself."""


@register.filter
def done(verdict: str) -> str:
    """A verdict as what has been done."""
    return _DONE.get(str(verdict), str(verdict))


@register.filter
def done_of(verdict: str, proposal: Proposal) -> str:
    """The same in the words of the proposal's tier."""
    return _DID.get(str(verdict), str(verdict)) if proposal.tier == Tier.ADVISORY else done(verdict)


@register.simple_tag
def proposal_badge(proposal: Proposal) -> SafeString:
    """A proposal's state as a coloured word; what a person did himself was neither approved nor rejected."""
    words = {State.APPROVED: "a person acted", State.REJECTED: "not done"}
    if proposal.tier != Tier.ADVISORY or proposal.state not in words:
        return state_badge(proposal.state)
    value = State(proposal.state)
    return format_html('<span class="badge badge--state-{}">{}</span>', str(value), words[value])


@register.filter
def seconds_until(moment: datetime) -> int:
    """Whole seconds from now, at least one: what a countdown starts with."""
    return max(1, round((moment - timezone.now()).total_seconds()))


@register.filter
def counting(seconds: Any) -> SafeString:
    """Classes and attribute of an element that counts down by its style sheet alone, from at most 299 seconds."""
    left = min(max(int(seconds), 0), 299)
    return format_html("counts counts--h{} counts--t{} counts--o{}", left // 100, left // 10 % 10, left % 10)


@register.simple_tag(takes_context=True)
def assigning(context: Context, proposal: Proposal) -> AssignForm | None:
    """The form that gives it to a colleague: the refused one, or a fresh one; None where there is nobody to name."""
    sent: AssignForm | None = context.get("assign_form")
    if sent is not None:
        return sent
    voting = context.get("voting")
    if voting:
        away = {one.person.pk: one.absence for one in voting.deciders if one.absence}
        others = colleagues.around(context["user"], [one.person for one in voting.deciders], away)
    else:
        others = colleagues.colleagues_of(context["user"], permissions.deciders(proposal))
    assigned_to = proposal.assigned_to
    return AssignForm(colleagues=others, assigned_to=assigned_to) if others or assigned_to else None


@register.simple_tag(takes_context=True)
def escalating(context: Context, proposal: Proposal) -> EscalateForm | None:
    """The form that escalates it, where its queue hands on to another in which somebody may decide it."""
    if escalation.next_queue(proposal) is None:
        return None
    return context.get("escalate_form") or EscalateForm(version=proposal.version)


@register.simple_tag
def thread(proposal: Proposal) -> list[Comment]:
    """Its comments, the oldest first, with whom each names."""
    return list(proposal.comments.select_related("author").prefetch_related("mentions").order_by("pk"))


@register.simple_tag(takes_context=True)
def commenting(context: Context, proposal: Proposal) -> CommentForm | None:
    """The form for a comment, for who may write one."""
    me = context["user"]
    if not colleagues.can_comment(me, proposal):
        return None
    sent: CommentForm | None = context.get("comment_form")
    return sent or CommentForm(people=[one for one in colleagues.who_may_see(proposal) if one.pk != me.pk])
