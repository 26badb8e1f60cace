"""What a page says of passkeys' signatures: how an approval would be signed, and what was signed, checked again."""

from dataclasses import dataclass
from datetime import datetime

from django import template
from django.template.context import Context

from approvals import signing as rules
from approvals.models import Proposal, Signature, Verdict, Vote
from approvals.reconstruct import Moment
from approvals.signing import Shown, Way

register = template.Library()


@dataclass(frozen=True, slots=True)
class Approval:
    """One approving vote; `signed` is None where no passkey signed it."""

    who: str
    at: datetime
    revision: int
    signed: Shown | None


@register.simple_tag(takes_context=True)
def signing_way(context: Context, proposal: Proposal) -> Way | None:
    """How the signed-in person's approval would be signed; None where none is asked for."""
    return rules.way_of(context["user"], proposal, host=context["request"].get_host())


@register.simple_tag
def approvals_of(proposal: Proposal, every: bool = False) -> list[Approval]:
    """The approvals of a proposal of high risk, signed or not, the first one first; of others those that are signed,
    which costs a query and is asked for by `every`."""
    is_asked = rules.is_asked(proposal, Verdict.APPROVE)
    if not is_asked and not every:
        return []
    votes = Vote.objects.filter(proposal=proposal, verdict__in=rules.VERDICTS)
    if not is_asked:
        votes = votes.filter(signature__isnull=False)
    rows = votes.select_related("reviewer", "revision", "signature__person").order_by("pk")
    return [_approval(vote) for vote in rows]


def _approval(vote: Vote) -> Approval:
    signature: Signature | None = getattr(vote, "signature", None)
    signed = rules.shown(signature) if signature else None
    if (
        signed
        and signature
        and (signature.digest, signature.person_id)
        != (
            vote.revision.digest,
            vote.reviewer_id,
        )
    ):
        fault = "It is over another digest than the one voted on, or by somebody else."
        signed = Shown(signed.who, signed.label, signed.at, signed.digest, signed.assertion, fault)
    return Approval(str(vote.reviewer), vote.voted_at, vote.revision.number, signed)


@register.simple_tag
def signed_at(moment: Moment) -> Approval | None:
    """What the event of a moment tells of its signature; None where none was asked for."""
    said = moment.event.data
    if "signature" not in (said.get("detail") or {}):
        return None
    number = (said.get("after") or {}).get("revision", moment.number)
    return Approval(moment.who, moment.at, number, rules.shown_in(said, moment.who, moment.at))
