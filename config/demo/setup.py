"""Set the made-up company up: people, teams, rights, blueprints, credentials. Repeating it changes nothing."""

import json
import os
from datetime import timedelta
from pathlib import Path

from django.conf import settings
from django.contrib.auth.hashers import make_password
from django.contrib.auth.models import Group
from django.db import transaction
from django.utils import timezone

from accounts import assigning
from accounts.models import Absence, RoleAssignment, User, assign_role
from accounts.roles import Role, Scope
from accounts.services import absences, assignments
from agents.autonomy import Tier
from agents.models import Agent, Mandate
from agents.services import credentials
from agents.transitions import set_tier
from approvals.models import Queue
from approvals.services import load_blueprint, set_up
from audit import recording
from audit.events import Kind, Target, system
from config.demo import company, people

_ACTOR = system("demo_seed")
_LABEL = "demo"


def tokens_path() -> Path:
    """Where the demo agents' tokens are kept for `demo_agents`, readable by this user only."""
    return Path(settings.VAR) / "demo" / "tokens.json"


def newcomer_path() -> Path:
    """Where the token of `company.NEWCOMER` is for whoever started the demo, readable by this user only. A file and not
    a printed line, so that it is in no scrollback, no log and no history of commands."""
    return Path(settings.VAR) / f"{company.NEWCOMER}.token"


def set_up_company() -> None:
    """Everything but the past. Each step looks first whether it has been done."""
    _people()
    admin = User.objects.get(email=_admin_email())
    for path in company.BLUEPRINTS:
        load_blueprint.load(data=path.read_bytes(), name=path.name, actor=admin)
    _reviewers(admin)
    _earned()
    _absences(admin)
    _tokens()
    _newcomer()


def read_tokens() -> dict[str, str]:
    """Tokens by agent slug; empty before the company was set up."""
    try:
        found: dict[str, str] = json.loads(tokens_path().read_text("utf-8"))
    except FileNotFoundError:
        return {}
    return found


def write_private(path: Path, text: str) -> None:
    """Write a file that holds secrets: mode 0600 from its first byte, replaced whole."""
    path.parent.mkdir(parents=True, exist_ok=True, mode=0o700)
    temporary = path.with_suffix(".new")
    temporary.unlink(missing_ok=True)
    handle = os.open(temporary, os.O_WRONLY | os.O_CREAT | os.O_EXCL, 0o600)
    with os.fdopen(handle, "w", encoding="utf-8") as opened:
        opened.write(text)
    temporary.replace(path)


def _admin_email() -> str:
    return next(person.email for person in people.PEOPLE if person.is_admin)


def _people() -> None:
    existing = set(User.objects.values_list("email", flat=True))
    password = ""
    with transaction.atomic(durable=True):
        for name in people.TEAMS:
            team, created = Group.objects.get_or_create(name=name)
            if created:
                recording.record(actor=_ACTOR, kind=Kind.TEAM_CHANGED, target=Target("team", str(team.pk)),
                                 after={"name": name})  # fmt: skip
        _give(Role.AUDITOR, Group.objects.get(name=people.AUDITORS))
        for person in people.PEOPLE:
            if person.email in existing:
                continue
            password = password or make_password(people.PASSWORD)
            user = User.objects.create(
                email=person.email,
                name=person.name,
                password=password,
                time_zone="Europe/Amsterdam",
            )
            if person.is_admin:
                _give(Role.ADMIN, user)
            user.groups.set(Group.objects.filter(name__in=person.teams))
            recording.record(
                actor=_ACTOR,
                kind=Kind.PERSON_CREATED,
                target=Target("person", str(user.pk)),
                after={
                    "email": user.email,
                    "name": user.name,
                    "admin": person.is_admin,
                    "teams": list(person.teams),
                },
            )


def _give(role: Role, to: User | Group) -> None:
    """A role for everything, with its event."""
    assignment, is_new = assign_role(role, to=to, source=RoleAssignment.Source.SETUP)
    if is_new:
        recording.record(
            actor=_ACTOR,
            kind=Kind.ROLE_GIVEN,
            target=assigning.target(Scope.EVERYTHING, ""),
            after={"holds": True},
            detail={**assigning.facts(assignment), "is_given": True},
        )


EARNED = {
    ("ledger-assistant", "post_journal_entry"): Tier.ON_THE_LOOP,
    ("refund-desk", "issue_voucher"): Tier.ON_THE_LOOP,
    ("order-care", "cancel_order"): Tier.ON_THE_LOOP,
    ("stock-buyer", "create_purchase_order"): Tier.ON_THE_LOOP,
    ("stock-buyer", "change_purchase_order"): Tier.ON_THE_LOOP,
    ("night-operator", "restart_service"): Tier.ON_THE_LOOP,
    ("invoice-clerk", "book_credit_note"): Tier.OUT_OF_THE_LOOP,
    ("sourcing-scout", "request_quotes"): Tier.OUT_OF_THE_LOOP,
    ("access-concierge", "revoke_system_access"): Tier.OUT_OF_THE_LOOP,
}
"""The tiers that mandates had earned when the told past began."""


def _earned() -> None:
    """What nobody can set by hand: the tiers that a past before the told one had earned."""
    for (agent, action_type), tier in EARNED.items():
        mandate = Mandate.objects.get(agent__slug=agent, action_type__name=action_type)
        if not mandate.tier_changes.exists():
            with transaction.atomic(durable=True):
                set_tier(mandate, tier, actor=_ACTOR, changed_by=None,
                         reason="Earned before the demo's past begins.", cause="evidence")  # fmt: skip


def _reviewers(admin: User) -> None:
    for slug, teams in people.REVIEWED_BY.items():
        queue = Queue.objects.get(slug=slug)
        given = set(
            RoleAssignment.objects.filter(
                role__in=[Role.REVIEWER, Role.SENIOR_REVIEWER],
                scope=Scope.QUEUE,
                scope_id=str(queue.pk),
                ended_at=None,
            ).values_list("team__name", flat=True)
        )
        for name in teams:
            if name in given:
                continue
            if name == people.SENIOR:
                assignments.give(
                    role=Role.SENIOR_REVIEWER,
                    to=Group.objects.get(name=name),
                    actor=admin,
                    scope=Scope.QUEUE,
                    scope_id=str(queue.pk),
                    reason="Hands out work and answers appeals.",
                )
            else:
                set_up.assign_reviewer(queue_slug=slug, to=Group.objects.get(name=name), actor=admin)


def _absences(admin: User) -> None:
    """Somebody is always away; once an absence is over, the next seeding writes another one down."""
    now = timezone.now()
    users = {user.name: user for user in User.objects.all()}
    for name, delegate, start, end, note in people.AWAY:
        if not Absence.objects.filter(person=users[name], ends_at__gt=now).exists():
            absences.enter(
                person_id=users[name].pk,
                starts_at=now + timedelta(days=start),
                ends_at=now + timedelta(days=end),
                delegate_id=users[delegate].pk,
                note=note,
                actor=admin,
            )


def _tokens() -> None:
    """A credential for every agent whose token we do not hold."""
    tokens = read_tokens()
    agents = Agent.objects.filter(slug__in=[worker.slug for worker in company.WORKERS]).select_related(
        "owner"
    )
    changed = False
    for agent in agents:
        if agent.slug not in tokens or not _is_usable(agent):
            tokens[agent.slug] = _token(agent)
            changed = True
    if changed:
        write_private(tokens_path(), json.dumps(tokens, indent=1))


def _newcomer() -> None:
    agent = Agent.objects.select_related("owner").get(slug=company.NEWCOMER)
    if not newcomer_path().exists() or not _is_usable(agent):
        write_private(newcomer_path(), _token(agent) + "\n")


def _is_usable(agent: Agent) -> bool:
    return agent.credentials.filter(revoked_at=None, expires_at__gt=timezone.now(), label=_LABEL).exists()


def _token(agent: Agent) -> str:
    """Registered by its owner."""
    _, token = credentials.issue(agent_id=agent.pk, actor=agent.owner, label=_LABEL)
    return token
