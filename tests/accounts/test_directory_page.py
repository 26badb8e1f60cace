"""The page about the company's directory: who sees it, what it says, and that its tokens are shown once."""

import re
from typing import Any

import pytest
from django.contrib.auth.models import Group
from django.test import Client

from accounts.models import DirectoryTeam, DirectoryToken, User
from accounts.services import teams
from audit.models import AuditEvent
from tests.accounts.oidc import running
from tests.accounts.scim import Directory
from tests.factories import admin, auditor, person

pytestmark = pytest.mark.django_db(transaction=True)


def signed_in(user: User) -> Client:
    client = Client()
    client.force_login(user)
    return client


def test_admins_and_auditors_see_it_and_admins_act() -> None:
    team = teams.create(name="Refunds", actor=admin())
    acts = ("tokens/issue/", "tokens/1/revoke/", "teams/connect/", f"teams/{team.pk}/disconnect/")

    assert Client().get("/directory/").status_code == 302
    assert signed_in(person()).get("/directory/").status_code == 403
    assert signed_in(admin()).get("/directory/").status_code == 200
    reader = signed_in(auditor())
    page = reader.get("/directory/")
    assert page.status_code == 200
    assert '<form method="post" action="/directory/' not in page.content.decode()
    for client in (reader, signed_in(person())):
        for act in acts:
            answer = client.post(f"/directory/{act}", {"label": "x", "days": 1, "team": team.pk})
            assert answer.status_code == 403, act
    assert not DirectoryToken.objects.exists()
    assert not DirectoryTeam.objects.exists()


def test_token_is_shown_once_and_works_until_it_is_revoked() -> None:
    boss = signed_in(admin())
    page = boss.post("/directory/tokens/issue/", {"label": "Acme <b>ID</b>", "days": 30})

    assert page.status_code == 200
    assert "no-store" in page["Cache-Control"]
    shown = page.content.decode()
    found = re.search(r"csdir_[0-9A-Za-z]{40}_[0-9A-Za-z]{6}", shown)
    assert found
    assert "http://testserver/scim/v2" in shown
    assert "<b>ID</b>" not in shown
    assert Directory(found[0]).get("Users").status_code == 200
    again = boss.get("/directory/").content.decode()
    assert found[0] not in again
    assert "Acme &lt;b&gt;ID&lt;/b&gt;" in again

    token = DirectoryToken.objects.get()
    assert boss.post(f"/directory/tokens/{token.pk}/revoke/").status_code == 302
    assert boss.post(f"/directory/tokens/{token.pk}/revoke/").status_code == 302
    assert Directory(found[0]).get("Users").status_code == 401
    assert boss.post("/directory/tokens/999/revoke/").status_code == 404
    kinds = AuditEvent.objects.filter(object_type="directory_token").order_by("id")
    assert list(kinds.values_list("kind", flat=True)) == ["directory_token.issued", "directory_token.revoked"]
    assert found[0] not in "".join(kinds.values_list("content", flat=True))


@pytest.mark.parametrize(
    "data",
    [
        {"label": "", "days": 1},
        {"label": "x", "days": 0},
        {"label": "x", "days": 366},
        {"label": "x" * 60, "days": 1},
    ],
)
def test_token_without_a_name_or_for_too_long_is_told_at_its_field(data: dict[str, Any]) -> None:
    page = signed_in(admin()).post("/directory/tokens/issue/", data)

    assert page.status_code == 422
    assert page.context["token_form"].errors
    assert not DirectoryToken.objects.exists()


def test_team_is_connected_by_an_admin_and_let_go() -> None:
    boss, team = signed_in(admin()), teams.create(name="Refunds", actor=admin())
    other = teams.create(name="Payouts", actor=admin())

    boss.post("/directory/teams/connect/", {"team": team.pk, "claim": "grp-7"})
    assert "group “grp-7” of the token" in boss.get("/directory/").content.decode()
    assert boss.post("/directory/teams/connect/", {"team": other.pk, "claim": "grp-7"}).status_code == 409
    boss.post("/directory/teams/connect/", {"team": team.pk, "claim": ""})
    assert DirectoryTeam.objects.get().claimed_as == "Refunds"
    assert boss.post(f"/directory/teams/{team.pk}/disconnect/").status_code == 302
    assert boss.post(f"/directory/teams/{team.pk}/disconnect/").status_code == 404
    assert boss.post("/directory/teams/connect/", {"team": "none"}).status_code == 422
    assert Group.objects.count() == 2
    told = AuditEvent.objects.filter(kind="team.connected").order_by("id")
    assert [event.data["after"] for event in told] == [
        {"by_directory": True, "group": "grp-7"},
        {"by_directory": True, "group": ""},
        {"by_directory": False, "group": ""},
    ]


def test_it_says_whether_the_provider_answers(settings: Any) -> None:
    boss = signed_in(admin())
    assert "passwords and passkeys only" in boss.get("/directory/").content.decode()
    with running(settings) as idp:
        page = boss.get("/directory/").content.decode()
        assert idp.provider.issuer in page
        assert "does not answer" not in page
        assert idp.provider.client_secret not in page
        settings.OIDC_PROVIDERS = (idp.provider,)
    page = boss.get("/directory/").content.decode()
    assert "does not answer" in page


def test_it_costs_the_same_with_one_of_everything_and_with_many(django_assert_max_num_queries: Any) -> None:
    boss = signed_in(admin())

    def grow(number: int) -> None:
        boss.post("/directory/tokens/issue/", {"label": f"T{number}", "days": 30})
        team = teams.create(name=f"Team {number}", actor=admin())
        boss.post("/directory/teams/connect/", {"team": team.pk, "claim": ""})

    grow(0)
    boss.get("/directory/")
    with django_assert_max_num_queries(12):
        boss.get("/directory/")
    for number in range(1, 12):
        grow(number)
    boss.get("/directory/")
    with django_assert_max_num_queries(12):
        boss.get("/directory/")
