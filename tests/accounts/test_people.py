"""People and teams over HTTP: invited by link, changed, shut out; sign-ins leave events."""

import re

import pytest
from django.contrib.auth.models import Group
from django.core import mail
from django.test import Client

from accounts.models import User
from approvals.models import Claim, Proposal
from approvals.services.claim import claim
from audit.models import AuditEvent
from tests.factories import admin, desk, person

pytestmark = pytest.mark.django_db(transaction=True)
PASSWORD = "correct horse battery"


def signed_in(user: User) -> Client:
    client = Client()
    client.force_login(user)
    return client


def kinds_about(user: User) -> list[str]:
    events = AuditEvent.objects.filter(object_type="person", object_id=str(user.pk)).order_by("id")
    return list(events.values_list("kind", flat=True))


def link_on(page: str) -> str:
    found = re.search(r"http://testserver(/password/[^<\s]+)", page)
    assert found, "no link on the page"
    return found[1]


def invited(**values: str) -> tuple[User, str]:
    data = {"name": "Nina New", "email": "Nina@Example.com", **values}
    response = signed_in(admin()).post("/people/invite/", data)
    assert response.status_code == 200
    assert "no-store" in response["Cache-Control"]
    return User.objects.get(email="nina@example.com"), link_on(response.content.decode())


def is_signed_in(client: Client) -> bool:
    return client.get("/agents/").status_code == 200


def test_invited_person_sets_the_password_once() -> None:
    user, link = invited()
    browser = Client()

    assert browser.get(link).status_code == 200
    assert browser.get(link).status_code == 200  # looking uses nothing up
    answer = browser.post(link, {"password": PASSWORD})

    assert answer.status_code == 302
    assert is_signed_in(browser)
    user.refresh_from_db()
    assert user.check_password(PASSWORD)
    assert Client().get(link).status_code == 403
    assert Client().post(link, {"password": "another long password"}).status_code == 403
    assert kinds_about(user) == ["person.created", "person.password_set", "person.signed_in"]


def test_weak_password_is_told_at_its_field() -> None:
    user, link = invited()

    response = Client().post(link, {"password": "nina@example.com"})

    assert "password" in response.context["form"].errors
    user.refresh_from_db()
    assert not user.has_usable_password()


@pytest.mark.parametrize("link", ["/password/x/", "/password/MQ-bogus-token/", "/password/!!-a-b/"])
def test_made_up_link_is_refused(link: str) -> None:
    admin()
    assert Client().get(link).status_code == 403


def test_new_link_makes_password_sessions_and_older_links_worthless() -> None:
    user, first = invited()
    browser = Client()
    browser.post(first, {"password": PASSWORD})
    page = signed_in(admin()).post(f"/people/{user.pk}/issue-link/").content.decode()
    second = link_on(page)
    third = link_on(signed_in(admin()).post(f"/people/{user.pk}/issue-link/").content.decode())

    assert not is_signed_in(browser)
    assert Client().get(second).status_code == 403
    assert Client().get(third).status_code == 200
    assert not Client().login(email=user.email, password=PASSWORD)


def test_taken_address_is_told_at_its_field() -> None:
    invited()
    response = signed_in(admin()).post("/people/invite/", {"name": "Again", "email": "NINA@example.com"})

    assert list(response.context["form"].errors) == ["email"]


def test_roles_are_changed_and_audited() -> None:
    user = person("Nora")
    signed_in(admin()).post(f"/people/{user.pk}/", {"name": "Nora New", "is_auditor": "on"})

    user = User.objects.get(pk=user.pk)
    assert (user.name, user.is_superuser, user.has_perm("audit.view_auditevent")) == ("Nora New", False, True)
    event = AuditEvent.objects.get(kind="person.changed")
    assert (event.data["before"]["auditor"], event.data["after"]["auditor"]) == (False, True)


def test_person_without_the_role_cannot_change_people() -> None:
    nobody, victim = person(), person()
    client = signed_in(nobody)

    for address in (f"/people/{nobody.pk}/", f"/people/{victim.pk}/deactivate/", "/people/invite/"):
        assert client.post(address, {"name": "x", "is_admin": "on"}).status_code == 403, address
    assert not User.objects.get(pk=nobody.pk).is_superuser
    assert User.objects.get(pk=victim.pk).is_active


def test_auditor_cannot_make_himself_admin() -> None:
    user = person()
    signed_in(admin()).post(f"/people/{user.pk}/", {"name": user.name, "is_auditor": "on"})
    client = signed_in(user)

    assert client.get(f"/people/{user.pk}/").status_code == 200
    assert client.post(f"/people/{user.pk}/", {"name": user.name, "is_admin": "on"}).status_code == 403


def test_deactivated_person_is_out_at_once_and_claims_go_back() -> None:
    the = desk()
    proposal = the.propose()
    claim(proposal_id=proposal.pk, reviewer=the.reviewer)
    browser = signed_in(the.reviewer)
    assert is_signed_in(browser)

    signed_in(admin()).post(f"/people/{the.reviewer.pk}/deactivate/")

    assert not is_signed_in(browser)
    assert not Client().login(email=the.reviewer.email, password="a long password")
    assert Proposal.objects.get(pk=proposal.pk).claimed_by is None
    assert Claim.objects.get().ended_by == "deactivated"
    assert kinds_about(the.reviewer) == ["person.signed_in", "person.deactivated", "person.sign_in_failed"]


def test_reactivated_person_needs_a_new_link_and_old_sessions_stay_dead() -> None:
    user = person()
    browser, boss = signed_in(user), signed_in(admin())
    boss.post(f"/people/{user.pk}/deactivate/")

    link = link_on(boss.post(f"/people/{user.pk}/reactivate/").content.decode())

    assert not is_signed_in(browser)
    assert Client().post(link, {"password": PASSWORD}).status_code == 302


def test_last_admin_stays_and_nobody_acts_on_himself() -> None:
    boss = admin()
    client = signed_in(boss)

    assert client.post(f"/people/{boss.pk}/deactivate/").status_code == 403
    assert client.post(f"/people/{boss.pk}/", {"name": "Ada"}).status_code == 403
    other = User.objects.create_superuser("other@example.com", "a long password", name="Otto")
    assert signed_in(other).post(f"/people/{boss.pk}/", {"name": "Ada"}).status_code == 302
    assert not User.objects.get(pk=boss.pk).is_superuser


def test_team_is_made_and_filled_and_audited() -> None:
    client, user = signed_in(admin()), person()
    client.post("/teams/", {"name": "Refund desk"})
    team = Group.objects.get()

    client.post(f"/teams/{team.pk}/add/", {"person": user.pk})
    assert list(user.groups.all()) == [team]
    client.post(f"/teams/{team.pk}/members/{user.pk}/remove/")
    client.post(f"/teams/{team.pk}/members/{user.pk}/remove/")

    assert list(user.groups.all()) == []
    assert AuditEvent.objects.filter(kind="team.changed", object_id=str(team.pk)).count() == 3


def test_team_is_refused_to_others() -> None:
    team, user = Group.objects.create(name="Refund desk"), person()
    client = signed_in(user)

    assert client.post("/teams/", {"name": "Mine"}).status_code == 403
    assert client.post(f"/teams/{team.pk}/add/", {"person": user.pk}).status_code == 403
    assert client.post(f"/teams/{team.pk}/add/", {"person": "none"}).status_code == 403
    assert list(user.groups.all()) == []


def test_sign_in_and_out_leave_events() -> None:
    user = person()
    client = Client()

    client.post("/account/login/", {"login": user.email, "password": "wrong password"})
    client.post("/account/login/", {"login": user.email, "password": "a long password"})
    client.post("/account/logout/")

    assert kinds_about(user) == ["person.sign_in_failed", "person.signed_in", "person.signed_out"]


def test_unknown_name_leaves_an_event_without_what_was_typed() -> None:
    Client().post("/account/login/", {"login": "my-secret@example.com", "password": "wrong password"})

    event = AuditEvent.objects.get(kind="person.sign_in_failed")
    assert event.object_id == "unknown"
    assert "secret" not in event.content


def test_made_up_theme_is_refused() -> None:
    user = person()

    signed_in(user).post("/preferences/", {"theme": '"><script>'})

    user.refresh_from_db()
    assert user.preferences == {}


@pytest.mark.parametrize(
    "address", ["email/", "password/reset/", "password/set/", "signup/", "confirm-email/"]
)
def test_doors_of_the_sign_in_library_that_nobody_needs_are_shut(address: str) -> None:
    user = person()
    for client in (Client(), signed_in(user)):
        assert client.get(f"/account/{address}").status_code == 404
        assert client.post(f"/account/{address}", {"email": user.email}).status_code == 404
    assert mail.outbox == []


def test_changed_password_leaves_an_event() -> None:
    user = person()
    words = {"oldpassword": "a long password", "password1": PASSWORD, "password2": PASSWORD}

    signed_in(user).post("/account/password/change/", words)

    user.refresh_from_db()
    assert user.check_password(PASSWORD)
    assert kinds_about(user)[-1] == "person.password_set"
