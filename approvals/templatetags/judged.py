"""How a proposal was judged, and what went wrong with it, for its page."""

from typing import Any

from django import template
from django.template.context import Context
from django.utils import timezone

from accounts.models import User
from approvals import disputes
from approvals.disputes import Judged
from approvals.forms.disputes import DisputeForm
from approvals.models import BlindReview, Incident, Proposal
from approvals.services import backtest, dispute

register = template.Library()


@register.simple_tag
def judged(proposal: Proposal) -> list[Judged]:
    """Every judgement of it; a planted one has none."""
    return disputes.judged(proposal)


@register.simple_tag(takes_context=True)
def disputing(context: Context, proposal: Proposal, one: Judged) -> DisputeForm | None:
    """The form by which this person may dispute that judgement; the one that was refused in place of a fresh one."""
    user = context.get("user")
    if not isinstance(user, User) or not one.may_be_disputed(timezone.now(), dispute.WITHIN):
        return None
    if not dispute.may_dispute(user, proposal):
        return None
    sent = context.get("dispute_form")
    if isinstance(sent, DisputeForm) and sent.data.get("evidence") == str(one.row.pk):
        return sent
    return DisputeForm(evidence_id=one.row.pk)


@register.simple_tag
def said_afterwards(proposal: Proposal) -> list[BlindReview]:
    return disputes.said_afterwards(proposal)


@register.simple_tag
def incidents_of(proposal: Proposal) -> list[Incident]:
    return list(proposal.incidents.order_by("-pk"))


@register.filter
def answer(code: Any) -> str:
    return disputes.answer_of(str(code))


@register.filter
def may_backtest(user: Any) -> bool:
    """Whether its tab leads this person anywhere."""
    return isinstance(user, User) and backtest.may_backtest(user)
