"""The pages of owners and admins as a whole: who gets in, what anonymous people get, how many queries they cost."""

from collections.abc import Callable
from datetime import timedelta

import pytest
from django.contrib.auth.models import Group
from django.db import connection
from django.test import Client
from django.test.utils import CaptureQueriesContext
from django.utils import timezone

from accounts.models import User
from agents.services import credentials
from approvals.models import Verdict
from audit.models import AuditEvent
from tests.factories import Desk, action_type, admin, desk, person, policy, queue

pytestmark = pytest.mark.django_db(transaction=True)


def signed_in(user: User) -> Client:
    client = Client()
    client.force_login(user)
    return client


def pages(the: Desk) -> dict[str, str]:
    """Every page that is only read, with what must stand on it."""
    team = Group.objects.create(name="Refund desk")
    event = AuditEvent.objects.latest("id")
    return {
        "/agents/": the.agent.name,
        f"/agents/{the.agent.slug}/": "Mandates",
        f"/agents/{the.agent.slug}/edit/": "Particulars",
        "/agents/-/register/": "Register an agent",
        f"/agents/{the.agent.slug}/credentials/issue/": "Issue a credential",
        f"/agents/{the.agent.slug}/credentials/{the.credential.pk}/rotate/": "Rotate credential",
        f"/agents/{the.agent.slug}/mandates/-/add/": "Add a mandate",
        f"/agents/{the.agent.slug}/mandates/{the.action_type.name}/edit/": "Mandate for",
        "/outcomes/unknown/": "Unknown outcomes",
        "/setup/action-types/": the.action_type.label,
        "/setup/action-types/-/add/": "Add an action type",
        f"/setup/action-types/{the.action_type.name}/": "Arguments",
        f"/setup/action-types/{the.action_type.name}/edit/": "Edit",
        "/setup/policies/": "customer_operations",
        "/setup/policies/-/add/": "Add a policy",
        "/setup/policies/customer_operations/": "Rules in force",
        "/setup/policies/customer_operations/publish/": "Next version",
        "/setup/queues/": the.queue.name,
        "/setup/queues/-/add/": "Add a queue",
        f"/setup/queues/{the.queue.slug}/": "Reviewers",
        f"/setup/queues/{the.queue.slug}/edit/": "Edit",
        "/setup/calendars/": "No calendars yet",
        "/setup/calendars/-/add/": "Add a calendar",
        "/absence/": "Out of office",
        "/absences/": "Everybody is here",
        "/people/": "Rita Reviewer",
        "/people/invite/": "Invite a person",
        f"/people/{the.reviewer.pk}/": "What can Rita do?",
        "/teams/": "Refund desk",
        f"/teams/{team.pk}/": "Members",
        "/preferences/": "Light or dark",
        "/audit/": "Audit log",
        f"/audit/events/{event.pk}/": "What was recorded",
        "/audit/log/": "State of the log",
        "/audit/subjects/": "Data subjects",
        "/audit/retention/": "How long content is kept",
    }


def test_every_page_opens_for_an_admin(client: Client) -> None:
    the = desk()
    the.decide(the.propose(), Verdict.APPROVE)
    client.force_login(admin())

    for address, text in pages(the).items():
        response = client.get(address)
        assert response.status_code == 200, address
        assert text in response.content.decode(), address


ADMINS_ONLY = (
    "/setup/action-types/-/add/",
    "/setup/policies/-/add/",
    "/setup/policies/customer_operations/publish/",
    "/setup/queues/-/add/",
    "/setup/calendars/-/add/",
    "/absences/",
    "/people/",
    "/people/invite/",
    "/teams/",
    "/audit/",
    "/audit/log/",
    "/audit/subjects/",
    "/audit/retention/",
)


@pytest.mark.parametrize("address", ADMINS_ONLY)
def test_admins_page_is_refused_to_an_owner_and_recorded(address: str) -> None:
    the = desk()

    response = signed_in(the.agent.owner).get(address)

    assert response.status_code == 403
    refusal = AuditEvent.objects.filter(kind="access.refused").get()
    assert (refusal.actor_id, refusal.object_id) == (str(the.agent.owner.pk), address[:64])


def test_pages_of_an_agent_do_not_exist_for_other_people() -> None:
    the = desk()
    stranger = signed_in(person())

    for ending in ("", "edit/", "credentials/issue/", "mandates/-/add/"):
        assert stranger.get(f"/agents/{the.agent.slug}/{ending}").status_code == 404, ending
    for ending in ("suspend/", "resume/", "retire/", "managers/add/"):
        response = stranger.post(f"/agents/{the.agent.slug}/{ending}", {"reason": "because"})
        assert response.status_code == 404, ending
    the.agent.refresh_from_db()
    assert the.agent.state == "live"


def test_reviewer_can_read_rules_and_not_change_them() -> None:
    the = desk()
    reviewer = signed_in(the.reviewer)

    for address in ("/setup/policies/", "/setup/policies/customer_operations/", "/setup/action-types/"):
        assert reviewer.get(address).status_code == 200
    data = {"name": "x", "default_queue": the.queue.slug, "rules": "", "note": "x"}
    assert reviewer.post("/setup/policies/customer_operations/publish/", data).status_code == 403
    assert reviewer.post(f"/setup/queues/{the.queue.slug}/reviewers/add/", {"to": "x"}).status_code == 403


def test_anonymous_people_are_sent_to_sign_in(client: Client) -> None:
    the = desk()
    for address in pages(the):
        response = client.get(address)
        assert response.status_code == 302, address
        assert response["Location"].startswith("/account/login/"), address


POST_ONLY = ("suspend/", "resume/", "retire/", "managers/add/", "credentials/{key}/revoke/")


@pytest.mark.parametrize("ending", POST_ONLY)
def test_action_is_not_done_by_get(ending: str) -> None:
    the = desk()
    address = f"/agents/{the.agent.slug}/{ending.format(key=the.credential.pk)}"

    assert signed_in(admin()).get(address).status_code == 405


def _one_more_agent() -> None:
    the = desk()
    the.propose()


def _one_more_queue() -> None:
    the_queue = queue()
    from approvals.services import set_up

    set_up.assign_reviewer(queue_slug=the_queue.slug, to=person(), actor=admin())


def _one_more_person() -> None:
    person().groups.add(Group.objects.get_or_create(name="Desk")[0])


def _one_more_policy() -> None:
    number = queue().pk
    policy([], queue(domain=f"domain-{number}"), domain=f"domain-{number}")


def _one_more_action_type() -> None:
    undo = action_type()
    action_type(reversible_by=undo.name)


def _one_more_calendar() -> None:
    from accounts.services.calendars import CalendarDefinition
    from approvals.services import set_up

    name = f"Office {queue().pk}"
    week = {"mon": [["09:00", "17:00"]]}
    set_up.save_calendar(definition=CalendarDefinition(name=name, week=week), actor=admin())
    queue(calendar=name)


def _one_more_absence() -> None:
    from accounts.services import absences

    now = timezone.now()
    absences.enter(
        person_id=person().pk,
        delegate_id=person().pk,
        starts_at=now,
        ends_at=now + timedelta(days=1),
        actor=admin(),
    )


LISTS: list[tuple[str, Callable[[], object]]] = [
    ("/agents/", _one_more_agent),
    ("/setup/queues/", _one_more_queue),
    ("/setup/policies/", _one_more_policy),
    ("/setup/action-types/", _one_more_action_type),
    ("/setup/calendars/", _one_more_calendar),
    ("/absences/", _one_more_absence),
    ("/people/", _one_more_person),
    ("/teams/", lambda: Group.objects.create(name=f"Team {Group.objects.count()}")),
    ("/audit/", lambda: queue()),
]


@pytest.mark.parametrize(("address", "one_more"), LISTS, ids=[address for address, _ in LISTS])
def test_list_costs_the_same_queries_at_one_and_three(address: str, one_more: Callable[[], object]) -> None:
    client = signed_in(admin())
    one_more()
    client.get(address)
    with CaptureQueriesContext(connection) as at_one:
        client.get(address)
    one_more()
    one_more()
    with CaptureQueriesContext(connection) as at_three:
        client.get(address)

    assert len(at_three) == len(at_one)


def test_agent_page_costs_the_same_queries_at_one_and_three() -> None:
    the = desk(window_count=10)
    client = signed_in(the.agent.owner)

    def grow() -> None:
        from agents.services import mandates
        from agents.services.mandates import Terms

        kind = action_type()
        mandates.save(
            agent_id=the.agent.pk, action_type=kind.name, terms=Terms(window_count=3), actor=admin()
        )
        credentials.issue(agent_id=the.agent.pk, actor=the.agent.owner)
        the.decide(the.propose(), Verdict.APPROVE)

    grow()
    client.get(f"/agents/{the.agent.slug}/")
    with CaptureQueriesContext(connection) as at_one:
        client.get(f"/agents/{the.agent.slug}/")
    grow()
    grow()
    with CaptureQueriesContext(connection) as at_three:
        client.get(f"/agents/{the.agent.slug}/")

    assert len(at_three) == len(at_one)
