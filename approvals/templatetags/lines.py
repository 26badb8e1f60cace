"""What a row of a list says in a word or two, and the mark by which its page notices that it has changed."""

from django import template

from approvals.filters import short_reasons
from approvals.lists import mark_of
from approvals.models import Proposal

register = template.Library()
register.filter("mark", mark_of)


@register.filter
def why(proposal: Proposal) -> str:
    """Why it is here, shortly; the sentence stands on its page."""
    return ", ".join(short_reasons(proposal.reasons))
