"""Comment: what people say to each other about a proposal. The agent never sees it."""

from collections.abc import Collection
from uuid import UUID

from django.db import transaction
from django.utils import timezone

from accounts.exceptions import Invalid
from accounts.models import User
from approvals import colleagues, news, notifications, transitions
from approvals.models import Comment, Proposal
from approvals.notifications import Topic
from audit import recording
from audit.events import Kind, Target

MOST = 4000
MOST_MENTIONS = 50


def comment(*, proposal_id: UUID, author: User, text: str, mention_ids: Collection[int] = ()) -> Comment:
    """Write it, and tell whom it names ("@Name" in the text, or chosen by primary key), who wrote before and who
    holds the proposal.

    Only people who may see the proposal can be named: a name of anybody else stays text. The same words sent again
    within the minute (a double click) are answered with the first comment. Raises `NotFound`, `NotAllowed`,
    `Invalid`."""
    text = text.strip()
    if not text or len(text) > MOST or "\x00" in text:
        raise Invalid(
            f"Write between one and {MOST} characters.",
            errors=[{"field": "text", "message": f"must have 1 to {MOST} characters, and no NUL"}],
        )
    with transaction.atomic(durable=True):
        proposal = transitions.locked(proposal_id)
        colleagues.check_can_comment(author, proposal)
        now = timezone.now()
        latest = Comment.objects.filter(proposal=proposal, author=author).order_by("-pk").first()
        if latest is not None and latest.text == text and (now - latest.written_at).total_seconds() < 60:
            return latest
        people = [one for one in colleagues.who_may_see(proposal) if one.pk != author.pk]
        chosen = [one for one in people if one.pk in mention_ids]
        named = list(dict.fromkeys([*colleagues.named_in(text, people), *chosen]))[:MOST_MENTIONS]
        written = Comment.objects.create(proposal=proposal, author=author, text=text, written_at=now)
        written.mentions.set(named)
        recording.record(
            actor=author.actor(),
            kind=Kind.PROPOSAL_COMMENTED,
            target=Target("proposal", str(proposal.pk)),
            detail={"text": proposal.said(text), "mentioned": [str(one) for one in named]},
        )
        _tell(proposal, written, named, {one.pk for one in people})
        news.proposal_changed(proposal)
    return written


def _tell(proposal: Proposal, written: Comment, named: list[User], may_see: set[int]) -> None:
    """Nobody hears of one comment twice, and nobody who may not see the proposal any more."""
    mentioned = [one.pk for one in named]
    notifications.tell(
        mentioned,
        topic=Topic.MENTIONED,
        text=f"{written.author} named you on “{proposal.title}”: {written.text}",
        key=f"comment:{written.pk}",
        proposal=proposal,
    )
    earlier = Comment.objects.filter(proposal=proposal).values_list("author", flat=True)
    concerned = may_see & {*earlier, proposal.claimed_by_id, proposal.assigned_to_id}
    notifications.tell(
        sorted(concerned.difference(mentioned)),
        topic=Topic.COMMENTED,
        text=f"{written.author} wrote on “{proposal.title}”: {written.text}",
        key=f"comment:{written.pk}",
        proposal=proposal,
    )
