"""Sign-in at a real identity provider: who gets in, who does not, and what the log says of it."""

from collections.abc import Iterator
from dataclasses import replace
from typing import Any
from urllib.parse import parse_qs, urlsplit

import pytest
from allauth.mfa.totp.internal.auth import TOTP, generate_totp_secret
from allauth.socialaccount.models import SocialAccount
from django.contrib.auth.models import Group
from django.test import Client
from django.urls import reverse

from accounts import oidc_client
from accounts.models import DirectoryTeam, TeamJoin, User, assign_role
from accounts.roles import Role
from accounts.second_person import What
from accounts.services import teams
from approvals.services.deactivate import deactivate
from audit.models import AuditEvent
from tests.accounts.oidc import Idp, come_back, leave, running, sign_in
from tests.factories import admin, person, takes_two

pytestmark = pytest.mark.django_db(transaction=True)


@pytest.fixture
def idp(settings: Any) -> Iterator[Idp]:
    with running(settings) as found:
        yield found


def is_signed_in(client: Client) -> bool:
    return client.get("/preferences/").status_code == 200


def kinds() -> list[str]:
    return list(AuditEvent.objects.order_by("id").values_list("kind", flat=True))


def known(idp: Idp, user: User, subject: str = "s-1", **claims: Any) -> None:
    idp.knows(subject, **{"email": user.email, "email_verified": True, "name": user.name, **claims})


def test_verified_address_ties_the_account_once_and_then_the_subject_decides(idp: Idp) -> None:
    user, other, client = person("Nora"), person("Otto"), Client()
    known(idp, user)

    answer = sign_in(client, idp, "s-1", after="/preferences/?a=1")

    assert (answer.status_code, answer["Location"]) == (302, "/preferences/?a=1")
    assert is_signed_in(client)
    assert kinds() == ["person.provider_linked", "person.provider_vouched", "person.signed_in"]

    known(idp, other)  # her address at the provider is now a colleague's: she is still she
    again = Client()
    assert sign_in(again, idp, "s-1").status_code == 302
    assert int(again.session["_auth_user_id"]) == user.pk
    assert SocialAccount.objects.get().user_id == user.pk


def test_address_given_to_somebody_new_opens_nothing_of_its_former_owner(idp: Idp) -> None:
    user = person("Nora")
    known(idp, user)
    sign_in(Client(), idp, "s-1")
    known(idp, user, "s-2")

    client = Client()
    assert sign_in(client, idp, "s-2").status_code == 403
    assert not is_signed_in(client)
    event = AuditEvent.objects.get(kind="person.sign_in_failed")
    assert (event.object_id, event.data["detail"]["provider"]) == (str(user.pk), "Acme ID")


def test_address_that_is_not_verified_ties_nothing(idp: Idp) -> None:
    user, client = person("Nora"), Client()
    for word in (False, None, "false", "true", 1):
        known(idp, user, email_verified=word)
        assert sign_in(client, idp, "s-1").status_code == 403, word
    assert not SocialAccount.objects.exists()
    assert not is_signed_in(client)


def test_stranger_is_refused_and_his_address_is_not_kept(idp: Idp) -> None:
    idp.knows("s-9", email="stranger@elsewhere.example", email_verified=True)

    page = sign_in(Client(), idp, "s-9")

    assert page.status_code == 403
    assert "nobody has invited your address" in page.content.decode()
    assert not User.objects.filter(email="stranger@elsewhere.example").exists()
    event = AuditEvent.objects.get(kind="person.sign_in_failed")
    assert event.object_id == "unknown"
    assert "stranger" not in event.content


def test_stranger_is_made_a_person_without_a_role_where_the_installation_says_so(settings: Any) -> None:
    with running(settings, creates=True) as idp:
        idp.knows("s-9", email="New@Example.com", email_verified=True, name="Nina\u202e New")
        client = Client()
        assert sign_in(client, idp, "s-9").status_code == 302

    made = User.objects.get(email="new@example.com")
    assert (made.name, made.has_usable_password()) == ("Nina New", False)
    assert not made.held.reaches
    assert is_signed_in(client)
    assert kinds()[0] == "person.created"


def test_deactivated_person_is_refused_by_link_and_by_address(idp: Idp) -> None:
    user, client = person("Nora"), Client()
    known(idp, user)
    sign_in(client, idp, "s-1")
    deactivate(person_id=user.pk, actor=admin())

    assert not is_signed_in(client)
    assert sign_in(Client(), idp, "s-1").status_code == 403
    SocialAccount.objects.all().delete()
    assert sign_in(Client(), idp, "s-1").status_code == 403
    assert not SocialAccount.objects.exists()
    assert kinds().count("person.sign_in_failed") == 2


def test_request_carries_state_nonce_and_a_pkce_challenge_that_are_new_each_time(idp: Idp) -> None:
    client = Client()
    first, second = (parse_qs(urlsplit(leave(client)).query) for _ in range(2))

    assert first["code_challenge_method"] == ["S256"]
    assert first["redirect_uri"] == ["http://testserver/account/oidc/main/callback/"]
    assert set(first["scope"][0].split()) == {"openid", "email", "profile"}
    for name in ("state", "nonce", "code_challenge"):
        assert len(first[name][0]) >= 43
        assert first[name] != second[name]


def test_answer_counts_once_and_only_in_the_browser_that_asked(idp: Idp) -> None:
    known(idp, person("Nora"))
    client, other = Client(), Client()
    back = idp.approves(leave(client), "s-1")

    assert come_back(other, back).status_code == 403
    assert not is_signed_in(other)
    assert come_back(client, back).status_code == 302
    assert come_back(client, back).status_code == 403


@pytest.mark.parametrize(
    "query", ["", "?code=x", "?state=x&code=x", "?code=" + "x" * 9000, "?state=%00&code=%00"]
)
def test_made_up_answer_is_refused(idp: Idp, query: str) -> None:
    client = Client()
    leave(client)
    assert client.get(f"/account/oidc/main/callback/{query}").status_code == 403
    assert not is_signed_in(client)


def test_code_that_the_provider_does_not_know_is_refused(idp: Idp) -> None:
    client = Client()
    state = parse_qs(urlsplit(leave(client)).query)["state"][0]

    assert client.get("/account/oidc/main/callback/", {"state": state, "code": "stolen"}).status_code == 403


def test_another_issuers_answer_is_refused(idp: Idp) -> None:
    known(idp, person("Nora"))
    client = Client()
    back = idp.approves(leave(client), "s-1")

    assert come_back(client, f"{back}&iss=https://evil.example").status_code == 403
    assert not is_signed_in(client)


def test_who_changes_his_mind_at_the_provider_is_back_on_the_sign_in_page(idp: Idp) -> None:
    client = Client()
    state = parse_qs(urlsplit(leave(client)).query)["state"][0]
    answer = client.get("/account/oidc/main/callback/", {"state": state, "error": "access_denied"})

    assert (answer.status_code, answer["Location"]) == (302, "/account/login/")


@pytest.mark.parametrize(
    "after",
    ["https://evil.example/", "//evil.example/", "/\\evil.example", "javascript:alert(1)", "http:evil"],
)
def test_sign_in_leads_to_no_other_site(idp: Idp, after: str) -> None:
    known(idp, person("Nora"))
    client = Client()

    assert sign_in(client, idp, "s-1", after=after)["Location"] == "/"


def test_begin_takes_a_post_and_only_providers_that_are_set_up(idp: Idp) -> None:
    assert Client().get("/account/oidc/main/begin/").status_code == 405
    assert Client().post("/account/oidc/other/begin/").status_code == 404
    assert Client(enforce_csrf_checks=True).post("/account/oidc/main/begin/").status_code == 403


def test_provider_that_is_away_is_said_on_a_page(settings: Any) -> None:
    with running(settings) as idp:
        client = Client()
        known(idp, person("Nora"))
        back = idp.approves(leave(client), "s-1")

    page = come_back(client, back)
    assert page.status_code == 503
    assert "Acme ID did not answer" in page.content.decode()
    assert Client().post("/account/oidc/main/begin/").status_code == 503


def test_discovery_that_names_another_issuer_is_not_believed(idp: Idp, settings: Any) -> None:
    settings.OIDC_PROVIDERS = (
        replace(idp.provider, issuer=idp.provider.issuer.replace("localhost", "127.0.0.1") + "/"),
    )
    oidc_client.forget()

    assert Client().post("/account/oidc/main/begin/").status_code == 503


def connected(name: str, claim: str = "") -> Group:
    team = teams.create(name=name, actor=admin())
    DirectoryTeam.objects.create(team=team, claim=claim)
    return team


def test_groups_of_the_token_are_the_memberships_by_the_directory_and_no_others(idp: Idp) -> None:
    user = person("Nora")
    refunds, risk, by_hand = connected("Refund desk"), connected("Risk", "grp-risk"), connected("By hand")
    plain = teams.create(name="Not connected", actor=admin())
    teams.set_member(team_id=by_hand.pk, person_id=user.pk, actor=admin(), member=True)

    known(idp, user, groups=["Refund desk", "grp-risk", "Risk", "Not connected", "unknown"])
    sign_in(Client(), idp, "s-1")
    assert set(user.groups.all()) == {refunds, risk, by_hand}
    assert TeamJoin.objects.get(team=risk).source == "directory"

    known(idp, user, groups=["grp-risk"])
    sign_in(Client(), idp, "s-1")
    assert set(user.groups.all()) == {risk, by_hand}
    known(idp, user)  # a token that does not speak of groups changes none
    sign_in(Client(), idp, "s-1")
    assert set(user.groups.all()) == {risk, by_hand}
    known(idp, user, groups=[])
    sign_in(Client(), idp, "s-1")
    assert set(user.groups.all()) == {by_hand}

    assert not plain.user_set.exists()
    told = AuditEvent.objects.filter(kind="team.changed", actor_kind="system").order_by("id")
    assert [(e.actor_id, e.data["detail"]["team"], e.data["detail"]["member"]) for e in told] == [
        ("directory:Acme ID", "Refund desk", True),
        ("directory:Acme ID", "Risk", True),
        ("directory:Acme ID", "Refund desk", False),
        ("directory:Acme ID", "Risk", False),
    ]


def test_no_group_makes_anybody_an_admin(idp: Idp) -> None:
    user, team = person("Nora"), connected("Admins")
    assign_role(Role.ADMIN, to=team)
    known(idp, user, groups=["Admins"])

    assert sign_in(Client(), idp, "s-1").status_code == 302
    assert not User.objects.get(pk=user.pk).is_admin
    assert not user.groups.exists()


def test_no_group_gives_a_role_for_everything_where_that_takes_two(idp: Idp) -> None:
    user, team = person("Nora"), connected("Auditors")
    assign_role(Role.AUDITOR, to=team)
    takes_two(What.ROLE)
    known(idp, user, groups=["Auditors"])

    assert sign_in(Client(), idp, "s-1").status_code == 302
    assert not User.objects.get(pk=user.pk).reads_everything
    assert not user.groups.exists()


def test_signing_in_as_somebody_else_ends_the_first_session(idp: Idp) -> None:
    first, second = person("Nora"), person("Otto")
    known(idp, second)
    client = Client()
    client.force_login(first)
    old = client.session.session_key

    sign_in(client, idp, "s-1")

    assert int(client.session["_auth_user_id"]) == second.pk
    assert client.session.session_key != old


def with_a_factor(name: str) -> User:
    user = person(name)
    TOTP.activate(user, generate_totp_secret())
    return user


def test_ones_own_second_factor_is_asked_for_after_the_provider(idp: Idp) -> None:
    client = Client()
    known(
        idp, with_a_factor("Nora"), amr=["pwd", "mfa"]
    )  # its word counts only where we were told that it does

    answer = sign_in(client, idp, "s-1")

    assert (answer.status_code, answer["Location"]) == (302, reverse("mfa_authenticate"))
    assert not is_signed_in(client)


def test_two_factors_at_the_provider_count_where_the_installation_says_so(settings: Any) -> None:
    with running(settings, trusts_mfa=True) as idp:
        user, client, other = with_a_factor("Nora"), Client(), Client()
        known(idp, user, amr=["pwd", "mfa"])
        assert sign_in(client, idp, "s-1", after="/preferences/")["Location"] == "/preferences/"
        assert is_signed_in(client)
        assert any(one["method"] == "mfa" for one in client.session["account_authentication_methods"])

        known(idp, user, amr=["pwd"])
        assert sign_in(other, idp, "s-1")["Location"] == reverse("mfa_authenticate")
        assert not is_signed_in(other)
    told = AuditEvent.objects.filter(kind="person.provider_vouched").order_by("id")
    assert [event.data["detail"]["two_factors"] for event in told] == [True, False]


def test_button_is_on_the_sign_in_page_only_where_a_provider_is_set_up(idp: Idp, settings: Any) -> None:
    assert "Sign in with Acme ID" in Client().get("/account/login/").content.decode()
    settings.OIDC_PROVIDERS = ()
    assert "Acme ID" not in Client().get("/account/login/").content.decode()
