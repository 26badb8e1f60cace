"""People and teams over HTTP: invited by link, changed, shut out; sign-ins leave events."""

import re

import pytest
from django.contrib.auth.models import Group
from django.core import mail
from django.db import transaction
from django.test import Client

from accounts import second_person
from accounts.models import RoleAssignment, TeamJoin, User, assign_role
from accounts.roles import Role, Scope
from accounts.services import teams
from approvals.models import Claim, Proposal
from approvals.services.claim import claim
from audit.models import AuditEvent
from tests.factories import admin, auditor, desk, person

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


def test_name_is_changed_and_audited_and_roles_stay() -> None:
    user = auditor()
    signed_in(admin()).post(f"/people/{user.pk}/", {"name": "Nora New"})

    user = User.objects.get(pk=user.pk)
    assert (user.name, user.is_superuser, user.has_perm("audit.view_auditevent")) == ("Nora New", False, True)
    event = AuditEvent.objects.get(kind="person.changed")
    assert (event.data["before"]["name"], event.data["after"]["name"]) == ("Aud Auditor", "Nora New")


def test_boxes_of_an_earlier_form_give_nothing() -> None:
    user = person("Nora")

    signed_in(admin()).post(f"/people/{user.pk}/", {"name": "Nora", "is_admin": "on", "is_auditor": "on"})

    assert not User.objects.get(pk=user.pk).reads_everything


def test_invitation_begins_with_teams_and_roles() -> None:
    team = teams.create(name="Refund desk", actor=admin())
    data = {"name": "Nina New", "email": "nina@example.com", "teams": [team.pk], "is_auditor": "on"}

    response = signed_in(admin()).post("/people/invite/", data)

    user = User.objects.get(email="nina@example.com")
    assert link_on(response.content.decode())
    assert list(user.groups.all()) == [team]
    assert (user.reads_everything, user.is_admin) == (True, False)
    assert TeamJoin.objects.get(person=user).joined_by == admin()
    assert RoleAssignment.objects.get(person=user).given_by == admin()


def test_invited_admin_waits_for_the_second_person_and_the_link_is_there() -> None:
    with transaction.atomic():
        second_person.store_level(
            [second_person.What.ROLE], by=admin(), actor=admin().actor(), reason="Four eyes"
        )

    response = signed_in(admin()).post(
        "/people/invite/", {"name": "Nina New", "email": "nina@example.com", "is_admin": "on"}
    )

    html = response.content.decode()
    assert link_on(html)
    assert "Admin: a second admin has to agree" in html
    assert not User.objects.get(email="nina@example.com").is_admin


def test_person_page_shows_every_role_with_its_way() -> None:
    the = desk()
    team = teams.create(name="Payout desk", actor=admin())
    teams.set_member(team_id=team.pk, person_id=the.reviewer.pk, actor=admin(), member=True)
    assign_role(Role.POLICY_EDITOR, to=team, scope=Scope.DOMAIN, scope_id="treasury", given_by=admin())

    html = signed_in(auditor()).get(f"/people/{the.reviewer.pk}/").content.decode()

    words = " ".join(re.sub(r"<[^>]+>", " ", html).split())
    assert f"Reviewer queue {the.queue.name}" in words
    assert "Policy editor as a member of Payout desk domain Treasury" in words
    assert "Save" not in words.split("Timeline")[0]  # auditors change nothing


def test_deactivation_says_what_ends_before_it_is_done() -> None:
    the = desk()
    claim(proposal_id=the.propose().pk, reviewer=the.reviewer)
    signed_in(the.reviewer)
    boss = signed_in(admin())

    html = boss.get(f"/people/{the.reviewer.pk}/").content.decode()
    boss.post(f"/people/{the.reviewer.pk}/deactivate/")
    after = boss.get(f"/people/{the.reviewer.pk}/").content.decode()

    assert "1 claimed proposal goes back to the queue." in html
    assert "None of this holds while Rita is deactivated." in after
    assert "0 claimed proposals" in after
    assert boss.get(f"/people/{the.reviewer.pk}/access/").content.decode().count("Nothing: deactivated.") == 1


def test_team_page_says_which_roles_it_has_and_since_when_who_is_in_it() -> None:
    the = desk()
    team = teams.create(name="Refund desk", actor=admin())
    teams.set_member(team_id=team.pk, person_id=the.reviewer.pk, actor=admin(), member=True)
    assign_role(
        Role.REVIEWER, to=team, scope=Scope.QUEUE, scope_id=str(the.queue.pk), given_by=admin(), reason="Rush"
    )
    reader = signed_in(auditor())

    words = " ".join(re.sub(r"<[^>]+>", " ", reader.get(f"/teams/{team.pk}/").content.decode()).split())

    assert re.search(
        f"Reviewer queue {the.queue.name} less than a minute ago by Ada Admin Rush no end", words
    )
    assert re.search(r"Rita Reviewer \S+ less than a minute ago ?, by an admin, Ada Admin", words)
    assert "Reviewer" in reader.get("/teams/").content.decode()


def test_person_without_the_role_cannot_change_people() -> None:
    nobody, victim = person(), person()
    client = signed_in(nobody)

    for address in (f"/people/{nobody.pk}/", f"/people/{victim.pk}/deactivate/", "/people/invite/"):
        assert client.post(address, {"name": "x", "is_admin": "on"}).status_code == 403, address
    assert not User.objects.get(pk=nobody.pk).is_superuser
    assert User.objects.get(pk=victim.pk).is_active


def test_auditor_cannot_make_himself_admin() -> None:
    user = auditor()
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
    assert kinds_about(the.reviewer) == [
        "person.signed_in",
        "session.ended",
        "person.deactivated",
        "person.sign_in_failed",
    ]


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
    own = RoleAssignment.objects.get(person=boss, role="admin")
    assert client.post(f"/permissions/assignments/{own.pk}/end/").status_code == 409
    other = User.objects.create_superuser("other@example.com", "a long password", name="Otto")
    assert signed_in(other).post(f"/permissions/assignments/{own.pk}/end/").status_code == 302
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
