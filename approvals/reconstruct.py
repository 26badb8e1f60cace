"""A proposal as it was when somebody voted: the recorded sheet, or what can be rebuilt where none was recorded.

Every vote, judgement and decision of the policy is one moment, told by its audit event; the event names the sheet, so
that the log's proof for the one is a proof for the other. What a sheet only points at (the agent's texts, earlier
proposals) is taken from where it is kept and shown only if it still has the digest that was recorded."""

from collections.abc import Iterable, Sequence
from dataclasses import dataclass, field
from datetime import datetime
from typing import Any
from uuid import UUID

from django.utils import timezone

from accounts.models import User
from agents.models import Mandate
from approvals import permissions, rebuilding, sheets
from approvals.models import BlindReview, Comment, Judgement, Policy, Proposal
from approvals.sheet_shape import Earlier, Flag, Sheet, Text, read
from approvals.states import State
from audit import content, proofs
from audit import selectors as trail
from audit.content import Gone
from audit.events import Kind
from audit.models import AuditEvent, Content

_DID = {
    "approve": "voted to approve",
    "edit": "edited it",
    "reject": "voted to reject",
    "return": "returned it",
    "veto": "vetoed it",
}
_BY_ITSELF = {
    f"proposal.{State.APPROVED}": "its tier let it through",
    f"proposal.{State.DENIED}": "the policy denied it",
    f"proposal.{State.SCHEDULED}": "it was scheduled, unless somebody objects",
}
_BLIND = "judged it after the fact"


@dataclass(frozen=True, slots=True)
class Moment:
    """One moment to look at. `what` stands after `who`; `number` is the revision; `person` is 0 where none decided.
    `later` says what became of a verdict that was not counted."""

    event: AuditEvent
    who: str
    person: int
    what: str
    verdict: str
    number: int
    page: str
    sheet: UUID | None
    later: str = ""

    @property
    def at(self) -> datetime:
        return self.event.recorded_at


@dataclass(frozen=True, slots=True)
class Said:
    """One of the agent's texts as it is kept today. `fault` says why it is not what was shown, or cannot be."""

    text: Any
    fault: str = ""


@dataclass(frozen=True, slots=True)
class Then:
    """Something that was one way at the moment and is another way now."""

    name: str
    then: str
    now: str


@dataclass(frozen=True, slots=True)
class Similar:
    """An earlier proposal of the record; `title` where the reader may see it."""

    earlier: Earlier
    title: str


@dataclass(frozen=True, slots=True, kw_only=True)
class Reconstruction:
    """What the page shows. `recorded` tells a sheet that was kept from one that is rebuilt; `gone` why a kept one
    cannot be read any more; `foreign` that it is of a format which this version does not know."""

    moment: Moment
    seal: proofs.Seal
    sheet: Sheet | None
    recorded: bool
    gone: Gone | None = None
    foreign: bool = False
    commitment: str = ""
    size: int = 0
    flags: dict[str, list[Flag]] = field(default_factory=dict)
    said: dict[str, Said] = field(default_factory=dict)
    similar: list[Similar] = field(default_factory=list)
    since: list[Then] = field(default_factory=list)
    comments: list[Comment] = field(default_factory=list)


def moments(viewer: User, proposal: Proposal) -> list[Moment]:
    """Every moment of a proposal that this person may look at, the first one first.

    Judgements after the fact are for auditors, admins and whoever gave them: one must not sway the next."""
    events = list(trail.timeline("proposal", str(proposal.pk)))
    found = [one for one in (_moment(event, events) for event in events) if one is not None]
    counted = {one.sheet for one in found if one.event.kind != Kind.PROPOSAL_HELD}
    found = [one for one in found if one.event.kind != Kind.PROPOSAL_HELD or one.sheet not in counted]
    found += [_judgement(event) for event in _judgements(viewer, proposal)]
    return sorted(found, key=lambda one: one.event.pk)


def _moment(event: AuditEvent, events: Sequence[AuditEvent]) -> Moment | None:
    said = event.data
    after, detail = said.get("after") or {}, said.get("detail") or {}
    number = after.get("revision", 1)
    sheet = _named(detail)
    human = event.actor_kind == "human"
    if event.kind == Kind.PROPOSAL_VOTED:
        verdict = str(after.get("verdict", ""))
        number = number - 1 if verdict == "edit" and number > 1 else number
        return _of(event, _DID.get(verdict, "voted"), verdict, number, _page(verdict), sheet)
    if event.kind == Kind.PROPOSAL_HELD:
        verdict = str(after.get("verdict", ""))
        later = "it was taken back or dropped before the agent heard of it"
        if not any(one.pk > event.pk and one.kind in _ENDS for one in events):
            later = "it may still be undone"
        return _of(event, _DID.get(verdict, "decided"), verdict, number, _page(verdict), sheet, later)
    if event.kind == Kind.PROPOSAL_EDITED and human and sheet is not None:
        if any(one.kind == Kind.PROPOSAL_VOTED and one.transaction == event.transaction for one in events):
            return None
        later = "the policy sent the edit to another queue, where it counts for nobody"
        return _of(event, _DID["edit"], "edit", max(1, number - 1), "edit", sheet, later)
    if event.object_version == 1 and event.kind in _BY_ITSELF:
        return _of(event, _BY_ITSELF[event.kind], "", number, "policy", None)
    return None


_ENDS = (Kind.PROPOSAL_UNDONE, Kind.PROPOSAL_DROPPED)


def _page(verdict: str) -> str:
    return "edit" if verdict == "edit" else "proposal"


def _of(
    event: AuditEvent, what: str, verdict: str, number: int, page: str, sheet: UUID | None, later: str = ""
) -> Moment:
    actor = event.data.get("actor") or {}
    human = event.actor_kind == "human"
    who = str(actor.get("label", event.actor_id)) if human else "The system"
    person = int(event.actor_id) if human and event.actor_id.isdigit() else 0
    return Moment(event, who, person, what, verdict, number, page, sheet, later)


def _judgements(viewer: User, proposal: Proposal) -> Iterable[AuditEvent]:
    done = BlindReview.objects.filter(proposal=proposal, state=BlindReview.State.DONE)
    if not viewer.reads_everything:
        done = done.filter(reviewer=viewer)
    for pk in done.values_list("pk", flat=True):
        yield from trail.timeline("review", str(pk)).filter(kind=Kind.REVIEW_JUDGED)


def _judgement(event: AuditEvent) -> Moment:
    said = event.data
    after = said.get("after") or {}
    verdict = str(after.get("judgement", ""))
    label = Judgement(verdict).label.lower() if verdict in Judgement.values else verdict
    sheet = _named(said.get("detail") or {})
    return _of(event, f"{_BLIND}: {label}", verdict, after.get("revision", 1), "blind", sheet)


def _named(detail: dict[str, Any]) -> UUID | None:
    """The content that an event names as its sheet."""
    try:
        return UUID(str((detail.get("sheet") or {}).get("content", "")))
    except (ValueError, AttributeError):
        return None


def of(viewer: User, proposal: Proposal, moment: Moment) -> Reconstruction:
    """One moment, with what has become of it since."""
    sheet, gone, foreign, row = _recorded(moment)
    recorded = sheet is not None
    if sheet is None:
        sheet = _rebuilt(viewer, proposal, moment)
    named = (moment.event.data.get("detail") or {}).get("sheet") or {}
    return Reconstruction(
        moment=moment,
        seal=proofs.seals([moment.event], timezone.now())[moment.event.pk],
        sheet=sheet,
        recorded=recorded,
        gone=gone,
        foreign=foreign,
        commitment=str(named.get("commitment", "")) if row or moment.sheet else "",
        size=int(named.get("size", 0)),
        flags=_flags(sheet),
        said=_said(proposal, sheet),
        similar=_similar(viewer, sheet),
        since=_since(proposal, sheet) if sheet and moment.page != "blind" else [],
        comments=_comments(proposal, moment) if moment.page != "blind" else [],
    )


def _recorded(moment: Moment) -> tuple[Sheet | None, Gone | None, bool, Content | None]:
    """The sheet, or why there is none. One whose commitment is not the event's is not the one that was recorded."""
    if moment.sheet is None:
        return None, None, False, None
    row = Content.objects.filter(pk=moment.sheet).first()
    named = (moment.event.data.get("detail") or {}).get("sheet") or {}
    if row is None or bytes(row.commitment).hex() != named.get("commitment"):
        return None, Gone("unreadable"), False, row
    body = content.open_all([row])[row.pk]
    if isinstance(body, Gone):
        return None, body, False, row
    sheet = read(body)
    return sheet, None, sheet is None, row


def _rebuilt(viewer: User, proposal: Proposal, moment: Moment) -> Sheet | None:
    said = moment.event.data
    before = (said.get("before") or {}).get("state")
    return rebuilding.rebuilt(
        viewer,
        proposal,
        number=moment.number,
        at=moment.at,
        voter=(moment.person, moment.who),
        verdict=moment.verdict,
        page=moment.page,
        policy_version=said.get("policy_version"),
        state=str(before or (State.SCHEDULED if moment.verdict == "veto" else State.PENDING)),
    )


def _flags(sheet: Sheet | None) -> dict[str, list[Flag]]:
    found: dict[str, list[Flag]] = {}
    for one in sheet.shown.lines.flags if sheet else []:
        found.setdefault(one.where, []).append(one)
    return found


def _said(proposal: Proposal, sheet: Sheet | None) -> dict[str, Said]:
    """The agent's texts as they are kept, each held against the digest of what was shown."""
    if sheet is None:
        return {}
    number = sheet.shown.proposal.revision
    revision = next((one for one in proposal.revisions.all() if one.number == number), None)
    then = sheet.shown.said
    reply = revision.reply if revision and not revision.editor_id else ""
    return {
        "summary": _text(proposal.summary, then.summary),
        "reasoning": _text(proposal.reasoning, then.reasoning),
        "reply": _text(reply, then.reply),
        "context": _text(proposal.context, then.context),
    }


def _text(kept: Any, then: Text) -> Said:
    if sheets.text_of(kept) == then:
        return Said(kept)
    if not kept:
        return Said("", f"It had {then.size:,} bytes and is not kept any more.")
    return Said("", "What is kept today is not the text that was shown.")


def _similar(viewer: User, sheet: Sheet | None) -> list[Similar]:
    known = sheet.shown.known if sheet else None
    if known is None:
        return []
    ids = [one.id for one in known.similar]
    titles = dict(
        Proposal.objects.filter(permissions.visible_to(viewer), pk__in=ids).values_list("pk", "title")
    )
    return [Similar(one, titles.get(one.id, "")) for one in known.similar]


def _since(proposal: Proposal, sheet: Sheet) -> list[Then]:
    """What is another way now: policy, tier, ceiling, action type, agent, queue."""
    shown = sheet.shown
    pairs: list[tuple[str, object, object]] = []
    if shown.policy:
        current = Policy.objects.filter(domain=shown.policy.domain).select_related("current").first()
        if current and current.current:
            name = f"Policy {shown.policy.name}"
            pairs.append((name, f"version {shown.policy.number}", f"version {current.current.number}"))
    mandate = Mandate.objects.filter(agent=proposal.agent, action_type=proposal.action_type).first()
    if sheet.tier:
        pairs.append(("Tier of the mandate", sheet.tier.tier, mandate.tier if mandate else "no mandate"))
        pairs.append(("Its ceiling", sheet.tier.ceiling, mandate.ceiling if mandate else "no mandate"))
        pairs.append(("Version of the agent", sheet.tier.agent_version, proposal.agent.version))
    pairs.append(("Owner of the agent", shown.proposal.owner, str(proposal.agent.owner)))
    kind = proposal.action_type
    pairs.append(("Risk of the action", shown.proposal.kind.risk, str(kind.risk)))
    if shown.proposal.kind.version:
        pairs.append(("Its definition", f"version {shown.proposal.kind.version}", f"version {kind.version}"))
    if sheet.queue and proposal.queue:
        pairs.append(("Queue", sheet.queue.name, proposal.queue.name))
        pairs.append(("Votes needed", sheet.queue.quorum, proposal.quorum))
    if sheet.build:
        pairs.append(("Make of the page", sheet.build, sheets.build()))
    return [Then(name, _plain(then), _plain(now)) for name, then, now in pairs if then != now]


def _plain(value: object) -> str:
    return str(value).replace("_", " ")


def _comments(proposal: Proposal, moment: Moment) -> list[Comment]:
    """What colleagues had written by then: their words are never changed, so their dates tell."""
    written = proposal.comments.filter(written_at__lt=moment.at)
    return list(written.select_related("author").order_by("pk"))
