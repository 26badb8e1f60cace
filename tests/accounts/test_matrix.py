"""The permission matrix over HTTP: what each cell says and why, roles given and taken in place, at a constant cost."""

import re
from datetime import timedelta
from typing import Any

import pytest
from django.contrib.auth.models import Group, Permission
from django.db import connection, transaction
from django.test import Client
from django.test.utils import CaptureQueriesContext
from django.utils import timezone

from accounts import second_person
from accounts.models import (
    PendingChange,
    PersonPermission,
    RoleAssignment,
    User,
    assign_role,
    content_type_of,
)
from accounts.roles import Role, Scope
from accounts.services import teams
from agents.models import Agent
from approvals.models import Queue
from audit.models import AuditEvent
from tests.factories import admin, auditor, desk, person, queue

pytestmark = pytest.mark.django_db(transaction=True)


def signed_in(user: User) -> Client:
    client = Client()
    client.force_login(user)
    return client


def page(user: User, address: str, **headers: str) -> str:
    response = signed_in(user).get(address, headers=headers)
    assert response.status_code == 200, (address, response.status_code)
    return response.content.decode()


def cells(html: str) -> dict[str, list[tuple[str, str]]]:
    """Every cell's letters with how they came, by its id."""
    found = {}
    for name, inner in re.findall(r'<a class="mx" id="([^"]+)".*?>(.*?)</a>', html, re.DOTALL):
        found[name] = re.findall(r'class="mark mark--(\w+)[^"]*" aria-hidden="true">(\w)<', inner)
    return found


def team_of(*people: User, name: str = "Refund desk") -> Group:
    team = teams.create(name=name, actor=admin())
    for one in people:
        teams.set_member(team_id=team.pk, person_id=one.pk, actor=admin(), member=True)
    return team


def give(role: Role, to: User | Group, on: Queue | Agent | str = "", **extra: Any) -> RoleAssignment:
    scope = {Queue: Scope.QUEUE, Agent: Scope.AGENT, str: Scope.DOMAIN if on else Scope.EVERYTHING}[type(on)]
    key = on if isinstance(on, str) else str(on.pk)
    return assign_role(role, to=to, scope=scope, scope_id=key, given_by=admin(), **extra)[0]


def test_cell_says_how_each_role_came() -> None:
    refunds, payouts = queue("refunds"), queue("payouts", domain="treasury")
    rita, ravi = person("Rita"), person("Ravi")
    team = team_of(ravi)
    give(Role.REVIEWER, rita, refunds)
    give(Role.SENIOR_REVIEWER, team, refunds)
    give(Role.REVIEWER, ravi, "treasury")
    give(Role.AUDITOR, rita)

    found = cells(page(admin(), "/permissions/"))
    of_teams = cells(page(admin(), "/permissions/?rows=teams"))

    assert found[f"c-person-{rita.pk}-{refunds.pk}"] == [("own", "R"), ("wide", "A")]
    assert found[f"c-person-{rita.pk}-{payouts.pk}"] == [("wide", "A")]
    assert found[f"c-person-{rita.pk}--"] == [("own", "A")]
    assert found[f"c-person-{ravi.pk}-{refunds.pk}"] == [("team", "S")]
    assert found[f"c-person-{ravi.pk}-{payouts.pk}"] == [("wide", "R")]
    assert of_teams[f"c-team-{team.pk}-{refunds.pk}"] == [("own", "S")]
    assert of_teams[f"c-team-{team.pk}-{payouts.pk}"] == []


def test_agents_show_their_named_owner_and_what_admins_may() -> None:
    the = desk()
    found = cells(page(admin(), "/permissions/?columns=agents"))

    assert found[f"c-person-{the.agent.owner_id}-{the.agent.pk}"] == [("own", "N")]
    assert found[f"c-person-{admin().pk}-{the.agent.pk}"] == [("wide", "M")]
    assert found[f"c-person-{the.reviewer.pk}-{the.agent.pk}"] == []


def test_domains_show_what_is_given_on_them_and_on_everything() -> None:
    queue("refunds")
    eddie = person("Eddie")
    give(Role.POLICY_EDITOR, eddie, "customer_operations")
    give(Role.PROBE_AUTHOR, eddie)

    found = cells(page(admin(), "/permissions/?columns=domains"))

    assert found[f"c-person-{eddie.pk}-customer_operations"] == [("own", "P"), ("wide", "B")]


def test_detail_says_why() -> None:
    refunds, ravi = queue("refunds"), person("Ravi")
    team = team_of(ravi)
    give(Role.REVIEWER, team, refunds, reason="The summer rush", ends_at=timezone.now() + timedelta(days=3))
    used = RoleAssignment.objects.filter(role=Role.REVIEWER)
    used.update(last_used_at=timezone.now() - timedelta(hours=5))

    html = page(auditor(), f"/permissions/person/{ravi.pk}/queue/{refunds.pk}/")

    words = " ".join(re.sub(r"<[^>]+>", " ", html).split())
    for said in (
        "as a member of Refund desk",
        "by Ada Admin",
        "The summer rush",
        "Last used 5 h ago",
        "given by an admin",
    ):
        assert said in words, said
    assert re.search(r"Until in (2 d|3 d)", words)
    assert re.search(r"In the team since less than a minute ago ?, by an admin, Ada Admin", words)
    assert "Give the role" not in words  # auditors change nothing


def test_right_set_by_hand_is_shown_as_such_and_cannot_be_taken_here() -> None:
    refunds, rita = queue("refunds"), person("Rita")
    kind = content_type_of(Scope.QUEUE)
    PersonPermission.objects.create(
        user=rita,
        permission=Permission.objects.get(content_type=kind, codename="review_queue"),
        content_type=kind,
        object_pk=str(refunds.pk),
    )

    assert cells(page(admin(), "/permissions/"))[f"c-person-{rita.pk}-{refunds.pk}"] == [("hand", "R")]
    html = page(admin(), f"/permissions/person/{rita.pk}/queue/{refunds.pk}/")
    assert "set by hand" in html
    assert "Take away" not in html


def test_role_is_given_with_an_end_and_a_reason_and_taken_with_a_reason() -> None:
    refunds, rita = queue("refunds"), person("Rita")
    client, address = signed_in(admin()), f"/permissions/person/{rita.pk}/queue/{refunds.pk}/"
    day = timezone.localdate() + timedelta(days=2)

    answer = client.post(
        address, {"role": "reviewer", "until": day.isoformat(), "reason": "Holidays"}, follow=True
    )

    assert "Rita is reviewer for queue Refunds now." in answer.content.decode()
    given = RoleAssignment.objects.get(person=rita)
    assert (given.role, given.reason, given.given_by) == ("reviewer", "Holidays", admin())
    assert given.ends_at is not None
    assert given.ends_at.date() == day + timedelta(days=1)
    answer = client.post(f"/permissions/assignments/{given.pk}/end/", {"why": "Back again"}, follow=True)
    assert "The role reviewer for queue Refunds is taken from Rita." in answer.content.decode()
    given.refresh_from_db()
    assert (given.ended_by, given.ended_why) == (admin(), "Back again")
    kinds = AuditEvent.objects.filter(kind__startswith="role.", object_type="queue").order_by("id")
    assert list(kinds.values_list("kind", flat=True)) == ["role.given", "role.ended"]


def test_in_place_the_panel_answers_with_itself_and_the_letters() -> None:
    refunds, rita = queue("refunds"), person("Rita")
    address = f"/permissions/person/{rita.pk}/queue/{refunds.pk}/"
    client = signed_in(admin())

    answer = client.post(address, {"role": "reviewer"}, headers={"HX-Request": "true"})

    html = answer.content.decode()
    assert answer.status_code == 200
    assert cells(html) == {f"c-person-{rita.pk}-{refunds.pk}": [("own", "R")]}
    assert 'id="cell"' in html
    assert "data-announce" in html
    refused = client.post(address, {"role": "admin"}, headers={"HX-Request": "true"})
    assert refused.status_code == 422
    assert RoleAssignment.objects.filter(person=rita).count() == 1


def test_end_in_the_past_is_told_at_its_field() -> None:
    refunds, rita = queue("refunds"), person("Rita")
    address = f"/permissions/person/{rita.pk}/queue/{refunds.pk}/"

    answer = signed_in(admin()).post(address, {"role": "reviewer", "until": "2020-01-01"})

    assert answer.status_code == 422
    assert list(answer.context["form"].errors) == ["until"]
    assert not RoleAssignment.objects.filter(person=rita).exists()


def test_role_that_needs_a_second_person_says_so_and_changes_nothing() -> None:
    nora = person("Nora")
    with transaction.atomic():
        second_person.store_level(
            [second_person.What.ROLE], by=admin(), actor=admin().actor(), reason="Four eyes"
        )

    answer = signed_in(admin()).post(
        f"/permissions/person/{nora.pk}/everything/-/", {"role": "admin", "reason": "Holidays"}, follow=True
    )

    assert "A second admin has to agree" in answer.content.decode()
    assert PendingChange.objects.get(answered_at=None).what == "role"
    assert not User.objects.get(pk=nora.pk).is_admin


def test_nobody_gives_himself_a_role() -> None:
    refunds, boss = queue("refunds"), admin()
    address = f"/permissions/person/{boss.pk}/queue/{refunds.pk}/"

    assert "Nobody gives himself a role" in page(boss, address)
    assert signed_in(boss).post(address, {"role": "reviewer"}).status_code == 403
    assert not RoleAssignment.objects.filter(person=boss, role="reviewer").exists()


def test_matrix_is_for_admins_and_auditors_and_changed_by_admins() -> None:
    refunds, rita = queue("refunds"), person("Rita")
    given = give(Role.REVIEWER, rita, refunds)
    cell = f"/permissions/person/{rita.pk}/queue/{refunds.pk}/"
    readable = (
        "/permissions/",
        cell,
        f"/permissions/queue/{refunds.pk}/",
        "/permissions/history/",
        f"/people/{rita.pk}/access/",
    )
    reader = signed_in(auditor())
    for address in readable:
        assert signed_in(rita).get(address).status_code == 403, address
        assert reader.get(address).status_code == 200, address
    for client in (signed_in(rita), reader):
        assert client.post(cell, {"role": "senior_reviewer"}).status_code == 403
        assert client.post(f"/permissions/assignments/{given.pk}/end/").status_code == 403
        assert client.get(f"/permissions/person/{rita.pk}/give/").status_code == 403
        assert client.post(f"/permissions/person/{rita.pk}/give/", {}).status_code == 403
    assert RoleAssignment.objects.filter(ended_at=None, person=rita).get() == given


@pytest.mark.parametrize(
    "address",
    [
        "person/999/queue/{queue}/", "robot/{person}/queue/{queue}/", "person/{person}/planet/{queue}/",
        "person/{person}/queue/999/", "person/{person}/queue/-/", "person/{person}/everything/x/",
        "person/{person}/domain/no-such/", "queue/{queue}9/", "queue/²/", "person/99999999999999999999/queue/{queue}/",
    ],
)  # fmt: skip
def test_cell_of_nothing_is_not_found(address: str) -> None:
    refunds, rita = queue("refunds"), person("Rita")
    path = address.format(queue=refunds.pk, person=rita.pk)

    assert signed_in(admin()).get(f"/permissions/{path}").status_code == 404


@pytest.mark.parametrize(
    ("query", "people", "columns"),
    [
        ("", {"Ada Admin", "Rita", "Ravi"}, {"Refunds", "Payouts"}),
        ("?q=rita", {"Rita"}, {"Refunds", "Payouts"}),
        ("?on=treas", {"Ada Admin", "Rita", "Ravi"}, {"Payouts"}),
        ("?role=reviewer", {"Ravi"}, {"Refunds", "Payouts"}),
        ("?role=admin&on=ref", {"Ada Admin"}, {"Refunds"}),
        ("?state=inactive", {"Gone"}, {"Refunds", "Payouts"}),
        ("?rows=teams", {"Refund desk"}, {"Refunds", "Payouts"}),
        (
            "?team=nonsense&role=nonsense&page=999&across=zero&columns=x&q=%00",
            {"Ada Admin", "Rita", "Ravi"}, {"Refunds", "Payouts"},
        ),
    ],
)  # fmt: skip
def test_filters_stand_in_the_address(query: str, people: set[str], columns: set[str]) -> None:
    refunds = queue("refunds")
    queue("payouts", domain="treasury")
    ravi = person("Ravi")
    person("Rita")
    person("Gone", is_active=False)
    give(Role.REVIEWER, team_of(ravi), refunds)

    html = page(admin(), f"/permissions/{query}")

    assert set(re.findall(r'id="h-\d+"[^>]*><bdi>([^<]+)', html)) == people
    assert set(re.findall(r'id="k-\d+"[^>]*><bdi>([^<]+)', html)) == columns


def test_cost_does_not_grow_with_the_installation() -> None:
    boss = admin()
    client = signed_in(boss)
    addresses = [
        "/permissions/",
        "/permissions/?rows=teams",
        "/permissions/?columns=agents",
        "/permissions/?columns=domains",
    ]

    def costs(*more: str) -> dict[str, int]:
        found = {}
        for address in (*addresses, *more):
            with CaptureQueriesContext(
                connection,
            ) as asked:
                assert client.get(address).status_code == 200
            found[address] = len(asked)
        return found

    first, rita = queue("refunds"), person("Rita")
    give(Role.REVIEWER, team_of(rita), first)
    give(Role.REVIEWER, rita, first)
    pages = (
        f"/people/{rita.pk}/access/",
        f"/permissions/queue/{first.pk}/",
        "/permissions/history/",
        f"/permissions/person/{rita.pk}/queue/{first.pk}/",
    )
    few = costs(*pages)
    for number in range(20):
        one, where = person(), queue(domain=f"domain_{number % 4}")
        give(Role.REVIEWER, one, first)
        give(Role.REVIEWER, rita, where)
        give(Role.SENIOR_REVIEWER, team_of(one, rita, name=f"Team {number}"), first)
        give(Role.AUDITOR, rita, f"domain_{number % 4}")
    assert costs(*pages) == few


def test_large_installation_stays_light() -> None:
    """500 people, 60 teams, 80 queues and 200 agents, with long names and roles everywhere."""
    boss, rows = admin(), range(500)
    people = User.objects.bulk_create(
        [User(email=f"p{n}@example.com", name=f"{n:03} " + "Long Name " * 11) for n in rows]
    )
    groups = Group.objects.bulk_create([Group(name=f"{n:02} " + "Team " * 28) for n in range(60)])
    for number, one in enumerate(people):
        one.groups.add(groups[number % 60])
    queues = Queue.objects.bulk_create(
        [Queue(slug=f"q-{n}", name=f"{n:02} " + "Queue " * 19, domain=f"d{n % 8}") for n in range(80)]
    )
    Agent.objects.bulk_create(
        [
            Agent(slug=f"a-{n}", name=f"{n:03} " + "Agent " * 19, owner=people[n], domain=f"d{n % 8}")
            for n in range(200)
        ]
    )
    for group in groups[:12]:
        for where in queues[:10]:
            give(Role.REVIEWER, group, where)
    for one in people[:25]:
        give(Role.AUDITOR, one)
        give(Role.SENIOR_REVIEWER, one, "d0")
    client = signed_in(boss)
    addresses = [
        f"/permissions/?rows={rows}&columns={columns}"
        for rows in ("people", "teams")
        for columns in ("queues", "agents", "domains")
    ]
    addresses += [
        f"/people/{people[0].pk}/access/",
        f"/permissions/queue/{queues[0].pk}/",
        "/permissions/history/",
        "/people/",
        "/teams/",
        f"/teams/{groups[0].pk}/",
        f"/permissions/person/{people[0].pk}/give/",
    ]
    sizes = {address: len(client.get(address).content) for address in addresses}
    assert {address: size for address, size in sizes.items() if size > 150_000} == {}, sizes
