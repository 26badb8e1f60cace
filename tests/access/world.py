"""One small installation with two of everything, so that each role exists with the thing an address names, and without.

Everything on one side carries that side's word in its name, title, arguments or summary: a page that shows the other
side's word has leaked."""

import json
from dataclasses import dataclass, field
from datetime import timedelta
from typing import Any

from django.contrib.auth.models import Group
from django.test import Client
from django.utils import timezone

from accounts.models import (
    Absence,
    AccessRequest,
    Calendar,
    RoleAssignment,
    User,
    assign_role,
)
from accounts.roles import Role, Scope
from accounts.services import absences, people, teams
from accounts.services.calendars import CalendarDefinition
from accounts.working_time import DAYS
from agents.autonomy import Tier
from agents.backtest_report import Options
from agents.models import Activity, Agent, Evidence, Mandate, SecondSignature, Stop
from agents.services import credentials, mandates, register
from agents.services.action_types import Definition
from agents.services.mandates import Terms
from approvals import judging
from approvals.disguise import Content
from approvals.models import (
    Backtest,
    BlindReview,
    ChatAddress,
    Incident,
    Notification,
    OpenNetwork,
    Probe,
    ProbeServing,
    Proposal,
    SavedView,
    Verdict,
    WebhookDelivery,
)
from approvals.notifications import Topic, tell
from approvals.redaction import Subject as Whose
from approvals.requests import Subject
from approvals.services import (
    access_request,
    backtest,
    dispute,
    earn,
    hold,
    incident,
    outgoing,
    probe_library,
    save_view,
    set_up,
    stop,
    webhooks,
)
from approvals.services.incident import Report
from approvals.services.set_up import QueueDefinition
from approvals.stopping import Switch
from audit.models import AuditEvent
from tests.factories import ARGUMENTS, REASONS, REFUND_SCHEMA, Desk, admin, earned, person, saved

WORDS = ("Zanzibar", "Quokka")
"""In every name, title, argument and summary of its side; the second one's people are those without the object."""


@dataclass
class Side:
    """One queue in a domain of its own, its agent, and what people have done there."""

    the: Desk
    word: str
    domain: str
    pending: Proposal
    decided: Proposal
    running: Proposal
    unknown: Proposal
    watched: Proposal
    disputed: Proposal
    incident: Incident
    review: BlindReview
    probe: Probe
    serving: ProbeServing
    activity: Activity
    told: WebhookDelivery
    """What its agent's server is to hear of its pending proposal."""
    people: dict[str, User] = field(default_factory=dict)


@dataclass
class World:
    here: Side
    there: Side
    boss: User
    people: dict[str, User]
    """Every role that has an account, by the name that the table calls it."""
    team: Group
    calendar: Calendar
    absence: Absence
    pulled: Stop
    signature: SecondSignature
    views: dict[str, SavedView]
    notifications: dict[str, Notification]
    chat: dict[str, ChatAddress]
    held: Any
    backtest: Backtest
    link: str
    event: AuditEvent
    request: AccessRequest
    """By somebody without any role, for reviewing here."""
    given: RoleAssignment
    network: OpenNetwork


def side(word: str, domain: str, boss: User) -> Side:
    """Walk the use cases once on one side."""
    slug = word.lower()
    queue = set_up.save_queue(
        definition=QueueDefinition(
            slug=f"{slug}-queue", name=f"{word} queue", domain=domain, reason_codes=REASONS, undo_seconds=0
        ),
        actor=boss,
    )
    kind = saved(
        Definition(
            name=f"{slug}_refund",
            domain=domain,
            label=f"{word} refund",
            schema=REFUND_SCHEMA,
            title_template="Refund {amount} for order {order_id}",
            amount_pointer="/amount",
            currency="EUR",
            material=["/amount", "/iban"],
        ),
        by=boss,
    )
    set_up.publish_policy(
        domain=domain, name=f"{word} policy", rules=[], default_queue=queue.slug, actor=boss
    )
    owner = person(f"{word} Owner")
    agent = register.register(slug=f"{slug}-agent", name=f"{word} agent", owner=owner, actor=boss)
    Agent.objects.filter(pk=agent.pk).update(domain=domain)
    agent.refresh_from_db()
    credential, token = credentials.issue(agent_id=agent.pk, actor=owner)
    mandate = mandates.save(
        agent_id=agent.pk,
        action_type=kind.name,
        terms=Terms(tier=Tier.IN_THE_LOOP, ceiling=Tier.ON_THE_LOOP),
        actor=boss,
    )
    assert isinstance(mandate, Mandate)
    first, second = person(f"{word} Rita"), person(f"{word} Ravi")
    for one in (first, second):
        assign_role(Role.REVIEWER, to=one, scope=Scope.QUEUE, scope_id=str(queue.pk))
    the = Desk(agent, token, credential, kind, mandate, queue, first, second)
    webhooks.add(
        agent_id=agent.pk, url=f"https://192.0.2.7/{word}", events=[], label=f"{word} hook", actor=owner
    )
    return _worked(the, word, domain, boss)


def propose(the: Desk, word: str, number: int) -> Proposal:
    """A proposal that carries the word wherever an agent can put it; as if two other products had sent it."""
    call_id = f"{word}-{number}"
    imported = {
        "agent_inbox": {"config": {"allow_accept": True, "allow_respond": True}},
        "human_layer": dict.fromkeys(("channel", "reject_options", "state"))
        | {"run_id": word, "call_id": call_id},
    }
    return the.propose(
        {**ARGUMENTS, "order_id": f"{word}-{number}", "note": f"{word} note"},
        summary=f"{word} summary",
        reasoning=f"{word} reasoning",
        subject=Subject(type="customer", id=f"{word}-customer"),
        metadata={"of": f"{word} metadata", **imported},
        trace_id=f"{word}-trace" if number == 1 else "",
        key=f"humanlayer:{call_id}",
    )


def _worked(the: Desk, word: str, domain: str, boss: User) -> Side:
    pending = propose(the, word, 1)
    decided = the.decide(propose(the, word, 2), Verdict.APPROVE).proposal
    running = the.decide(propose(the, word, 3), Verdict.APPROVE).proposal
    Proposal.objects.filter(pk=running.pk).update(state="executing")
    unknown = the.decide(propose(the, word, 4), Verdict.APPROVE).proposal
    Proposal.objects.filter(pk=unknown.pk).update(state="unknown")
    rejected = the.decide(propose(the, word, 5), Verdict.REJECT).proposal
    row = Evidence.judgements().get(proposal_id=rejected.pk)
    raised = dispute.dispute(
        evidence_id=row.pk, actor=the.agent.owner, claim="right", text=f"{word} was right"
    )
    assert raised.review is not None
    earned(the.mandate, Tier.ON_THE_LOOP)
    watched = propose(the, word, 6)
    assert watched.state == "scheduled", watched.state
    earned(the.mandate, Tier.IN_THE_LOOP)
    reported = incident.report(
        report=Report(
            title=f"{word} incident",
            severity="minor",
            description=f"{word} description",
            proposals=[decided.pk],
            answers=the.agent.owner_id,
        ),
        reporter=the.agent.owner,
    )
    probe, serving = _probed(the, word, boss)
    return Side(
        the, word, domain, pending, decided, running, unknown, watched, rejected, reported, raised.review,
        probe, serving, _told(the, word), WebhookDelivery.objects.get(proposal=pending), _staffed(the, domain),
    )  # fmt: skip


def _probed(the: Desk, word: str, boss: User) -> tuple[Probe, ProbeServing]:
    """A probe in the library, and a serving of it that a reviewer missed and appealed."""
    content = Content(arguments={**ARGUMENTS, "order_id": f"{word}-7"}, summary=f"{word} summary")
    draft = probe_library.Draft(content=content, fault=f"{word} fault", faulty=["/amount"])
    probe = probe_library.add(action_type=the.action_type.name, draft=draft, actor=boss)
    missed = the.decide(propose(the, word, 7), Verdict.APPROVE).proposal
    Proposal.objects.filter(pk=missed.pk).update(planted=True)
    now = timezone.now()
    serving = ProbeServing.objects.create(
        probe=probe,
        standing=judging.standing_of(the.agent, the.action_type, missed.agent_version),
        agent=the.agent,
        serve_at=now - timedelta(hours=1),
        served_at=now - timedelta(hours=1),
        decided_at=now,
        probability=0.05,
        proposal=missed,
        appeal=f"{word} appeal",
        appealed_by=the.reviewer,
        appealed_at=now,
    )
    return probe, serving


def _told(the: Desk, word: str) -> Activity:
    """What the agent said it did while it came to its pending proposal."""
    item = {
        "kind": "prompt",
        "trace_id": f"{word}-trace",
        "span_id": "s-1",
        "name": f"{word} chat",
        "content": f"{word} prompt",
        "started_at": (timezone.now() - timedelta(minutes=1)).isoformat(),
    }
    answer = Client().post(
        "/api/v1/activity", {"items": [item]}, content_type="application/json", headers=the.headers
    )
    assert answer.status_code == 200, answer.content
    return Activity.objects.get(agent=the.agent)


def _staffed(the: Desk, domain: str) -> dict[str, User]:
    """Each role on this side, by the table's name for it."""
    word = the.queue.name.split()[0]
    made = {
        name: person(f"{word} {name.title()}")
        for name in ("reviewer", "senior", "manager", "editor", "prober", "reader")
    }
    queue, agent = str(the.queue.pk), str(the.agent.pk)
    for role, name, scope, scope_id in (
        (Role.REVIEWER, "reviewer", Scope.QUEUE, queue),
        (Role.SENIOR_REVIEWER, "senior", Scope.QUEUE, queue),
        (Role.AGENT_OWNER, "manager", Scope.AGENT, agent),
        (Role.POLICY_EDITOR, "editor", Scope.DOMAIN, domain),
        (Role.PROBE_AUTHOR, "prober", Scope.DOMAIN, domain),
        (Role.AUDITOR, "reader", Scope.QUEUE, queue),
        (Role.AUDITOR, "reader", Scope.AGENT, agent),
        (Role.AUDITOR, "reader", Scope.DOMAIN, domain),
    ):
        assign_role(role, to=made[name], scope=scope, scope_id=scope_id)
    return {**made, "owner": the.agent.owner}


def made() -> World:
    """Both sides, the people who belong to neither, and one of everything that belongs to a person."""
    boss = admin()
    network = outgoing.allow(
        network="192.0.2.0/24", purpose="both", reason="Where the agents run", actor=boss
    )
    here, there = side(WORDS[0], "north", boss), side(WORDS[1], "south", boss)
    gone = person("Gone Reviewer")
    assign_role(Role.REVIEWER, to=gone, scope=Scope.QUEUE, scope_id=str(here.the.queue.pk))
    auditor = person("Aud Auditor")
    assign_role(Role.AUDITOR, to=auditor)
    staff = {
        **here.people,
        **{f"~{name}": user for name, user in there.people.items()},
        "nobody": person("Nora Nobody"),
        "gone": gone,
        "auditor": auditor,
        "admin": boss,
    }
    reviewer = here.people["reviewer"]
    team = teams.create(name="Treasury team", actor=boss)
    teams.set_member(team_id=team.pk, person_id=here.the.second.pk, actor=boss, member=True)
    week = {day: [["09:00", "17:00"]] for day in DAYS[:5]}
    calendar = set_up.save_calendar(
        definition=CalendarDefinition(name="Office", time_zone="Europe/Berlin", week=week), actor=boss
    )
    return World(
        here=here,
        there=there,
        boss=boss,
        people=staff,
        team=team,
        calendar=calendar,
        absence=absences.enter(
            person_id=reviewer.pk,
            starts_at=timezone.now() + timedelta(days=1),
            ends_at=timezone.now() + timedelta(days=2),
            delegate_id=None,
            actor=reviewer,
        ),
        pulled=stop.pull(switch=Switch(mandate=there.the.mandate), by=boss, reason="A drill").stop,
        signature=earn.ask(mandate_id=here.the.mandate.pk, actor=here.the.agent.owner, reason="It is good."),
        views={
            name: save_view.save(owner=user, name="Mine", query="", is_default=False)
            for name, user in staff.items()
        },
        notifications={name: _notified(user) for name, user in staff.items()},
        chat={
            name: ChatAddress.objects.create(person=user, label="Chat", sealed=b"x")
            for name, user in staff.items()
        },
        held=hold.place(
            subject=Whose(type="customer", id=f"{here.word}-customer"), reason="A case", actor=boss
        ),
        backtest=_uploaded(here.the.agent.owner),
        link=people.invite(email="new@example.com", name="Nina New", actor=boss)[1],
        event=AuditEvent.objects.latest("pk"),
        request=access_request.ask(
            person=staff["nobody"],
            role=Role.REVIEWER,
            scope=Scope.QUEUE,
            scope_id=str(here.the.queue.pk),
            reason="To help out",
        ),
        given=RoleAssignment.objects.get(person=reviewer),
        network=network,
    )


def _notified(user: User) -> Notification:
    tell([user.pk], topic=Topic.COMMENTED, text="Something for you", key="world", link="/absence/")
    return Notification.objects.get(recipient=user, key="world")


def _uploaded(owner: User) -> Backtest:
    line = {"at": "2026-01-01T00:00:00Z", "agent": "a", "action_type": "t", "verdict": "approve"}
    content = (json.dumps({**line, "reviewer": "r", "amount": 10, "currency": "EUR"}) + "\n").encode()
    return backtest.upload(name="past.jsonl", content=content, options=Options(), actor=owner)
