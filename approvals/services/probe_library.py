"""The library of probes: put one in, made of an earlier proposal or by hand, and take it out of use."""

from dataclasses import dataclass, field
from datetime import datetime
from typing import Any
from uuid import UUID

import msgspec
from django.db import IntegrityError, transaction
from django.utils import timezone

from accounts.exceptions import Conflict, Invalid, NotFound
from accounts.models import User
from accounts.roles import Duty
from agents import pointers, schemas, strict_json
from agents.exceptions import ArgumentsInvalid
from agents.models import ActionType, Agent
from approvals import canonical, permissions, probe_records
from approvals.disguise import Content
from approvals.models import Probe
from approvals.requests import Turn
from audit import recording
from audit.events import Kind, Target

MOST_FAULT = 1000
MOST_TEXT = 20_000


@dataclass(frozen=True, slots=True, kw_only=True)
class Draft:
    """A probe as its author means it. `agent` is a slug, empty for every agent; `faulty` are JSON Pointers into the
    arguments; `source_id` is what it was made of."""

    content: Content
    fault: str
    faulty: list[str] = field(default_factory=list)
    agent: str = ""
    confidence: float | None = None
    source_id: UUID | None = None


def add(*, action_type: str, draft: Draft, actor: User) -> Probe:
    """Raises `ArgumentsInvalid` where the schema would refuse it, `Invalid` for the rest, `Conflict` when there is one
    of the same source."""
    with transaction.atomic(durable=True):
        kind = ActionType.objects.filter(name=action_type).first()
        permissions.check_can_write_probes(actor, kind.domain if kind else None)
        if kind is None:
            raise NotFound("There is no such action type.")
        agent = _agent(draft.agent)
        _check(kind, draft)
        if draft.source_id is not None:
            probe_records.source_for(kind, draft.source_id)
            if Probe.objects.filter(source=draft.source_id).exists():
                raise Conflict("There is a probe of this proposal already.")
        permissions.domain_now(actor, Duty.WRITE_PROBES, kind.domain)
        probe = _store(kind, agent, draft, actor, timezone.now())
        recording.record(
            actor=actor.actor(),
            kind=Kind.PROBE_ADDED,
            target=Target("probe", str(probe.pk)),
            after={
                "action_type": kind.name,
                "agent": draft.agent,
                "fault": draft.fault,
                "source": None if draft.source_id is None else str(draft.source_id),
            },
        )
    return probe


def _store(kind: ActionType, agent: Agent | None, draft: Draft, actor: User, now: datetime) -> Probe:
    content = draft.content
    try:
        with transaction.atomic():
            return Probe.objects.create(
                action_type=kind,
                agent=agent,
                arguments=canonical.arguments_bytes(content.arguments),
                summary=content.summary,
                reasoning=content.reasoning,
                context=content.context,
                subject_type=content.subject_type,
                subject_id=content.subject_id,
                current_state=content.current_state,
                confidence=draft.confidence,
                fault=draft.fault.strip(),
                faulty=draft.faulty,
                source_id=draft.source_id,
                author=actor,
                created_at=now,
            )
    except IntegrityError as error:
        raise Conflict("There is a probe of this proposal already.") from error


def _agent(slug: str) -> Agent | None:
    if not slug:
        return None
    found = Agent.objects.filter(slug=slug).first()
    if found is None:
        raise NotFound("There is no such agent.")
    return found


def _check(kind: ActionType, draft: Draft) -> None:
    if faults := argument_faults(kind, draft.content.arguments):
        raise ArgumentsInvalid("The arguments do not fit the action type.", errors=faults)
    if faults := other_faults(kind, draft):
        raise Invalid("The probe was not saved.", errors=faults)


def other_faults(kind: ActionType, draft: Draft) -> list[dict[str, str]]:
    """What keeps a probe out of the library apart from its arguments, each at its field."""
    content = draft.content
    errors = [*_text_faults(draft), *_context_faults(content.context)]
    for place in draft.faulty:
        if not place.startswith("/"):
            errors.append({"field": "faulty", "message": f"{place!r} must begin with a slash"})
        elif pointers.resolve(content.arguments, place) is pointers.MISSING and place not in kind.material:
            errors.append({"field": "faulty", "message": f"{place!r} is not among the arguments"})
    if bool(content.subject_id) != bool(content.subject_type):
        errors.append({"field": "subject_id", "message": "goes with its kind, such as customer"})
    return errors


def argument_faults(kind: ActionType, arguments: Any) -> list[dict[str, str]]:
    """What the schema, and the strict rules for an agent's input, say against arguments."""
    try:
        strict_json.loads(canonical.arguments_bytes(arguments))
    except ValueError as error:
        return [{"field": "/arguments", "message": str(error)}]
    found = schemas.errors(kind.schema, arguments)
    return [{"field": "/arguments" + fault.field, "message": fault.message} for fault in found]


def _text_faults(draft: Draft) -> list[dict[str, str]]:
    content = draft.content
    texts = {
        "fault": (draft.fault, MOST_FAULT),
        "summary": (content.summary, MOST_TEXT),
        "reasoning": (content.reasoning, MOST_TEXT),
        "subject_type": (content.subject_type, 60),
        "subject_id": (content.subject_id, 200),
    }
    errors = [
        {"field": name, "message": f"must have at most {most} characters, and no NUL"}
        for name, (text, most) in texts.items()
        if len(text) > most or "\x00" in text
    ]
    if not draft.fault.strip():
        errors.append({"field": "fault", "message": "must say what is wrong: reviewers read it afterwards"})
    return errors


def _context_faults(context: list[dict[str, Any]]) -> list[dict[str, str]]:
    """The conversation is held to what the agents' API takes."""
    try:
        msgspec.convert(context, list[Turn])
    except msgspec.ValidationError as error:
        return [{"field": "context", "message": str(error)}]
    return []


def retire(*, probe_id: int, actor: User) -> Probe:
    """Serve it no more; what is on its way is planned anew with another. Its figures stay."""
    return _set_active(probe_id, actor, active=False)


def restore(*, probe_id: int, actor: User) -> Probe:
    """Take it into use again."""
    return _set_active(probe_id, actor, active=True)


def _set_active(probe_id: int, actor: User, *, active: bool) -> Probe:
    with transaction.atomic(durable=True):
        permissions.check_can_write_probes(actor)
        probe = (
            Probe.objects.select_for_update(of=("self",), no_key=True)
            .select_related("action_type")
            .filter(pk=probe_id)
            .first()
        )
        if probe is None:
            raise NotFound("There is no such probe.")
        permissions.check_can_write_probes(actor, probe.action_type.domain)
        if probe.active == active:
            return probe
        probe.active = active
        probe.save(update_fields=["active"])
        recording.record(
            actor=actor.actor(),
            kind=Kind.PROBE_RESTORED if active else Kind.PROBE_RETIRED,
            target=Target("probe", str(probe.pk)),
            before={"active": not active},
            after={"active": active},
        )
    return probe
