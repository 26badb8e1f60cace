"""Asking for access, and answering: by somebody else, once, to the same or an earlier end."""

from datetime import timedelta
from typing import Any

import pytest
from django.db import connection
from django.test import Client
from django.test.utils import CaptureQueriesContext
from django.utils import timezone

from accounts.models import Absence, AccessRequest, LinkedAccount, RoleAssignment, User, assign_role
from accounts.roles import Duty, Role, Scope
from accounts.services import assignments
from accounts.tasks import end_roles
from agents.models import Agent
from agents.services import register
from approvals.models import Notification, Queue
from approvals.services import access_request
from audit.models import AuditEvent
from tests.factories import admin, person, queue

pytestmark = pytest.mark.django_db(transaction=True)


def boss(name: str = "Bea Boss") -> User:
    """Another admin."""
    found = person(name)
    assign_role(Role.ADMIN, to=found)
    return found


def browser(user: User) -> Client:
    client = Client()
    client.force_login(user)
    return client


def asked(by: User, on: Queue, **extra: Any) -> AccessRequest:
    data = {"role": "reviewer", "place": f"queue:{on.slug}", "reason": "Rita is away", **extra}
    answer = browser(by).post("/access/requests/ask/", data)
    assert answer.status_code == 302, answer.content.decode()
    return AccessRequest.objects.get(person=by)


def answer(by: User, request: AccessRequest, verb: str, **data: Any) -> Any:
    return browser(by).post(f"/access/requests/{request.pk}/{verb}/", data)


def kinds() -> list[str]:
    found = AuditEvent.objects.filter(kind__startswith="access.") | AuditEvent.objects.filter(
        kind__startswith="role."
    )
    return list(found.exclude(kind="access.refused").order_by("id").values_list("kind", flat=True))


def test_a_role_asked_for_is_given_by_an_admin_and_both_are_told() -> None:
    the, ada, pat = queue("refunds"), admin(), person("Pat")
    request = asked(pat, the)
    assert not pat.held.reach(Duty.REVIEW)
    assert Notification.objects.get(recipient=ada, kind="access").text == (
        "Pat asks to be reviewer on the queue Refunds: Rita is away"
    )
    assert "Waiting for your answer" in browser(ada).get("/access/requests/").content.decode()
    assert answer(ada, request, "approve", answer="Until Rita is back").status_code == 302
    assert pat.held.reach(Duty.REVIEW).queues == {the.pk}
    given = RoleAssignment.objects.get(person=pat)
    assert (given.source, given.given_by, given.ends_at, given.request) == ("request", ada, None, request)
    assert Notification.objects.filter(recipient=pat, kind="access").count() == 1
    assert kinds() == ["access.asked", "role.given", "access.answered"]
    page = browser(pat).get("/access/requests/").content.decode()
    assert "<b>approved</b> by Ada Admin" in page and "Until Rita is back" in page


def test_nobody_answers_his_own_request_not_even_an_admin() -> None:
    the, ada, bea = queue("refunds"), admin(), boss()
    request = asked(bea, the)
    refused = answer(bea, request, "approve")
    assert refused.status_code == 403 and "somebody else answers" in refused.content.decode()
    assert answer(bea, request, "decline", answer="no").status_code == 403
    assert "Waiting for your answer" not in browser(bea).get("/access/requests/").content.decode()
    assert not RoleAssignment.objects.filter(person=bea, role="reviewer").exists()
    assert not Notification.objects.filter(recipient=bea).exists()
    assert answer(ada, request, "approve").status_code == 302


@pytest.mark.parametrize("how", ["linked", "delegate", "delegate of the linked"])
def test_another_account_of_the_asker_and_his_delegate_do_not_answer(how: str) -> None:
    the, bea, pat, other = queue("refunds"), boss(), person("Pat"), person("Pat's other account")
    if how == "linked":
        LinkedAccount.objects.create(first=min(bea, pat, key=_pk), second=max(bea, pat, key=_pk))
    else:
        absent = pat if how == "delegate" else other
        now = timezone.now()
        Absence.objects.create(person=absent, delegate=bea, starts_at=now, ends_at=now + timedelta(days=1))
        LinkedAccount.objects.create(first=min(other, pat, key=_pk), second=max(other, pat, key=_pk))
    request = asked(pat, the)
    assert answer(bea, request, "approve").status_code == 403
    assert answer(bea, request, "decline", answer="no").status_code == 403
    assert not RoleAssignment.objects.filter(person=pat).exists()
    assert not Notification.objects.filter(recipient=bea).exists()
    request.refresh_from_db()
    assert request.answered_at is None


def _pk(user: User) -> int:
    return user.pk


def test_people_without_a_say_neither_see_nor_answer_it() -> None:
    the, pat, eve = queue("refunds"), person("Pat"), person("Eve")
    admin()
    request = asked(pat, the)
    for verb in ("approve", "decline", "withdraw"):
        assert answer(eve, request, verb, answer="x").status_code == 404
    assert "Rita is away" not in browser(eve).get("/access/requests/").content.decode()
    assert Client().get("/access/requests/").status_code == 302


def test_an_agents_owner_answers_who_manages_it_and_nothing_else() -> None:
    ada, olga, pat = admin(), person("Olga"), person("Pat")
    the, treasury = queue("refunds"), queue("payments", domain="treasury")
    assign_role(Role.REVIEWER, to=pat, scope=Scope.QUEUE, scope_id=str(treasury.pk))
    agent = register.register(slug="helper", name="Helper", owner=olga, actor=ada)
    Agent.objects.filter(pk=agent.pk).update(domain=the.domain)
    data = {"role": "agent_owner", "place": "agent:helper", "reason": "On call this week", "hours": 8}
    assert "agent:helper" not in browser(pat).get("/access/requests/").content.decode()
    assert browser(pat).post("/access/requests/ask/", data).status_code == 422, "he does not meet this agent"
    Agent.objects.filter(pk=agent.pk).update(domain="treasury")
    assert browser(pat).post("/access/requests/ask/", data).status_code == 302
    request = AccessRequest.objects.get(person=pat)
    assert {row.recipient_id for row in Notification.objects.filter(kind="access")} == {ada.pk, olga.pk}
    other = person("Quin")
    assert answer(olga, asked(other, the), "approve").status_code == 404
    assert answer(olga, request, "approve", hours=4).status_code == 302
    given = RoleAssignment.objects.get(person=pat, role="agent_owner")
    assert (given.scope, given.scope_id, given.source) == ("agent", str(agent.pk), "elevation")
    assert given.ends_at is not None
    assert timedelta(hours=3, minutes=59) < given.ends_at - timezone.now() <= timedelta(hours=4)


def test_declining_needs_words_and_they_reach_the_asker() -> None:
    the, ada, pat = queue("refunds"), admin(), person("Pat")
    request = asked(pat, the)
    refused = answer(ada, request, "decline", answer="  ")
    assert refused.status_code == 422 and "This field is required" in refused.content.decode()
    assert answer(ada, request, "decline", answer="Ask Rita first").status_code == 302
    assert Notification.objects.get(recipient=pat).text.endswith("Ask Rita first")
    assert answer(ada, request, "approve").status_code == 409
    assert kinds() == ["access.asked", "access.answered"]


def test_the_end_that_is_given_is_never_later_than_the_one_asked_for() -> None:
    the, ada, pat = queue("refunds"), admin(), person("Pat")
    request = asked(pat, the, hours=8)
    refused = answer(ada, request, "approve", hours=9)
    assert refused.status_code == 422 and "must be 1 to 8" in refused.content.decode()
    day = (timezone.localtime() + timedelta(days=3)).date()
    other = asked(person("Quin"), the, until=day.isoformat())
    late = (day + timedelta(days=1)).isoformat()
    assert answer(ada, other, "approve", until=late).status_code == 422
    assert not RoleAssignment.objects.filter(role="reviewer").exists()
    early = (day - timedelta(days=1)).isoformat()
    assert answer(ada, other, "approve", until=early).status_code == 302
    ends_at = RoleAssignment.objects.get(role="reviewer").ends_at
    assert ends_at is not None and other.until is not None and ends_at < other.until


@pytest.mark.parametrize(
    ("data", "words"),
    [
        ({"role": "admin", "place": "queue:refunds"}, "Admin can be given on: everything"),
        ({"hours": 73}, "less than or equal to 72"),
        ({"hours": 2, "until": "2999-01-01"}, "not both"),
        ({"until": "2001-01-01"}, "still to come"),
        ({"place": "queue:none"}, "valid choice"),
        ({"reason": " "}, "required"),
    ],
)
def test_what_cannot_be_asked_for_is_refused_at_its_field(data: dict[str, Any], words: str) -> None:
    queue("refunds")
    sent = {"role": "reviewer", "place": "queue:refunds", "reason": "x", **data}
    refused = browser(person()).post("/access/requests/ask/", sent)
    assert refused.status_code == 422 and words in refused.content.decode()
    assert not AccessRequest.objects.exists()


def test_a_request_is_asked_once_and_not_for_what_is_held() -> None:
    the, ada, pat = queue("refunds"), admin(), person("Pat")
    request = asked(pat, the)
    again = {"role": "reviewer", "place": "queue:refunds", "reason": "again"}
    assert browser(pat).post("/access/requests/ask/", again).status_code == 409
    assert browser(pat).post(f"/access/requests/{request.pk}/withdraw/").status_code == 302
    assert answer(ada, request, "approve").status_code == 409
    assert browser(pat).post("/access/requests/ask/", again).status_code == 302
    answer(ada, AccessRequest.objects.get(reason="again"), "approve")
    assert browser(pat).post("/access/requests/ask/", again).status_code == 409
    assert AccessRequest.objects.count() == 2


def test_a_request_nobody_answers_expires_and_gives_nothing() -> None:
    the, ada, pat = queue("refunds"), admin(), person("Pat")
    request = asked(pat, the)
    AccessRequest.objects.update(expires_at=timezone.now())
    assert answer(ada, request, "approve").status_code == 409
    assert access_request.expire(now=timezone.now()) == 1
    assert access_request.expire(now=timezone.now()) == 0
    assert kinds() == ["access.asked", "access.expired"]
    assert "Nobody answered in time" in Notification.objects.get(recipient=pat).text
    assert not RoleAssignment.objects.filter(person=pat).exists()


def test_an_elevation_is_seen_while_it_lasts_and_ends_by_itself() -> None:
    ada, pat = admin(), person("Pat")
    data = {"role": "admin", "place": "everything", "reason": "Incident 7", "hours": 2}
    assert browser(pat).post("/access/requests/ask/", data).status_code == 302
    assert answer(ada, AccessRequest.objects.get(person=pat), "approve", hours=2).status_code == 302
    page = browser(pat)
    assert page.get("/people/").status_code == 200
    assert "You are <b>Admin</b>" in page.get("/people/").content.decode()
    assert "You are <b>Admin</b>" not in browser(ada).get("/people/").content.decode()
    given = RoleAssignment.objects.get(person=pat)
    RoleAssignment.objects.filter(pk=given.pk).update(
        starts_at=timezone.now() - timedelta(hours=3), ends_at=timezone.now() - timedelta(seconds=1)
    )
    assert page.get("/people/").status_code == 403  # from that moment, swept or not
    end_roles()
    end_roles()
    given.refresh_from_db()
    assert (given.ended_why, given.ended_by) == ("ran out", None)
    ended = AuditEvent.objects.filter(kind="role.ended")
    assert [row.actor_id for row in ended] == ["roles"]
    assert page.get("/access/requests/").status_code == 302, "an admin's session does not outlive the role"


def test_a_role_that_ends_frees_the_place_for_a_longer_one() -> None:
    the, ada, pat = queue("refunds"), admin(), person("Pat")
    assignments.give(
        role=Role.REVIEWER, to=pat, actor=ada, scope=Scope.QUEUE, scope_id=str(the.pk),
        ends_at=timezone.now() + timedelta(hours=1),
    )  # fmt: skip
    again = {"role": "reviewer", "place": "queue:refunds", "reason": "longer"}
    assert browser(pat).post("/access/requests/ask/", again).status_code == 409
    RoleAssignment.objects.filter(person=pat).update(
        starts_at=timezone.now() - timedelta(hours=3), ends_at=timezone.now() - timedelta(seconds=1)
    )
    assert browser(pat).post("/access/requests/ask/", again).status_code == 302
    assert answer(ada, AccessRequest.objects.get(), "approve").status_code == 302
    assert pat.held.reach(Duty.REVIEW).queues == {the.pk}


def test_the_page_costs_as_much_for_forty_requests_as_for_one() -> None:
    the, ada = queue("refunds"), admin()
    access_request.ask(
        person=person(), role=Role.REVIEWER, scope=Scope.QUEUE, scope_id=str(the.pk), reason="x"
    )
    client = browser(ada)
    client.get("/access/requests/")
    with CaptureQueriesContext(
        connection,
    ) as one:
        client.get("/access/requests/")
    for _ in range(12):
        access_request.ask(
            person=person(), role=Role.REVIEWER, scope=Scope.QUEUE, scope_id=str(the.pk), reason="x"
        )
    with CaptureQueriesContext(connection) as many:
        assert client.get("/access/requests/").content.decode().count('class="ask"') == 13
    assert len(many) == len(one)
