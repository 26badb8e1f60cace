"""No change without its event: every address, command and task is walked or listed, and events say what they must."""

import re
from collections.abc import Callable, Iterator
from dataclasses import dataclass, field
from typing import Any
from uuid import uuid4

import pytest
from django.contrib.auth.models import Group
from django.core.cache import cache
from django.core.management import call_command, get_commands
from django.test import Client
from django.urls import URLPattern, URLResolver, get_resolver

from accounts.services import people
from accounts.views import closed
from agents.models import Credential
from approvals.models import Proposal
from approvals.services import set_up
from audit.events import Kind
from audit.models import AuditEvent
from config import refusals
from config.celery import app
from tests.audit.coverage_table import CLOSED, COMMANDS, ROUTES, TASKS
from tests.factories import ARGUMENTS, Desk, admin, desk, person

pytestmark = pytest.mark.django_db(transaction=True)


def routes(patterns: list[Any] | None = None, prefix: str = "") -> Iterator[tuple[str, str]]:
    """Every address as its patterns spell it, with its name."""
    for one in get_resolver().url_patterns if patterns is None else patterns:
        if isinstance(one, URLResolver):
            yield from routes(one.url_patterns, prefix + str(one.pattern))
        elif isinstance(one, URLPattern):
            yield prefix + str(one.pattern), one.name or ""


def of_the_administration(route: str) -> bool:
    """What Django's admin makes for each model: `tests/audit/test_admin.py` holds those to read-only or audited."""
    return bool(re.match(r"admin/(\w+/\w+/|\^|r/|\(|autocomplete|jsi18n|password_change/done|$)", route))


def address(route: str) -> str:
    """An address of this route about something that does not exist."""
    filled = route
    for converter, value in (
        ("uuid", str(uuid4())),
        ("int", "1"),
        ("slug", "x"),
        ("str", "x"),
        ("path", "x"),
    ):
        filled = re.sub(rf"<{converter}:\w+>", value, filled)
    return "/" + filled


def test_an_address_that_is_not_in_the_table_takes_no_post() -> None:
    """A new page that changes something fails here until somebody says which event it writes."""
    client = Client()
    client.force_login(admin())
    took = {}
    for route, _ in routes():
        if route in ROUTES or route == CLOSED or "^" in route or of_the_administration(route):
            continue
        answer = client.post(address(route))
        if (
            answer.status_code not in (404, 405)
            and getattr(answer.resolver_match, "func", None) is not closed
        ):
            took[route] = answer.status_code
    assert took == {}


def test_the_table_names_no_address_that_is_gone() -> None:
    assert ROUTES.keys() - {route for route, _ in routes()} == set()


def test_every_command_and_task_is_in_the_table() -> None:
    ours = {name for name, where in get_commands().items() if str(where) in _APPS}
    assert ours == COMMANDS.keys()
    app.loader.import_default_modules()
    assert {name for name in app.tasks if not name.startswith("celery.")} == TASKS.keys()


_APPS = ("audit", "accounts", "agents", "approvals", "config")


def test_every_kind_of_event_is_written_by_something_in_the_tables() -> None:
    told = {kind for table in (ROUTES, COMMANDS, TASKS) for kinds in table.values() for kind in kinds}
    assert {str(kind) for kind in Kind} - {str(kind) for kind in told} == FOLLOWS


FOLLOWS = {
    "activity.read",  # with a page that shows an agent's words: reading them is the event
    "admin.changed",  # Django's administration, tests/audit/test_admin.py
    "reviewer.pacing_stopped",  # with a refused vote
    "dispute.settled",  # with the third person's judgement
    "review.asked",  # with what is judged
    "review.peeked",  # with a GET that is an event in itself
    "proposal.rollback_answered",  # with a proposal that undoes another
}


# What each event has to say


@dataclass
class World:
    """One installation and its people, each signed in at the real sign-in page's end: a session of his own."""

    the: Desk
    boss: Client = field(default_factory=Client)
    rita: Client = field(default_factory=Client)

    @classmethod
    def made(cls) -> "World":
        world = cls(desk(at={"undo_seconds": 0}))
        world.boss.force_login(admin())
        world.rita.force_login(world.the.reviewer)
        return world

    def pending(self) -> Proposal:
        return self.the.propose()


Act = Callable[[World], Any]


def seen(proposal: Proposal, **more: Any) -> dict[str, Any]:
    return {"revision": proposal.revision, "version": proposal.version, **more}


def _decide(verdict: str, **more: Any) -> Act:
    def act(world: World) -> Any:
        proposal = world.pending()
        return world.rita.post(f"/proposals/{proposal.pk}/{verdict}/", seen(proposal, seen="on", **more))

    return act


def _on_proposal(verb: str, **data: Any) -> Act:
    return lambda world: world.rita.post(f"/proposals/{world.pending().pk}/{verb}/", data)


def _release(world: World) -> Any:
    proposal = world.pending()
    world.rita.post(f"/proposals/{proposal.pk}/claim/")
    return world.rita.post(f"/proposals/{proposal.pk}/release/")


def _agent(verb: str, **data: Any) -> Act:
    return lambda world: world.boss.post(f"/agents/{world.the.agent.slug}/{verb}/", data)


def _credential(verb: str, **data: Any) -> Act:
    def act(world: World) -> Any:
        held = Credential.objects.filter(agent=world.the.agent).latest("pk")
        return world.boss.post(f"/agents/{world.the.agent.slug}/credentials/{held.pk}/{verb}/", data)

    return act


def _person(verb: str) -> Act:
    return lambda world: world.boss.post(f"/people/{world.the.second.pk}/{verb}/")


def _team(world: World) -> Any:
    team = Group.objects.get_or_create(name="treasury")[0]
    world.boss.post(f"/teams/{team.pk}/add/", {"person": world.the.second.pk})
    return world.boss.post(f"/teams/{team.pk}/members/{world.the.second.pk}/remove/")


def _stop(world: World) -> Any:
    return world.boss.post("/stops/pull/", {"what": "all", "reason": "A drill"})


def _reviewers(world: World) -> Any:
    slug = world.the.queue.slug
    return world.boss.post(f"/setup/queues/{slug}/reviewers/person/{world.the.second.pk}/remove/")


def _propose(world: World) -> Any:
    body = {"action_type": world.the.action_type.name, "arguments": ARGUMENTS}
    return Client().post(
        "/api/v1/proposals",
        body,
        content_type="application/json",
        headers={**world.the.headers, "Idempotency-Key": uuid4().hex},
    )


def _withdraw(world: World) -> Any:
    where = f"/api/v1/proposals/{world.pending().pk}/withdraw"
    return Client().post(where, {}, content_type="application/json", headers=world.the.headers)


def _redeem(world: World) -> Any:
    proposal = world.the.approved()
    where = f"/api/v1/proposals/{proposal.pk}/redeem"
    data = {"digest": proposal.digest}
    return Client().post(where, data, content_type="application/json", headers=world.the.headers)


def _sign_in(world: World) -> Any:
    login = {"login": world.the.reviewer.email, "password": "a long password"}
    return Client().post("/account/login/", login)


def _fail_to_sign_in(world: World) -> Any:
    return Client().post("/account/login/", {"login": world.the.reviewer.email, "password": "not his"})


SCENARIOS: list[tuple[str, Act, set[str]]] = [
    ("proposals/<uuid:proposal_id>/approve/", _decide("approve"), {"proposal.voted"}),
    ("proposals/<uuid:proposal_id>/reject/", _decide("reject", reason="not_allowed"), {"proposal.voted"}),
    ("proposals/<uuid:proposal_id>/return/", _decide("return", comment="Which?"), {"proposal.voted"}),
    ("proposals/<uuid:proposal_id>/claim/", _on_proposal("claim"), {"proposal.claimed"}),
    ("proposals/<uuid:proposal_id>/release/", _release, {"proposal.released"}),
    ("proposals/<uuid:proposal_id>/skip/", _on_proposal("skip"), {"proposal.skipped"}),
    (
        "proposals/<uuid:proposal_id>/comment/",
        _on_proposal("comment", text="Ask them."),
        {"proposal.commented"},
    ),
    ("api/v1/proposals", _propose, {"proposal.pending"}),
    ("api/v1/proposals/<uuid:proposal_id>/withdraw", _withdraw, {"proposal.withdrawn"}),
    ("api/v1/proposals/<uuid:proposal_id>/redeem", _redeem, {"proposal.executing"}),
    ("agents/<slug:slug>/suspend/", _agent("suspend", reason="Odd"), {"agent.suspended"}),
    ("agents/<slug:slug>/resume/", _agent("resume", reason="Fine"), {"agent.resumed"}),
    (
        "agents/<slug:slug>/credentials/issue/",
        _agent("credentials/issue", label="x", days=9),
        {"credential.issued"},
    ),
    (
        "agents/<slug:slug>/credentials/<int:credential_id>/revoke/",
        _credential("revoke"),
        {"credential.revoked"},
    ),
    (
        "setup/queues/<slug:slug>/reviewers/<str:kind>/<int:holder_id>/remove/",
        _reviewers,
        {"queue.reviewers_assigned"},
    ),
    ("teams/<int:team_id>/members/<int:person_id>/remove/", _team, {"team.changed"}),
    ("people/<int:person_id>/issue-link/", _person("issue-link"), {"person.link_issued"}),
    ("people/<int:person_id>/deactivate/", _person("deactivate"), {"person.deactivated"}),
    ("people/<int:person_id>/reactivate/", _person("reactivate"), {"person.reactivated"}),
    ("stops/pull/", _stop, {"stop.pulled"}),
    ("account/login/", _sign_in, {"person.signed_in"}),
    ("account/login/", _fail_to_sign_in, {"person.sign_in_failed"}),
    ("account/logout/", lambda world: world.rita.post("/account/logout/"), {"person.signed_out"}),
]

CHANGES = re.compile(
    r"\.(saved|changed|assigned|revoked|voted|approved|rejected|returned|executing|suspended|resumed)$"
)
NO_BEFORE = {"proposal.voted", "proposal.assigned"}
"""What it made is new: there was no vote before."""
UNDER_POLICY = re.compile(r"proposal\.(voted|approved|rejected|returned|pending|executing|withdrawn)$")


def test_each_scenario_writes_its_event_and_each_event_says_who_from_where_and_what(no_limits: None) -> None:
    world = World.made()
    wrong: list[str] = []
    for route, act, wanted in SCENARIOS:
        last = AuditEvent.objects.latest("pk").pk
        answer = act(world)
        found = [
            one for one in AuditEvent.objects.filter(pk__gt=last).order_by("pk") if one.data.get("source")
        ]
        kinds = {one.kind for one in found}
        if not wanted <= kinds:
            wrong.append(f"{route}: {answer.status_code}, {sorted(kinds)} and not {sorted(wanted)}")
        wrong += [f"{route}: {one.kind} {fault}" for one in found for fault in faults(one)]
        assert {str(kind) for kind in ROUTES[route]} & kinds >= wanted & {str(kind) for kind in ROUTES[route]}
    assert wrong == []


def faults(event: AuditEvent) -> list[str]:
    """What an event that came by a request lacks."""
    said, found = event.data, []
    source = said.get("source") or {}
    if not source.get("request_id") or not source.get("address"):
        found.append("says not from where")
    anonymous = (event.actor_kind, event.actor_id) == ("system", "anonymous")
    if event.actor_kind != "system" and not source.get("session"):
        found.append("says not in which session or with which credential")
    if not event.actor_id or not said["actor"]["label"]:
        found.append("says not who")
    if anonymous and event.kind not in (Kind.ACCESS_REFUSED, Kind.SIGN_IN_FAILED):
        found.append("was done by nobody")
    if CHANGES.search(event.kind) and not (said.get("before") or said.get("after")):
        found.append("says not what changed")
    state = event.kind.startswith("proposal.") and event.object_version and event.object_version > 1
    if state and event.kind not in NO_BEFORE and not said.get("before"):
        found.append("says not what was before")
    if UNDER_POLICY.match(event.kind) and not said.get("policy_version"):
        found.append("says not under which policy")
    return found


@pytest.fixture
def no_limits() -> Iterator[None]:
    """Rate limits and hints of earlier tests are none of this one's."""
    cache.clear()
    yield
    cache.clear()


# On whose behalf


def test_a_command_acts_on_a_persons_behalf(capsys: pytest.CaptureFixture[str]) -> None:
    the = desk()
    call_command("issue_credential", the.agent.slug, by=the.agent.owner.email)
    event = AuditEvent.objects.filter(kind="credential.issued").latest("pk")
    assert (event.actor_kind, event.actor_id) == ("system", "manage.py issue_credential")
    assert event.data["on_behalf_of"] == {
        "kind": "human",
        "id": str(the.agent.owner.pk),
        "label": "Olga Owner",
    }


def test_an_agents_event_names_the_credential(no_limits: None) -> None:
    world = World.made()
    _propose(world)
    event = AuditEvent.objects.filter(kind="proposal.pending").latest("pk")
    assert event.data["source"]["session"] == f"credential {world.the.credential.pk}"


# Refused attempts


def refused() -> list[AuditEvent]:
    return list(AuditEvent.objects.filter(kind="access.refused").order_by("pk"))


def revoked_token(the: Desk) -> dict[str, str]:
    Credential.objects.filter(pk=the.credential.pk).update(revoked_at="2026-01-01T00:00:00Z")
    return the.headers


def _csrf(the: Desk) -> Any:
    client = Client(enforce_csrf_checks=True)
    client.force_login(the.reviewer)
    return client.post(f"/proposals/{uuid4()}/claim/")


def _stranger(the: Desk) -> Any:
    client = Client()
    client.force_login(person("Sven Stranger"))
    return client.get("/audit/")


def _second_redemption(the: Desk) -> Any:
    proposal = the.approved()
    where, data = f"/api/v1/proposals/{proposal.pk}/redeem", {"digest": "sha256:" + "0" * 64}
    return Client().post(where, data, content_type="application/json", headers=the.headers)


def _owner_votes(the: Desk) -> Any:
    set_up.assign_reviewer(queue_slug=the.queue.slug, to=the.agent.owner, actor=admin())
    client = Client()
    client.force_login(the.agent.owner)
    proposal = the.propose()
    return client.post(f"/proposals/{proposal.pk}/approve/", seen(proposal, seen="on"))


def _used_link(the: Desk) -> Any:
    _, link = people.invite(email="new@example.com", name="Nina New", actor=admin())
    people.set_password(link=link, password="a long enough one")
    return Client().get(f"/password/{link}/")


REFUSALS: list[tuple[Callable[[Desk], Any], int, str, str]] = [
    (lambda the: Client().get("/api/v1/me", headers=revoked_token(the)), 401, "agent", "bad_credential"),
    (_csrf, 403, "human", "forbidden"),
    (_stranger, 403, "human", "not_allowed"),
    (_owner_votes, 403, "human", "may_not_decide"),
    (_second_redemption, 409, "agent", "digest_mismatch"),
    (_used_link, 403, "system", "forbidden"),
]


@pytest.mark.parametrize(("attempt", "status", "who", "code"), REFUSALS)
def test_a_refused_attempt_is_one_event(
    attempt: Callable[[Desk], Any], status: int, who: str, code: str, no_limits: None
) -> None:
    the = desk()
    assert attempt(the).status_code == status
    [event] = refused()
    assert (event.actor_kind, event.data["detail"]["code"], event.data["detail"]["status"]) == (
        who,
        code,
        status,
    )
    assert event.data["source"]["address"] == "127.0.0.1" and event.data["source"]["request_id"]
    by_somebody = who == "human" or (who == "agent" and code != "bad_credential")
    assert bool(event.data["source"]["session"]) == by_somebody


def test_a_flood_leaves_few_events_that_tell_how_large_it_was(settings: Any, no_limits: None) -> None:
    settings.REFUSALS_EACH = 3
    the = desk()
    client, headers = Client(), revoked_token(the)
    for _ in range(60):
        assert client.get("/api/v1/me", headers=headers).status_code == 401
    numbers = [one.data["detail"].get("number", 1) for one in refused()]
    assert numbers == [1, 2, 3, 5, 10, 20, 50]


def test_what_cannot_be_a_token_is_told_of_only_when_it_keeps_coming(settings: Any, no_limits: None) -> None:
    settings.REFUSALS_EACH = 10
    for _ in range(25):
        assert Client().get("/api/v1/me").status_code == 401
    assert [one.data["detail"]["number"] for one in refused()] == [10, 20]


@pytest.mark.parametrize(
    ("given", "party"),
    [
        ("192.0.2.7", "192.0.2.7"),
        ("2001:db8:1:2:3:4:5:6", "2001:db8:1:2::/64"),
        ("2001:db8:1:2::ffff", "2001:db8:1:2::/64"),
        ("unix", "unix"),
        ("", ""),
    ],
)
def test_a_party_is_an_address_or_its_network(given: str, party: str) -> None:
    assert refusals.network(given) == party


@pytest.mark.parametrize("count", [1, 2, 5, 10, 20, 50, 100, 5000])
def test_round_numbers_are_told(count: int) -> None:
    assert refusals.is_round(count)
    assert not refusals.is_round(count * 10 + 1)
