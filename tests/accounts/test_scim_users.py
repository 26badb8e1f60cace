"""SCIM people: the examples of RFC 7644 on our server, and everybody's way in and out."""

from typing import Any

import pytest
from django.contrib.auth.models import Group
from django.test import Client

from accounts.models import DirectoryPerson, TeamJoin, User
from accounts.services import people, teams
from approvals.models import Claim, Proposal, Vote
from approvals.services.claim import claim
from approvals.services.deactivate import deactivate
from audit.models import AuditEvent
from tests.accounts.oidc import running, sign_in
from tests.accounts.scim import PATCH, USER, Directory, directory, refused
from tests.factories import admin, desk, person

pytestmark = pytest.mark.django_db(transaction=True)
NULL_PATCH: dict[str, Any] = {"op": "replace", "path": "active", "value": False}


def kinds_about(user: User) -> list[str]:
    events = AuditEvent.objects.filter(object_type="person", object_id=str(user.pk)).order_by("id")
    return list(events.values_list("kind", flat=True))


def is_signed_in(client: Client) -> bool:
    return client.get("/preferences/").status_code == 200


def test_person_is_made_as_in_figure_3_and_read_as_in_3_4_1() -> None:
    it = directory()
    answer = it.send(
        "POST",
        "Users",
        {
            "schemas": [USER],
            "userName": "BJensen@Example.com",
            "externalId": "bjensen",
            "name": {"formatted": "Ms. Barbara J Jensen III", "familyName": "Jensen", "givenName": "Barbara"},
            "phoneNumbers": [{"value": "555-555-5555"}],
            "emails": [{"value": "other@example.com", "primary": True}],
        },
    )

    assert answer.status_code == 201
    made = answer.json()
    user = User.objects.get(email="bjensen@example.com")
    assert made == {
        "schemas": [USER],
        "id": str(user.pk),
        "externalId": "bjensen",
        "userName": "bjensen@example.com",
        "displayName": "Ms. Barbara J Jensen III",
        "name": {
            "formatted": "Ms. Barbara J Jensen III",
            "givenName": "Ms. Barbara J Jensen",
            "familyName": "III",
        },
        "active": True,
        "emails": [{"value": "bjensen@example.com", "type": "work", "primary": True}],
        "meta": {
            "resourceType": "User",
            "created": made["meta"]["created"],
            "lastModified": made["meta"]["lastModified"],
            "location": f"http://testserver/scim/v2/Users/{user.pk}",
            "version": answer["ETag"],
        },
    }
    assert answer["Location"] == made["meta"]["location"]
    assert it.get(f"Users/{user.pk}").json() == made
    assert (user.has_usable_password(), bool(user.held.reaches)) == (False, False)
    event = AuditEvent.objects.get(kind="person.created")
    assert (event.actor_kind, event.actor_id) == ("system", "directory:Acme ID")


def test_address_is_taken_once() -> None:
    it = directory()
    it.person("a@example.com")

    refused(it.send("POST", "Users", {"schemas": [USER], "userName": "A@example.com"}), 409, "uniqueness")


FOUND: list[tuple[str, list[str]]] = [
    ('userName eq "ANN@example.com"', ["ann"]),
    ('userName Eq "bob@example.com" or userName eq "ann@example.com" and active eq false', ["bob"]),
    ('userName sw "ann" or userName ew "b@example.com"', ["ann", "bob"]),
    ('not (displayName co "nn") and externalId pr', ["bob"]),
    ('externalId eq "B-1"', ["bob"]),
    ('externalId eq "b-1"', []),
    ('externalId ne "B-1" and userName sw "ann"', ["ann"]),
    (f'{USER}:userName eq "ann@example.com"', ["ann"]),
    ('emails[type eq "work" and value co "ann@"]', ["ann"]),
    ('emails[type eq "home"]', []),
    ('emails.value eq "bob@example.com"', ["bob"]),
    ('name.formatted eq "Bob Builder"', ["bob"]),
    ('userName eq "a\\u0000"', []),
    ('id eq "none" or id eq "99999999999999999999"', []),
]


def asked(it: Directory, text: str) -> Any:
    return it.client.get("/scim/v2/Users", {"filter": text}, headers={"Authorization": f"Bearer {it.token}"})


def test_filter_finds_whom_it_means() -> None:
    it = directory()
    it.person("ann@example.com", displayName="Ann")
    it.person("bob@example.com", displayName="Bob Builder", externalId="B-1")

    for text, names in FOUND:
        found = asked(it, text).json()
        assert [one["userName"].partition("@")[0] for one in found["Resources"]] == names, text
        assert found["totalResults"] == len(names)


REFUSED = [
    "userName", "userName eq", "userName eq bob", 'userName regex "x"', 'nonsense eq "x"', 'password eq "x"',
    "active gt true", 'active eq "x"', 'meta.lastModified gt "2011-05-13T04:42:34Z"', 'userName gt "a"',
    'name[formatted eq "x"]', "(" * 200, 'userName eq "x" and', 'userName eq "' + "x" * 3000 + '"', "\x00",
    "is_superuser eq true", 'password.x eq "1"', 'userName eq "x") or (1 eq 1', "userName eq 1",
]  # fmt: skip


def test_filter_that_cannot_be_answered_is_refused() -> None:
    it = directory()
    for text in REFUSED:
        refused(asked(it, text), 400, "invalidFilter")


def test_list_is_given_in_pages_and_says_what_it_does_not_do() -> None:
    it = directory()
    for number in range(5):
        it.person(f"p{number}@example.com")
    page = it.get("Users?startIndex=3&count=2&filter=userName%20sw%20%22p%22").json()

    assert (page["totalResults"], page["startIndex"], page["itemsPerPage"]) == (5, 3, 2)
    assert [one["userName"] for one in page["Resources"]] == ["p2@example.com", "p3@example.com"]
    assert it.get("Users?count=0").json()["totalResults"] == 6
    assert it.found("Users?count=0") == []
    assert it.get("Users?startIndex=-7&count=-1").json()["startIndex"] == 1
    refused(it.get("Users?sortBy=userName"), 400, "invalidValue")
    refused(it.get("Users?count=many"), 400, "invalidValue")
    short = it.found("Users?attributes=userName")[0]
    assert set(short) == {"schemas", "id", "userName"}
    assert "emails" not in it.found("Users?excludedAttributes=emails")[0]


def test_list_costs_the_same_with_one_person_and_with_twenty(django_assert_num_queries: Any) -> None:
    it = directory()
    one = it.person("p@example.com")
    it.group("Refunds", one["id"])
    it.get("Users")
    with django_assert_num_queries(4):
        it.get("Users")
    it.group("More", *(it.person(f"p{number}@example.com")["id"] for number in range(20)))
    with django_assert_num_queries(4):
        assert len(it.found("Users")) == 22


def test_put_replaces_and_patch_changes_what_it_names() -> None:
    it = directory()
    made = it.person("ann@example.com", displayName="Ann", externalId="1")
    path = f"Users/{made['id']}"

    answer = it.send("PUT", path, {**made, "userName": "anna@example.com", "displayName": "Anna Ames"})
    assert answer.status_code == 200
    assert (answer.json()["userName"], answer.json()["displayName"]) == ("anna@example.com", "Anna Ames")

    changed = it.patch(path, {"op": "Replace", "path": "name.familyName", "value": "Bell"}).json()
    assert changed["displayName"] == "Anna Bell"
    changed = it.patch(path, {"op": "add", "value": {"externalId": "2", "title": "Dr", "emails": []}}).json()
    assert (changed["externalId"], changed["userName"]) == ("2", "anna@example.com")
    before = AuditEvent.objects.count()
    assert it.patch(path, {"op": "replace", "path": "displayName", "value": "Anna Bell"}).status_code == 200
    assert AuditEvent.objects.count() == before  # what is so already is no event
    assert kinds_about(User.objects.get(pk=made["id"])) == ["person.created", *["person.changed"] * 3]


def test_patch_is_all_or_nothing() -> None:
    it = directory()
    made = it.person("ann@example.com", displayName="Ann")
    good = {"op": "replace", "path": "displayName", "value": "Changed"}

    refused(
        it.patch(f"Users/{made['id']}", good, {"op": "replace", "path": "id", "value": "1"}),
        400,
        "mutability",
    )
    refused(it.patch(f"Users/{made['id']}", good, {"op": "remove"}), 400, "noTarget")
    refused(it.patch(f"Users/{made['id']}", good, {"op": "remove", "path": "userName"}), 400, "mutability")
    refused(it.patch(f"Users/{made['id']}", good, {"op": "turn", "path": "x"}), 400, "invalidValue")
    assert it.get(f"Users/{made['id']}").json() == made


def test_condition_on_the_version_holds_for_every_change() -> None:
    it = directory()
    made = it.person("ann@example.com", displayName="Ann")
    path, first = f"Users/{made['id']}", made["meta"]["version"]

    assert it.get(path, If_None_Match=first).status_code == 304
    changed = it.patch(path, {"op": "replace", "path": "displayName", "value": "B"}, If_Match=first)
    assert changed.status_code == 200
    assert changed["ETag"] != first
    refused(it.patch(path, NULL_PATCH, If_Match=first), 412)
    refused(it.send("PUT", path, made, If_Match=first), 412)
    refused(it.send("DELETE", path, If_Match=first), 412)
    assert User.objects.get(pk=made["id"]).is_active
    people.change(person_id=int(made["id"]), actor=admin(), name="By hand", is_admin=False, is_auditor=False)
    refused(
        it.send("DELETE", path, If_Match=changed["ETag"]), 412
    )  # whoever changed it, it is another version
    assert it.send("DELETE", path, If_Match="*").status_code == 204


def test_deactivation_hands_back_what_is_held_and_ends_sessions_and_keeps_votes() -> None:
    the, it = desk(), directory()
    the.approved()
    held = the.propose()
    claim(proposal_id=held.pk, reviewer=the.reviewer)
    browser = Client()
    browser.force_login(the.reviewer)
    path = f"Users/{the.reviewer.pk}"

    answer = it.patch(path, NULL_PATCH)

    assert (answer.status_code, answer.json()["active"]) == (200, False)
    assert not is_signed_in(browser)
    assert Proposal.objects.get(pk=held.pk).claimed_by is None
    assert Claim.objects.get(proposal=held).ended_by == "deactivated"
    assert Vote.objects.filter(reviewer=the.reviewer).exists()

    assert it.patch(path, {"op": "replace", "value": {"active": "True"}}).json()["active"] is True
    back = User.objects.get(pk=the.reviewer.pk)
    assert (back.is_active, back.has_usable_password()) == (True, False)
    assert not is_signed_in(browser)
    assert kinds_about(back)[-2:] == ["person.deactivated", "person.reactivated"]


def test_whom_an_admin_shut_out_the_directory_does_not_let_in() -> None:
    it = directory()
    made = it.person("ann@example.com")
    path = f"Users/{made['id']}"
    it.patch(path, NULL_PATCH)
    people.reactivate(person_id=int(made["id"]), actor=admin())
    deactivate(person_id=int(made["id"]), actor=admin())

    refused(it.patch(path, {"op": "replace", "path": "active", "value": True}), 409)
    assert it.send("DELETE", path).status_code == 204
    refused(it.send("POST", "Users", {"schemas": [USER], "userName": "ann@example.com"}), 409)
    assert not User.objects.get(pk=made["id"]).is_active


def test_deleted_person_is_gone_for_scim_and_stays_for_the_log() -> None:
    it = directory()
    made = it.person("ann@example.com", displayName="Ann")
    team = it.group("Refunds", made["id"])
    path = f"Users/{made['id']}"

    assert it.send("DELETE", path).status_code == 204
    refused(it.send("DELETE", path), 404)
    refused(it.get(path), 404)
    refused(it.patch(path, NULL_PATCH), 404)
    assert "members" not in it.get(f"Groups/{team['id']}").json()
    user = User.objects.get(pk=made["id"])
    assert (user.is_active, user.groups.exists(), user.name) == (False, False, "Ann")
    assert it.found("Users?filter=userName%20eq%20%22ann@example.com%22") == []
    refused(it.send("PATCH", f"Groups/{team['id']}", {"schemas": [PATCH], "Operations": [
        {"op": "add", "path": "members", "value": [{"value": made["id"]}]}]}), 400, "invalidValue")  # fmt: skip

    again = it.person("ann@example.com", displayName="Ann Again")
    assert (again["id"], again["active"], again["displayName"]) == (made["id"], True, "Ann Again")


def test_last_admin_stays_and_an_admins_address_is_fixed() -> None:
    it, boss = directory(), admin()

    refused(it.patch(f"Users/{boss.pk}", NULL_PATCH), 409)
    refused(it.send("DELETE", f"Users/{boss.pk}"), 409)
    refused(
        it.patch(f"Users/{boss.pk}", {"op": "replace", "path": "userName", "value": "e@evil.example"}),
        400,
        "mutability",
    )
    assert User.objects.get(pk=boss.pk).is_admin
    other = User.objects.create_superuser("other@example.com", name="Otto")
    assert it.patch(f"Users/{other.pk}", NULL_PATCH).status_code == 200


@pytest.mark.parametrize("name", ["roles", "entitlements", "is_superuser", "password", "groups"])
def test_what_scim_does_not_know_changes_nothing(name: str) -> None:
    it = directory()
    team = Group.objects.create(name="Refunds")
    value = [{"value": str(team.pk)}] if name == "groups" else [{"value": "admin"}]
    made = it.person("ann@example.com", **{name: "secret word" if name == "password" else value})

    user = User.objects.get(pk=made["id"])
    assert (bool(user.held.reaches), user.groups.exists(), user.has_usable_password()) == (
        False,
        False,
        False,
    )
    assert "secret word" not in str(it.get(f"Users/{user.pk}").content)


def test_provisioned_person_signs_in_by_oidc_and_is_out_when_the_directory_says_so(settings: Any) -> None:
    it = directory()
    made = it.person("ann@example.com", displayName="Ann")
    it.group("Refunds", made["id"])
    with running(settings) as idp:
        idp.knows("s-1", email="ann@example.com", email_verified=True, groups=[])
        client = Client()
        assert sign_in(client, idp, "s-1").status_code == 302
        assert is_signed_in(client)
        # A team that SCIM looks after is not what a token's groups speak of.
        assert TeamJoin.objects.filter(person_id=made["id"], source="directory").count() == 1

        it.patch(f"Users/{made['id']}", NULL_PATCH)
        assert not is_signed_in(client)
        assert sign_in(Client(), idp, "s-1").status_code == 403

        it.patch(f"Users/{made['id']}", {"op": "replace", "path": "active", "value": True})
        assert sign_in(Client(), idp, "s-1").status_code == 302


def test_person_that_was_here_before_is_found_and_adopted() -> None:
    it, user = directory(), person("Nora")
    teams.create(name="Ours", actor=admin())
    found = it.found(f"Users?filter=userName%20eq%20%22{user.email}%22")[0]

    answer = it.send("PUT", f"Users/{found['id']}", {**found, "externalId": "okta-7"})

    assert answer.status_code == 200
    assert DirectoryPerson.objects.get(person=user).external_id == "okta-7"
    assert User.objects.get(pk=user.pk).check_password("a long password")
