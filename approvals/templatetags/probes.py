"""What the page of a planted proposal says of itself once it is decided."""

from django import template
from django.template.context import Context

from accounts.models import User
from approvals import probe_records
from approvals.models import Proposal
from approvals.probe_records import Own
from approvals.states import State

register = template.Library()


@register.simple_tag(takes_context=True)
def probe_told(context: Context, proposal: Proposal) -> Own | None:
    """For who has voted on it, and for admins and auditors; None for a real proposal and while it is undecided."""
    if not proposal.planted or proposal.state == State.PENDING:
        return None
    me = context["user"]
    assert isinstance(me, User)
    own = probe_records.told(me, proposal)
    if own is None and (me.reads_everything):
        return probe_records.told_to_staff(proposal)
    return own
