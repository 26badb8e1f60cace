"""SCIM groups: teams that the directory fills, and how far it may go."""

from typing import Any

import pytest
from django.contrib.auth.models import Group

from accounts.exceptions import Conflict, NotAllowed
from accounts.models import DirectoryTeam, PendingChange, RoleAssignment, TeamJoin, User, assign_role
from accounts.roles import Role, Scope
from accounts.second_person import What
from accounts.services import assignments, teams
from accounts.services.directory import connect_team, disconnect_team
from audit.models import AuditEvent
from tests.accounts.scim import GROUP, directory, refused
from tests.factories import admin, person, queue, takes_two

pytestmark = pytest.mark.django_db(transaction=True)


def member(*people: Any) -> list[dict[str, str]]:
    return [{"value": str(getattr(one, "pk", one))} for one in people]


def add(*people: Any) -> dict[str, Any]:
    return {"op": "add", "path": "members", "value": member(*people)}


def in_team(team: Any) -> set[str]:
    return set(User.objects.filter(groups=team["id"]).values_list("name", flat=True))


def test_group_is_made_and_shown_as_in_figure_of_4_2() -> None:
    it, user = directory(), person("Nora")
    body = {"schemas": [GROUP], "displayName": "Tour Guides", "externalId": "g-1", "members": member(user)}

    answer = it.send("POST", "Groups", body)

    assert answer.status_code == 201
    made = answer.json()
    team = Group.objects.get(name="Tour Guides")
    assert made == {
        "schemas": [GROUP],
        "id": str(team.pk),
        "externalId": "g-1",
        "displayName": "Tour Guides",
        "members": [
            {
                "value": str(user.pk),
                "$ref": f"http://testserver/scim/v2/Users/{user.pk}",
                "type": "User",
                "display": "Nora",
            }
        ],
        "meta": {
            "resourceType": "Group",
            "created": made["meta"]["created"],
            "lastModified": made["meta"]["lastModified"],
            "location": f"http://testserver/scim/v2/Groups/{team.pk}",
            "version": answer["ETag"],
        },
    }
    assert it.get(f"Groups/{team.pk}").json() == made
    shown = it.get(f"Users/{user.pk}").json()["groups"]
    assert shown == [{"value": str(team.pk), "display": "Tour Guides", "type": "direct"}]
    event = AuditEvent.objects.filter(kind="team.changed").latest("id")
    assert (event.actor_id, event.data["detail"]["member"]) == ("directory:Acme ID", True)


def test_members_are_added_removed_and_replaced_as_in_3_5_2() -> None:
    it = directory()
    ann, bob, cid = person("Ann"), person("Bob"), person("Cid")
    team = it.group("Refunds", str(ann.pk))
    path = f"Groups/{team['id']}"

    assert it.patch(path, add(bob, ann)).status_code == 200
    assert in_team(team) == {"Ann", "Bob"}
    assert it.patch(path, {"op": "remove", "path": f'members[value eq "{ann.pk}"]'}).status_code == 200
    assert in_team(team) == {"Bob"}
    assert (
        it.patch(path, {"op": "Remove", "path": "members", "value": member(bob)}, add(cid)).status_code == 200
    )
    assert in_team(team) == {"Cid"}
    it.patch(path, {"op": "replace", "path": "members", "value": member(ann, bob)})
    assert in_team(team) == {"Ann", "Bob"}
    it.patch(path, {"op": "remove", "path": "members"})
    assert in_team(team) == set()
    it.send("PUT", path, {"schemas": [GROUP], "displayName": "Refunds", "members": member(cid)})
    assert in_team(team) == {"Cid"}
    told = [
        (event.data["detail"]["person"], event.data["detail"]["member"])
        for event in AuditEvent.objects.filter(kind="team.changed").order_by("id")
        if "person" in (event.data.get("detail") or {})
    ]
    assert told == [
        ("Ann", True), ("Bob", True), ("Ann", False), ("Bob", False), ("Cid", True), ("Ann", True), ("Bob", True),
        ("Cid", False), ("Ann", False), ("Bob", False), ("Cid", True),
    ]  # fmt: skip


def test_membership_given_by_an_admin_is_not_the_directorys_to_end() -> None:
    it, ann = directory(), person("Ann")
    team = it.group("Refunds")
    teams.set_member(team_id=int(team["id"]), person_id=ann.pk, actor=admin(), member=True)
    path = f"Groups/{team['id']}"

    assert "members" not in it.get(path).json()
    it.send("PUT", path, {"schemas": [GROUP], "displayName": "Refunds", "members": []})
    it.patch(path, {"op": "remove", "path": "members"})
    assert in_team(team) == {"Ann"}

    assert [one["value"] for one in it.patch(path, add(ann)).json()["members"]] == [str(ann.pk)]
    assert TeamJoin.objects.get().source == "page"
    it.patch(path, {"op": "remove", "path": "members"})
    assert in_team(team) == {"Ann"}
    it.patch(path, add(ann))
    teams.set_member(team_id=int(team["id"]), person_id=ann.pk, actor=admin(), member=False)
    assert (TeamJoin.objects.get().source, in_team(team)) == ("directory", {"Ann"})
    with pytest.raises(Conflict):
        teams.set_member(team_id=int(team["id"]), person_id=ann.pk, actor=admin(), member=False)
    assert it.send("DELETE", path).status_code == 204
    assert in_team(team) == set()


def test_membership_older_than_the_rows_stays_an_admins() -> None:
    it, ann = directory(), person("Ann")
    team = it.group("Refunds")
    ann.groups.add(Group.objects.get(pk=team["id"]))

    it.patch(f"Groups/{team['id']}", add(ann))
    it.patch(f"Groups/{team['id']}", {"op": "remove", "path": "members"})

    assert in_team(team) == {"Ann"}


def test_team_of_ours_is_not_taken_over_by_its_name() -> None:
    it, ann = directory(), person("Ann")
    ours = teams.create(name="Payout desk", actor=admin())

    refused(it.send("POST", "Groups", {"schemas": [GROUP], "displayName": "Payout desk"}), 409, "uniqueness")
    refused(it.patch(f"Groups/{ours.pk}", add(ann)), 404)
    refused(it.get(f"Groups/{ours.pk}"), 404)
    assert it.found("Groups") == []

    connect_team(team_id=ours.pk, claim="", actor=admin())
    assert it.found("Groups?filter=displayName%20eq%20%22payout%20desk%22")[0]["id"] == str(ours.pk)
    assert it.patch(f"Groups/{ours.pk}", add(ann)).status_code == 200
    disconnect_team(team_id=ours.pk, actor=admin())
    assert not ann.groups.exists()
    refused(it.get(f"Groups/{ours.pk}"), 404)


def test_directory_makes_nobody_an_admin() -> None:
    it, ann = directory(), person("Ann")
    team = it.group("Refunds")
    assign_role(Role.ADMIN, to=Group.objects.get(pk=team["id"]))

    refused(it.patch(f"Groups/{team['id']}", add(ann)), 403)
    assert not User.objects.get(pk=ann.pk).is_admin
    other = teams.create(name="Admins", actor=admin())
    assign_role(Role.ADMIN, to=other)
    with pytest.raises(NotAllowed):
        connect_team(team_id=other.pk, claim="", actor=admin())


def test_directory_fills_no_team_whose_role_takes_two_people() -> None:
    it, ann, bob = directory(), person("Ann"), person("Bob")
    team = it.group("Auditors", str(bob.pk))
    path = f"Groups/{team['id']}"
    assign_role(Role.AUDITOR, to=Group.objects.get(pk=team["id"]))
    takes_two(What.POLICY)
    assert it.patch(path, add(ann)).status_code == 200, "roles take one person yet"
    it.patch(path, {"op": "remove", "path": f'members[value eq "{ann.pk}"]'})

    takes_two(What.ROLE)
    refused(it.patch(path, add(ann)), 403)
    assert in_team(team) == {"Bob"}, "who is in already stays"
    assert it.send("DELETE", path).status_code == 204
    refused(it.send("POST", "Groups", {"schemas": [GROUP], "displayName": "Auditors"}), 403)
    with pytest.raises(NotAllowed, match="takes two people"):
        connect_team(team_id=int(team["id"]), claim="", actor=admin())


@pytest.mark.parametrize(
    ("role", "scope", "two", "is_given"),
    [
        (Role.ADMIN, Scope.EVERYTHING, False, False),
        (Role.ADMIN, Scope.EVERYTHING, True, False),
        (Role.AUDITOR, Scope.EVERYTHING, False, True),
        (Role.AUDITOR, Scope.EVERYTHING, True, False),
        (Role.AUDITOR, Scope.QUEUE, True, True),
    ],
    ids=["admin", "admin by two", "everything", "everything by two", "a queue"],
)
def test_far_reaching_role_is_not_given_to_a_team_that_the_directory_fills(
    role: Role, scope: Scope, two: bool, is_given: bool
) -> None:
    team = Group.objects.get(pk=directory().group("Ours")["id"])
    if two:
        takes_two(What.ROLE)
    where = str(queue("refunds").pk) if scope is Scope.QUEUE else ""

    def give() -> object:
        return assignments.give(role=role, to=team, actor=admin(), scope=scope, scope_id=where)

    if is_given:
        assert isinstance(give(), RoleAssignment)
        return
    with pytest.raises(Conflict, match="directory says who is in Ours"):
        give()
    assert not RoleAssignment.objects.filter(team=team).exists()
    assert not PendingChange.objects.filter(what="role").exists()
    disconnect_team(team_id=team.pk, actor=admin())
    assert isinstance(give(), PendingChange if two else RoleAssignment)


def test_group_keeps_its_name_and_a_deleted_one_comes_back_by_it() -> None:
    it, ann = directory(), person("Ann")
    team = it.group("Refunds", str(ann.pk))
    path = f"Groups/{team['id']}"

    refused(it.patch(path, {"op": "replace", "path": "displayName", "value": "Others"}), 400, "mutability")
    assert it.send("DELETE", path).status_code == 204
    refused(it.get(path), 404)
    assert Group.objects.filter(name="Refunds").exists()
    assert it.group("Refunds", str(ann.pk))["id"] == team["id"]
    assert DirectoryTeam.objects.get().removed_at is None


@pytest.mark.parametrize(
    "value",
    [
        [{"value": "999999"}],
        [{"value": "x"}],
        [{"value": "1", "type": "Group"}],
        [{"value": None}],
        ["1"],
        "1",
        1,
    ],
    ids=str,
)
def test_member_that_is_no_person_of_ours_is_refused(value: object) -> None:
    it = directory()
    team = it.group("Refunds")

    refused(
        it.patch(f"Groups/{team['id']}", {"op": "add", "path": "members", "value": value}),
        400,
        "invalidValue",
    )


def test_roles_of_a_team_are_what_a_member_gets_and_lose_with_it() -> None:
    it, ann = directory(), person("Ann")
    team = it.group("Auditors")
    assign_role(Role.AUDITOR, to=Group.objects.get(pk=team["id"]))

    it.patch(f"Groups/{team['id']}", add(ann))
    assert User.objects.get(pk=ann.pk).reads_everything
    it.patch(f"Groups/{team['id']}", {"op": "remove", "path": f'members[value eq "{ann.pk}"]'})
    assert not User.objects.get(pk=ann.pk).reads_everything
    assert RoleAssignment.objects.filter(team=team["id"], ended_at=None).exists()


def test_groups_are_filtered_by_member_and_cost_the_same_however_many(django_assert_num_queries: Any) -> None:
    it, ann = directory(), person("Ann")
    it.group("One", str(ann.pk))
    it.group("Two")
    it.get("Groups")

    found = it.found(f"Groups?filter=members%5Bvalue%20eq%20%22{ann.pk}%22%5D&excludedAttributes=members")
    assert [(one["displayName"], "members" in one) for one in found] == [("One", False)]
    with django_assert_num_queries(4):
        it.get("Groups")
    for number in range(12):
        it.group(f"More {number}", str(person().pk))
    with django_assert_num_queries(4):
        assert len(it.found("Groups")) == 14
