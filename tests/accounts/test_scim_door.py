"""The door of /scim/v2: its token, hostile bodies, and what it says of itself."""

from datetime import timedelta
from itertools import product
from typing import Any

import pytest
from django.test import Client
from django.utils import timezone
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from accounts import directory_tokens
from accounts.models import DirectoryToken, User
from accounts.scim import http
from accounts.services.directory import revoke_token
from agents import tokens
from audit.models import AuditEvent
from tests.accounts.scim import GROUP, PATCH, USER, Directory, directory, refused
from tests.factories import admin, desk

pytestmark = pytest.mark.django_db(transaction=True)
ADDRESSES = [
    "Users",
    "Users/1",
    "Groups",
    "Groups/1",
    "ServiceProviderConfig",
    "ResourceTypes",
    "Schemas",
    "Bulk",
    "x/y",
]


def test_nothing_is_told_without_a_token() -> None:
    for path, method in product(ADDRESSES, ["GET", "POST", "PUT", "PATCH", "DELETE"]):
        answer = Directory().send(method, path)
        refused(answer, 401)
        assert answer["WWW-Authenticate"] == 'Bearer realm="scim"'


def test_garbage_is_refused_without_a_look_at_the_database(django_assert_num_queries: Any) -> None:
    real = directory_tokens.new()
    wrong = real[:-1] + ("0" if real[-1] != "0" else "1")
    for one in (
        wrong,
        "x",
        "csdir__",
        real.replace("csdir", "csgn"),
        tokens.new().text,
        "é",
        "csdir_" + "a" * 9000,
    ):
        with django_assert_num_queries(0):
            refused(Directory(one).get("Users"), 401)


def test_token_is_kept_as_a_hash_and_ends() -> None:
    it = directory()
    assert it.get("Users", X_Request_ID="request-0001").status_code == 200
    token = DirectoryToken.objects.get()
    assert it.token not in str(DirectoryToken.objects.values())
    assert token.last_used_at is not None
    assert token.last_used_from == "127.0.0.1"

    DirectoryToken.objects.update(expires_at=timezone.now() - timedelta(seconds=1))
    refused(it.get("Users"), 401)
    other = directory("Other")
    assert other.get("Users").status_code == 200
    revoke_token(token_id=DirectoryToken.objects.latest("pk").pk, actor=admin())
    refused(other.get("Users"), 401)


def test_neither_an_agents_token_nor_a_session_opens_it() -> None:
    refused(Directory(desk().token).get("Users"), 401)
    browser = Client()
    browser.force_login(admin())
    assert browser.get("/scim/v2/Users").status_code == 401


def test_directorys_token_opens_nothing_else() -> None:
    it = directory()
    headers = {"Authorization": f"Bearer {it.token}"}

    assert it.client.get("/api/v1/me", headers=headers).status_code == 401
    assert it.client.get("/people/", headers=headers).status_code == 302


def test_it_says_what_it_can() -> None:
    it = directory()
    config = it.get("ServiceProviderConfig").json()
    offered = {
        name: config[name]["supported"]
        for name in ("patch", "bulk", "filter", "sort", "etag", "changePassword")
    }
    assert offered == {
        "patch": True, "bulk": False, "filter": True, "sort": False, "etag": True, "changePassword": False,
    }  # fmt: skip
    types = it.get("ResourceTypes").json()
    assert [(one["id"], one["endpoint"], one["schema"]) for one in types["Resources"]] == [
        ("User", "/Users", USER), ("Group", "/Groups", GROUP),
    ]  # fmt: skip
    assert it.get("ResourceTypes/User").json()["name"] == "User"
    attributes = {one["name"]: one["mutability"] for one in it.get(f"Schemas/{USER}").json()["attributes"]}
    assert attributes == {
        "userName": "readWrite", "name": "readWrite", "displayName": "readWrite", "active": "readWrite",
        "emails": "readOnly", "groups": "readOnly",
    }  # fmt: skip
    assert it.get("Schemas").json()["totalResults"] == 2
    refused(it.get("Schemas/none"), 404)
    refused(it.get("Schemas?filter=id%20pr"), 403)
    for path in ("Bulk", "Me", ".search", "Users/.search"):
        refused(it.send("POST", path, {}), 501)
    refused(it.get("nothing/here"), 404)
    refused(it.get("Users/abc"), 404)
    refused(it.get("Users/" + "9" * 40), 404)
    answer = it.send("POST", "ServiceProviderConfig", {})
    refused(answer, 405)
    assert answer["Allow"] == "GET"


BODIES: list[tuple[Any, int, str | None]] = [
    (b"", 400, "invalidSyntax"),
    (b"{", 400, "invalidSyntax"),
    (b"[]", 400, "invalidSyntax"),
    (b"null", 400, "invalidSyntax"),
    (b"\xff\xfe", 400, "invalidSyntax"),
    (b'{"userName":"a@b.example","userName":"c@d.example"}', 400, "invalidSyntax"),
    (b'{"userName":"a\\u0000@b.example"}', 400, "invalidSyntax"),
    (b'{"userName":"\\ud800@b.example"}', 400, "invalidSyntax"),
    (b'{"active":NaN}', 400, "invalidSyntax"),
    (b'{"a":' * 100 + b"1" + b"}" * 100, 400, "invalidSyntax"),
    ({"schemas": [USER]}, 400, "invalidValue"),
    ({"schemas": [USER], "userName": "no address"}, 400, "invalidValue"),
    ({"schemas": [USER], "userName": 7}, 400, "invalidValue"),
    ({"schemas": [USER], "userName": "a@b.example", "active": "perhaps"}, 400, "invalidValue"),
    ({"schemas": [USER], "userName": "a@b.example", "name": []}, 400, "invalidValue"),
    ({"schemas": [USER], "userName": "a@b.example", "externalId": "x" * 500}, 400, "invalidValue"),
    ({"schemas": [USER], "userName": "a" * 300 + "@b.example"}, 400, "invalidValue"),
    ({"schemas": [USER], "userName": "a@b.example", "displayName": "x" * 500}, 400, "invalidValue"),
    (b'{"userName":"' + b"x" * 1_100_000 + b'"}', 413, None),
]


def test_hostile_body_is_refused_in_the_form_of_the_rfc() -> None:
    it = directory()
    before = AuditEvent.objects.filter(kind__startswith="person.").count()

    for body, status, keyword in BODIES:
        refused(it.send("POST", "Users", body), status, keyword)

    assert User.objects.count() == 1
    assert AuditEvent.objects.filter(kind__startswith="person.").count() == before


def test_body_of_another_kind_is_refused() -> None:
    it = directory()
    refused(
        it.send("POST", "Users", "a=b", content_type="application/x-www-form-urlencoded"),
        400,
        "invalidSyntax",
    )
    refused(it.send("POST", "Users", "{}", Content_Encoding="gzip"), 400, "invalidSyntax")


VALUES = st.recursive(
    st.none()
    | st.booleans()
    | st.integers(-5, 5)
    | st.sampled_from(["", "x", "a@b.example", "1", "true", "User"]),
    lambda inner: (
        st.lists(inner, max_size=3)
        | st.dictionaries(
            st.sampled_from(["value", "type", "primary", "active", "userName", "name", "members", "$ref"]),
            inner,
            max_size=3,
        )
    ),
    max_leaves=8,
)
PATHS = st.sampled_from(
    [
        None, "", "active", "userName", "displayName", "name", "name.givenName", "emails", "members", "members.value",
        "members[", 'members[value eq "1"]', 'members[value eq "1"].display', 'emails[type eq "work"].value', "id",
        "meta", "schemas", "externalId", "x.y.z", "$ref", USER, f"{USER}:active", "urn:x:y", "groups", "a" * 300, 5,
    ]
)  # fmt: skip


@settings(
    max_examples=120,
    deadline=None,
    suppress_health_check=[HealthCheck.function_scoped_fixture],
    derandomize=True,
)
@given(data=st.data())
def test_no_patch_is_a_fault_of_ours(data: Any, hostile: tuple[Directory, list[str]]) -> None:
    """Whatever is sent, the answer is one of RFC 7644's; never 500, and never a fault that Django's client raises."""
    it, paths = hostile
    operation = {
        "op": data.draw(st.sampled_from(["add", "remove", "replace", "Add", "x", None, 1])),
        "path": data.draw(PATHS),
        "value": data.draw(VALUES),
    }
    kept = {name: value for name, value in operation.items() if data.draw(st.integers(0, 9)) or name == "op"}
    answer = it.send("PATCH", data.draw(st.sampled_from(paths)), {"schemas": [PATCH], "Operations": [kept]})

    assert answer.status_code in (200, 400, 403, 404, 409), answer.content


@pytest.fixture
def hostile(monkeypatch: pytest.MonkeyPatch) -> tuple[Directory, list[str]]:
    monkeypatch.setattr(http, "PER_MINUTE", 10**6)
    it = directory()
    user = it.person("ann@example.com")
    team = it.group("Refunds", user["id"])
    return it, [f"Users/{user['id']}", f"Groups/{team['id']}"]


def test_patch_has_to_be_one() -> None:
    it = directory()
    made = it.person("ann@example.com")
    bodies: list[dict[str, Any]] = [
        {},
        {"Operations": []},
        {"schemas": [USER], "Operations": [{}]},
        {"schemas": [PATCH], "Operations": 1},
    ]
    for body in bodies:
        refused(it.send("PATCH", f"Users/{made['id']}", body), 400, "invalidSyntax")
    refused(
        it.send("PATCH", f"Users/{made['id']}", {"schemas": [PATCH], "Operations": []}), 400, "invalidValue"
    )


def test_directory_that_asks_too_often_is_told_to_wait(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(http, "PER_MINUTE", 3)
    it = directory()
    answers = [it.get("Users") for _ in range(8)]

    assert answers[-1].status_code == 429
    assert int(answers[-1]["Retry-After"]) == 60
    refused(answers[-1], 429)
    assert answers[0].status_code == 200
