"""The sheet of a vote: a record of what the page showed to whoever voted, kept encrypted and named in the vote's event.

`shown_to` is what the page is made of: lines, signals, reasons, record, the most similar earlier ones. Who may decide
has it remembered when his page is made (`remember`: an hour, in Redis, sealed, a hint that may be lost), so that the
sheet says what stood there and costs the vote little; where nothing is remembered it is made again before the vote
takes its locks. The proposal itself cannot differ: a vote counts only on the version that its page had. `keep` adds,
under the proposal's lock, who has voted, who was entitled, the claim, the tier and its standing, and stores it all.

What the agent said stands in it by digest only, other proposals by number: the texts stay where their retention and
their data subject's key govern them, and one subject's sheet holds no other's words beyond what the signals quote."""

import hashlib
import zlib
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import replace
from datetime import datetime
from functools import lru_cache
from typing import Any
from uuid import UUID

import msgspec
from cryptography.fernet import Fernet, InvalidToken
from django.conf import settings
from django.core.cache import cache
from django.utils import timezone

from accounts.models import User
from agents import standings
from agents.models import Mandate, Standing
from approvals import entitlement, record, showing
from approvals.messages import sealing
from approvals.models import BlindReview, Proposal, Revision, Verdict, Vote
from approvals.reading.reasons import Why
from approvals.reading.sheet import Change
from approvals.reading.signals import Signal
from approvals.record import Judged
from approvals.sheet_shape import (
    FORMAT,
    Cast,
    Earlier,
    Flag,
    Kind,
    Known,
    Lease,
    Lines,
    PolicyThen,
    QueueThen,
    Said,
    Sheet,
    Shown,
    Subject,
    Text,
    TierThen,
    written,
)
from audit import content
from audit.models import ContentKind

OWN_PAGE = ("proposal", "edit")
"""The proposal's own page, and the form that is opened from it; other pages show less of it, or otherwise."""
REMEMBERED = 3600
"""For so many seconds what a page showed is remembered; who reads longer has his sheet made at the vote."""


def remember(me: User, proposal: Proposal, revision: Revision, page: Mapping[str, Any]) -> None:
    """Keep what a page of this proposal shows him, made from what the page was made of."""
    known: showing.Record = page["record"]
    shown = shown_of(me, proposal, revision, page["sheet"], hosts=page["hosts"], why=page["why"], known=known)
    sealed = _box().encrypt(zlib.compress(written(shown), 1))
    cache.set(_key(proposal.pk, proposal.version, me), sealed, REMEMBERED)


def recalled(me: User, proposal_id: UUID, version: int) -> Shown | None:
    """What was remembered of his latest page of this version; what does not open, or is of another, is nothing."""
    sealed = cache.get(_key(proposal_id, version, me))
    if not isinstance(sealed, bytes):
        return None
    try:
        shown = msgspec.json.decode(zlib.decompress(_box().decrypt(sealed, REMEMBERED)), type=Shown)
    except (InvalidToken, zlib.error, msgspec.DecodeError):
        return None
    of_it = (shown.proposal.id, shown.proposal.version, shown.viewer) == (proposal_id, version, me.pk)
    return replace(shown, remembered=True) if of_it else None


def _key(proposal_id: UUID, version: int, me: User) -> str:
    return f"shown:{proposal_id}:{version}:{me.pk}"


def _box() -> Fernet:
    return sealing.box("countersign shown pages v1")


def seen_by(
    me: User, proposal_id: UUID, *, version: int, page: str, judged: list[Judged] | None = None
) -> Shown | None:
    """What he looks at who votes on `page`, as remembered, or made now; None as `shown_to` says."""
    found = recalled(me, proposal_id, version) if page in OWN_PAGE else None
    return found or shown_to(me, proposal_id, version=version, judged=judged)


def shown_to(
    me: User, proposal_id: UUID, *, version: int, judged: list[Judged] | None = None
) -> Shown | None:
    """What the page of this version shows; None where the proposal is another by now, so that no vote can count.

    `judged` spares the look at earlier proposals where one request decides several alike."""
    proposal = loaded(proposal_id)
    if proposal is None or proposal.version != version:
        return None
    revision = proposal.revisions.select_related("editor").get(number=proposal.revision)
    known = record.judged_before(proposal) if judged is None else judged
    return shown_of(
        me,
        proposal,
        revision,
        showing.sheet_of(proposal, revision, known),
        hosts=showing.findings_of(proposal, revision).hosts,
        why=showing.why(proposal),
        known=showing.record_of(me, proposal, revision, known),
    )


def shown_blind(me: User, review_id: int) -> Shown | None:
    """What the page of a judgement after the fact shows: the arguments and the agent's words, and nothing that came of
    them: no tier, no record, no votes."""
    review = BlindReview.objects.select_related("revision__editor").filter(pk=review_id).first()
    proposal = loaded(review.proposal_id) if review else None
    if review is None or proposal is None:
        return None
    showing.set_back(proposal, review.revision)
    sheet = showing.sheet_of(proposal, review.revision, record.judged_before(proposal))
    hosts = showing.findings_of(proposal, review.revision).hosts
    return shown_of(me, proposal, review.revision, sheet, hosts=hosts, why=[], known=None)


def loaded(proposal_id: UUID) -> Proposal | None:
    """The proposal with all that its sheet needs, in one query."""
    rows = Proposal.objects.select_related(
        "agent__owner", "action_type__reversible_by", "queue", "policy_version__policy", "kept_context"
    )
    return rows.filter(pk=proposal_id).first()


def shown_of(
    me: User,
    proposal: Proposal,
    revision: Revision,
    sheet: showing.Sheet,
    *,
    hosts: Iterable[str],
    why: list[Why],
    known: showing.Record | None,
    at: datetime | None = None,
) -> Shown:
    """Of what the page is made of, the record of it."""
    return Shown(
        at=at or timezone.now(),
        viewer=me.pk,
        remembered=False,
        proposal=subject_of(proposal, revision),
        lines=lines_of(sheet),
        said=said_of(proposal, revision, hosts),
        why=why,
        known=_known(known) if known else None,
        policy=policy_of(proposal) if known else None,
    )


def keep(
    shown: Shown,
    proposal: Proposal,
    *,
    voter: User,
    verdict: str,
    page: str,
    opened_at: datetime | None,
    at: datetime,
    mandate: Mandate | None,
    changes: Sequence[Change] = (),
) -> dict[str, Any]:
    """A step, under the proposal's lock and before the vote is counted: the whole sheet, stored.

    What names it in the vote's event comes back."""
    votes = votes_on(proposal, proposal.revision) if proposal.quorum > 1 or proposal.required else []
    sheet = Sheet(
        **_heading(page, opened_at, at, voter, verdict),
        shown=shown,
        queue=queue_of(proposal),
        tier=tier_of(proposal, mandate),
        votes=votes,
        claim=_lease(proposal, voter, at),
        entitled=entitlement.now(proposal, at=at) if proposal.queue_id else None,
        changes=list(changes),
    )
    return _store(sheet, at)


def keep_blind(shown: Shown, *, voter: User, verdict: str, at: datetime) -> dict[str, Any]:
    """A step: the sheet of a judgement after the fact, under the review's lock."""
    heading = _heading("blind", None, at, voter, verdict)
    return _store(Sheet(**heading, shown=shown), at)


def _heading(
    page: str, opened_at: datetime | None, at: datetime, voter: User, verdict: str
) -> dict[str, Any]:
    return {
        "format": FORMAT,
        "page": page,
        "build": build(),
        "at": at,
        "opened_at": opened_at,
        "zone": timezone.get_current_timezone_name(),
        "voter": voter.pk,
        "voter_name": str(voter),
        "verdict": str(verdict),
    }


def _store(sheet: Sheet, at: datetime) -> dict[str, Any]:
    about = sheet.shown.said
    subject = (about.subject_type, about.subject_id) if about.subject_id else None
    [row] = content.keep([content.New(ContentKind.SHEET, subject, written(sheet))], at=at)
    return content.named(row)


def text_of(value: Any) -> Text:
    """The digest of one of the agent's texts, or of a structure of them as JSON."""
    if not value:
        return Text("", 0)
    data = value.encode() if isinstance(value, str) else msgspec.json.encode(value)
    return Text(hashlib.sha256(data).hexdigest(), len(data))


def lines_of(shown: showing.Sheet) -> Lines:
    return Lines(
        title=shown.title,
        entries=shown.entries,
        missing=shown.missing,
        size=shown.size,
        outside=shown.outside,
        above=[_flag(one) for one in shown.signals],
        flags=[_flag(one) for found in shown.flags.values() for one in found],
        rest=shown.rest,
    )


def _flag(one: Signal) -> Flag:
    return Flag(one.kind, one.where, one.label, one.text, one.earlier)


def said_of(proposal: Proposal, revision: Revision, hosts: Iterable[str]) -> Said:
    return Said(
        summary=text_of(proposal.summary),
        reasoning=text_of(proposal.reasoning),
        reply=text_of("" if revision.editor_id else revision.reply),
        context=text_of(proposal.context),
        confidence=proposal.confidence,
        subject_type=proposal.subject_type,
        subject_id=proposal.subject_id,
        hosts=list(hosts),
    )


def _known(shown: showing.Record) -> Known:
    similar = [
        Earlier(
            id=one.proposal.pk,
            verdict=one.decision.verdict if one.decision else "",
            decided_by=one.decision.label if one.decision else "",
            decided_at=one.decision.decided_at if one.decision else None,
            reason=one.decision.reason if one.decision else "",
            state=str(one.proposal.state),
            shared=one.shared,
            visible=one.visible,
        )
        for one in shown.precedents
    ]
    return Known(shown.accuracy, shown.of_earlier_versions, shown.compared, similar)


def subject_of(proposal: Proposal, revision: Revision) -> Subject:
    kind = proposal.action_type
    return Subject(
        id=proposal.pk,
        revision=revision.number,
        version=proposal.version,
        digest=revision.digest,
        state=str(proposal.state),
        agent=proposal.agent.name,
        agent_version=proposal.agent_version,
        owner=str(proposal.agent.owner),
        editor=str(revision.editor) if revision.editor_id else "",
        tier=str(proposal.tier),
        priority=proposal.get_priority_display(),
        amount=None if proposal.amount is None else str(proposal.amount),
        currency=proposal.currency,
        created_at=proposal.created_at,
        due_at=proposal.due_at,
        expires_at=proposal.expires_at,
        effective_at=proposal.effective_at,
        kind=Kind(
            name=kind.name,
            label=kind.label,
            version=kind.version,
            risk=str(kind.risk),
            title_template=kind.title_template,
            systems=list(kind.systems),
            undone_by=kind.reversible_by.label if kind.reversible_by else "",
        ),
    )


def policy_of(proposal: Proposal) -> PolicyThen | None:
    version = proposal.policy_version
    if version is None:
        return None
    policy = version.policy
    return PolicyThen(version.pk, policy.domain, policy.name, version.number, text_of(version.rules))


def queue_of(proposal: Proposal) -> QueueThen | None:
    queue = proposal.queue
    if queue is None:
        return None
    return QueueThen(
        slug=queue.slug,
        name=queue.name,
        quorum=proposal.quorum,
        required=list(proposal.required),
        roles=list(proposal.roles),
        lease_minutes=queue.lease_minutes,
        due_minutes=queue.due_minutes,
        undo_seconds=queue.undo_seconds,
        view_seconds=queue.view_seconds,
        reading_rate=queue.reading_rate,
        approvals_per_minute=queue.approvals_per_minute,
        reasons=queue.reasons,
    )


def tier_of(proposal: Proposal, mandate: Mandate | None) -> TierThen | None:
    """The mandate of the proposal with the standing of the version that proposed it. Two queries."""
    if mandate is None:
        return None
    kind = proposal.action_type
    version = standings.evidence_label(proposal.agent, proposal.agent_version)
    key = {"agent_id": proposal.agent_id, "action_type": kind, "agent_version": version, "risk": kind.risk}
    standing = Standing.objects.filter(**key).only("state", "folded_until").first()
    return TierThen(
        tier=str(mandate.tier),
        ceiling=str(mandate.ceiling),
        automatic=mandate.automatic,
        max_amount=None if mandate.max_amount is None else str(mandate.max_amount),
        veto_seconds=mandate.veto_seconds,
        thresholds=standings.thresholds_of(mandate, kind).as_json(),
        agent_version=proposal.agent.version,
        evidence_version=version,
        standing=dict(standing.state) if standing else {},
        folded_until=standing.folded_until if standing else None,
    )


def with_standing(tier: TierThen, standing: dict[str, Any], folded_until: datetime | None) -> TierThen:
    """The same with another standing: one of an earlier moment."""
    return replace(tier, standing=standing, folded_until=folded_until)


def votes_on(
    proposal: Proposal, number: int, *, before: datetime | None = None, without: int = 0
) -> list[Cast]:
    """The votes on a revision, the first one first, `without` those of one person; `before` leaves out later ones."""
    rows = Vote.objects.filter(proposal=proposal, revision__number=number).select_related("reviewer")
    rows = rows.exclude(reviewer=without)
    if before is not None:
        rows = rows.filter(voted_at__lt=before)
    return [
        Cast(str(one.reviewer), str(Verdict(one.verdict)), one.voted_at, list(one.teams))
        for one in rows.order_by("pk")
    ]


def _lease(proposal: Proposal, voter: User, at: datetime) -> Lease | None:
    holder, until = proposal.claimed_by_id, proposal.claimed_until
    if holder is None or until is None or until <= at:
        return None
    return Lease(str(voter if holder == voter.pk else proposal.claimed_by), until)


@lru_cache(maxsize=1)
def build() -> str:
    """Which state of the product made the page: a digest of its templates, its reading rules and its style."""
    root = settings.BASE_DIR
    found = [*(root / "templates").rglob("*.html"), *(root / "approvals" / "reading").glob("*.py")]
    found += [root / "approvals" / "showing.py", *(root / "static" / "css").glob("*.css")]
    digest = hashlib.sha256()
    for path in sorted(found):
        digest.update(str(path.relative_to(root)).encode() + b"\0" + path.read_bytes())
    return digest.hexdigest()[:16]
