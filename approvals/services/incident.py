"""Incidents: something went wrong. Who reports it, what it does to the agents, who answers for it, how it is closed."""

from collections.abc import Collection
from dataclasses import dataclass
from decimal import Decimal
from uuid import UUID

from django.db import transaction
from django.utils import timezone

from accounts.exceptions import Conflict, Invalid, NotAllowed, NotFound
from accounts.models import User
from approvals import colleagues, judging, notifications, permissions, transitions
from approvals.models import APPROVED, Incident, Proposal
from approvals.notifications import Topic
from audit import recording
from audit.events import Kind, Target

MAX_TITLE = 200
MAX_TEXT = 10_000
MOST = 50
"""Proposals of one incident."""
LOSS: dict[str, Decimal] = {
    Incident.Severity.MINOR: Decimal("0.25"),
    Incident.Severity.MAJOR: Decimal("1"),
    Incident.Severity.CRITICAL: Decimal("1"),
}


@dataclass(frozen=True, slots=True, kw_only=True)
class Report:
    """What is reported. `answers` is the primary key of the person who answers for it."""

    title: str
    severity: str
    description: str
    proposals: Collection[UUID]
    answers: int


def report(*, report: Report, reporter: User) -> Incident:
    """Record it, with evidence against the agent of every proposal that had been approved: whoever can see all of
    them may. A critical one takes earned tiers back at once.

    The same report again within the minute (a double click) is answered with the first. Raises `Invalid`,
    `NotFound`."""
    _check(report)
    with transaction.atomic(durable=True):
        proposals = _locked(report.proposals, reporter)
        answers = _answering(report.answers, proposals)
        now = timezone.now()
        latest = (
            Incident.objects.filter(reported_by=reporter, title=report.title.strip()).order_by("-pk").first()
        )
        if latest is not None and (now - latest.opened_at).total_seconds() < 60:
            return latest
        made = Incident.objects.create(
            title=report.title.strip(),
            severity=report.severity,
            description=report.description.strip(),
            reported_by=reporter,
            answers=answers,
            opened_at=now,
        )
        made.proposals.set(proposals)
        recording.record(
            actor=reporter.actor(),
            kind=Kind.INCIDENT_REPORTED,
            target=Target("incident", str(made.pk)),
            after={
                "title": made.title,
                "severity": made.severity,
                "answers": str(answers),
                "proposals": [str(one.pk) for one in proposals],
            },
            detail={"description": made.description},
        )
        for one in proposals:
            if one.state in APPROVED and not one.planted:
                critical = made.severity == Incident.Severity.CRITICAL
                judging.incident(made, one, loss=LOSS[made.severity], critical=critical, at=now)
        concerned = {answers.pk, *(one.agent.owner_id for one in proposals)} - {reporter.pk}
        _tell(made, concerned, f"{reporter} reports an incident, {made.severity}: {made.title}", "reported")
    return made


def _locked(ids: Collection[UUID], reporter: User) -> list[Proposal]:
    """All mandates before all proposals, each in one order, so that two reports wait for each other and never in a
    ring."""
    places = list(Proposal.objects.filter(pk__in=ids).values_list("agent_id", "action_type_id", "pk"))
    for _, _, pk in sorted(places):
        judging.lock(pk)
    found = [transitions.locked(pk) for pk in sorted(pk for _, _, pk in places)]
    if len(found) != len(set(ids)):
        raise NotFound("There is no such proposal, or it is not for you to see.")
    for one in found:
        permissions.check_can_see(reporter, one)
    return found


def _answering(pk: int, proposals: list[Proposal]) -> User:
    found = next((one for one in may_answer(proposals) if one.pk == pk), None)
    if found is None:
        message = "must be somebody who can see every proposal of it"
        raise Invalid("Choose who answers for it.", errors=[{"field": "answers", "message": message}])
    return found


def may_answer(proposals: Collection[Proposal]) -> list[User]:
    """Who can see all of them, by name."""
    seen = [colleagues.who_may_see(one) for one in proposals]
    common = set.intersection(*({person.pk for person in each} for each in seen)) if seen else set()
    return [person for person in (seen[0] if seen else []) if person.pk in common]


def _check(report: Report) -> None:
    if report.severity not in Incident.Severity.values:
        raise Invalid(
            "Say how bad it is.",
            errors=[{"field": "severity", "message": "must be minor, major or critical"}],
        )
    for name, text, most in (
        ("title", report.title, MAX_TITLE),
        ("description", report.description, MAX_TEXT),
    ):
        _check_text(name, text, most)
    if not 1 <= len(set(report.proposals)) <= MOST:
        message = f"must be 1 to {MOST} proposals"
        raise Invalid("Name its proposals.", errors=[{"field": "proposals", "message": message}])


def _check_text(name: str, text: str, most: int) -> None:
    if not text.strip() or len(text) > most or "\x00" in text:
        message = f"must have 1 to {most} characters, and no NUL"
        raise Invalid("Write it down.", errors=[{"field": name, "message": message}])


def may_change(user: User, incident: Incident) -> bool:
    """Who answers for it, and admins."""
    return user.is_active and (user.is_admin or user.pk == incident.answers_id)


def write(*, incident_id: int, actor: User, root_cause: str, correction: str, close: bool) -> Incident:
    """Write down the root cause and what was done about it, and close it: only with both.

    Closing a closed one again changes nothing. Raises `NotFound`, `NotAllowed`, `Invalid`, `Conflict`."""
    with transaction.atomic(durable=True):
        found = Incident.objects.select_for_update(no_key=True).filter(pk=incident_id).first()
        if found is None:
            raise NotFound("There is no such incident, or it is not for you to see.")
        if not may_change(actor, found):
            raise NotAllowed("Whoever answers for it, or an admin, writes this and closes it.")
        values = {"root_cause": root_cause.strip(), "correction": correction.strip()}
        before = {name: getattr(found, name) for name in values}
        if found.closed_at is not None:
            if close and values == before:
                return found
            raise Conflict("It is closed.")
        for name, text in values.items():
            if close or text:
                _check_text(name, text, MAX_TEXT)
        if values == before and not close:
            return found
        found.root_cause, found.correction = values["root_cause"], values["correction"]
        if close:
            found.closed_at = timezone.now()
        found.save(update_fields=["root_cause", "correction", "closed_at"])
        recording.record(
            actor=actor.actor(),
            kind=Kind.INCIDENT_CLOSED if close else Kind.INCIDENT_CHANGED,
            target=Target("incident", str(found.pk)),
            before=before,
            after={**values, "closed": close},
        )
        if close:
            owners = set(found.proposals.values_list("agent__owner", flat=True))
            told = {found.reported_by_id, found.answers_id, *owners} - {actor.pk}
            _tell(found, told, f"{actor} closed the incident: {found.title}", "closed")
    return found


def _tell(incident: Incident, people: set[int], text: str, what: str) -> None:
    notifications.tell(
        people,
        topic=Topic.INCIDENT,
        text=text,
        key=f"incident:{incident.pk}:{what}",
        link=f"/incidents/{incident.pk}/",
    )
