"""What a proposal's page says of the activity that led to it, and how its figures read."""

from dataclasses import dataclass
from datetime import timedelta

from django import template
from django.template.context import Context

from accounts.models import User
from agents.models import Activity
from approvals import activity
from approvals.models import Proposal
from audit.content import Gone

register = template.Library()


@dataclass(frozen=True, slots=True)
class Lead:
    """`count` is 0 where it is withheld: how much there is would tell as well."""

    withheld: bool
    count: int

    @property
    def is_more(self) -> bool:
        return self.count >= activity.COUNTED


@register.simple_tag(takes_context=True)
def activity_of(context: Context, proposal: Proposal) -> Lead:
    """Whether there is anything to be shown to the person who is looking."""
    me = context["user"]
    assert isinstance(me, User)
    if activity.is_withheld(me, proposal):
        return Lead(True, 0)
    return Lead(False, activity.count(proposal))


_FIGURES = (
    ("input_tokens", "tokens in"),
    ("cache_read_tokens", "from cache"),
    ("cache_write_tokens", "to cache"),
    ("output_tokens", "tokens out"),
    ("reasoning_tokens", "to reason"),
)
_WORDS = (
    ("provider", "provider"),
    ("temperature", "temperature"),
    ("top_p", "top-p"),
    ("max_tokens", "at most tokens"),
    ("finish_reason", "ended by"),
    ("operation", "operation"),
    ("tool_call_id", "call"),
    ("error", "error"),
    ("cut_from", "cut here; bytes sent"),
)


@register.filter
def figures(row: Activity) -> list[str]:
    """Counts in words of ours."""
    return [
        f"{row.facts[name]:,} {words}" for name, words in _FIGURES if isinstance(row.facts.get(name), int)
    ]


@register.filter
def words(row: Activity) -> list[tuple[str, str]]:
    """Pairs of a word of ours and what the agent gave for it."""
    return [(label, str(row.facts[name])) for name, label in _WORDS if row.facts.get(name) not in (None, "")]


@register.filter
def took(row: Activity) -> str:
    """How long it went on: 250 ms, 2.5 s, 3 min 4 s."""
    if row.ended_at is None:
        return ""
    length = row.ended_at - row.started_at
    if length < timedelta(seconds=1):
        return f"{length // timedelta(milliseconds=1)} ms"
    if length < timedelta(minutes=1):
        return f"{length / timedelta(seconds=1):.1f} s"
    return f"{length // timedelta(minutes=1):,} min {length // timedelta(seconds=1) % 60} s"


@register.filter
def gone_words(gone: Gone) -> str:
    """Why a text is not there any more."""
    match gone.why:
        case "erased":
            return "Erased with the data of whom it was about; its commitment stays in the log."
        case "retention":
            return "No longer kept; its commitment stays in the log."
        case _:
            return "Its key cannot be read."
