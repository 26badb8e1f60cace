"""The audit log over HTTP: filters, pages, one event; for auditors and admins only."""

import hashlib

import pytest
from django.test import Client

from accounts.models import assign_role
from accounts.roles import Role
from approvals.models import Verdict
from audit import words
from audit.models import AuditEvent
from tests.factories import admin, desk, person

pytestmark = pytest.mark.django_db(transaction=True)


def auditor() -> Client:
    user = person("Audra Auditor")
    assign_role(Role.AUDITOR, to=user)
    client = Client()
    client.force_login(user)
    return client


def ids(client: Client, query: str) -> list[int]:
    return [event.pk for event in client.get(f"/audit/?{query}").context["events"]]


def test_filters_narrow_by_kind_actor_object_and_time() -> None:
    the = desk()
    the.decide(the.propose(), Verdict.APPROVE)
    client = auditor()
    every = list(AuditEvent.objects.order_by("-id"))

    assert ids(client, "") == [event.pk for event in every]
    assert ids(client, "kind=agent.registered") == [e.pk for e in every if e.kind == "agent.registered"]
    assert ids(client, "kind=proposal.") == [e.pk for e in every if e.kind.startswith("proposal.")]
    mine = [e.pk for e in every if (e.actor_kind, e.actor_id) == ("human", str(the.reviewer.pk))]
    assert ids(client, f"actor_kind=human&actor_id={the.reviewer.pk}") == mine != []
    about = [e.pk for e in every if (e.object_type, e.object_id) == ("agent", str(the.agent.pk))]
    assert ids(client, f"object_type=agent&object_id={the.agent.pk}") == about != []
    assert ids(client, "until=2020-01-01T00:00") == []
    assert ids(client, "since=2020-01-01T00:00") == [event.pk for event in every]


def test_filter_that_cannot_be_read_is_said_and_narrows_nothing() -> None:
    desk()
    client = auditor()

    response = client.get("/audit/?kind=nonsense&since=yesterday&before=-1")

    assert "could not be read" in response.content.decode()
    assert len(response.context["events"]) == AuditEvent.objects.exclude(kind="log.read").count()


def test_pages_follow_one_another_without_gap(monkeypatch: pytest.MonkeyPatch) -> None:
    from audit.views import explorer

    desk()
    monkeypatch.setattr(explorer, "PAGE", 3)
    client = auditor()
    seen: list[int] = []
    query = ""
    for _ in range(20):
        response = client.get(f"/audit/?{query}")
        seen += [event.pk for event in response.context["events"]]
        query = response.context["older"]
        if not query:
            break

    every = AuditEvent.objects.exclude(kind="log.read").order_by("-id")
    assert seen == list(every.values_list("pk", flat=True))


def test_event_shows_what_its_commitment_covers() -> None:
    desk()
    event = AuditEvent.objects.get(kind="agent.registered")

    response = auditor().get(f"/audit/events/{event.pk}/")

    covered = hashlib.sha256(bytes.fromhex(response.context["salt"]) + event.content.encode()).hexdigest()
    assert response.context["commitment"] == covered
    assert covered in response.content.decode()


@pytest.mark.parametrize("address", ["/audit/", "/audit/events/1/"])
def test_log_is_refused_to_others_and_that_is_recorded(address: str) -> None:
    the = desk()
    client = Client()
    client.force_login(the.agent.owner)

    assert client.get(address).status_code == 403
    assert AuditEvent.objects.filter(kind="access.refused", object_id=address).count() == 1


def test_names_are_printed_as_text() -> None:
    from accounts.services import people

    people.invite(email="x@example.com", name="<img src=x onerror=alert(1)>", actor=admin())

    page = auditor().get("/audit/?kind=person.created").content.decode()

    assert "<img src=x" not in page
    assert "&lt;img src=x" in page


def test_event_leads_to_the_page_of_its_object() -> None:
    the = desk()
    client = Client()
    client.force_login(admin())
    leads = {
        f"agent/{the.agent.pk}": f"/agents/{the.agent.slug}/",
        f"mandate/{the.mandate.pk}": f"/agents/{the.agent.slug}/",
        f"action_type/{the.action_type.name}": f"/setup/action-types/{the.action_type.name}/",
        f"queue/{the.queue.slug}": f"/setup/queues/{the.queue.slug}/",
        "policy/customer_operations": "/setup/policies/customer_operations/",
        f"person/{the.reviewer.pk}": f"/people/{the.reviewer.pk}/",
        "signing_key/k1": "/audit/?object_type=signing_key&object_id=k1",
    }
    for name, address in leads.items():
        response = client.get(f"/objects/{name}/")
        assert (response.status_code, response["Location"]) == (302, address)
        assert client.get(address).status_code == 200


@pytest.mark.parametrize(
    ("value", "text"),
    [
        (None, "nothing"),
        ("", "nothing"),
        (True, "yes"),
        ([], "none"),
        (["a", 2], "a, 2"),
        ({"a": 1, "b": None}, "a: 1; b: nothing"),
        ("2026-11-22T09:18:39.262827+00:00", "2026-11-22 09:18 UTC"),
    ],
)
def test_values_read_as_words(value: object, text: str) -> None:
    assert words.as_text(value) == text


def test_every_kind_has_words() -> None:
    from approvals.states import State
    from audit.events import Kind

    kinds = [*Kind, *(f"proposal.{state}" for state in State)]
    assert [kind for kind in kinds if ":" in words.phrase(kind)] == []


@pytest.mark.parametrize(
    ("kind", "content", "words_for_it"),
    [
        ("proposal.approved", {"actor": {"kind": "human"}}, "approved"),
        ("proposal.approved", {"actor": {"kind": "agent"}}, "asked, and its tier let it pass"),
        ("queue.reviewers_assigned", {"detail": {"to": "Rita", "allowed": True}}, "made Rita a reviewer"),
        (
            "team.changed",
            {"detail": {"person": "Rita", "team": "Desk", "member": False}},
            "took Rita out of Desk",
        ),
        ("team.changed", {"after": {"name": "Desk"}}, "changed the team"),
        ("something.new_here", {}, "something: new here"),
    ],
)
def test_events_read_as_sentences(kind: str, content: dict[str, object], words_for_it: str) -> None:
    assert words.phrase(kind, content) == words_for_it


def test_hidden_characters_of_an_agent_are_shown_on_its_page() -> None:
    the = desk()
    proposal = the.propose({"order_id": "A-1\u202e1", "amount": 5})
    client = Client()
    client.force_login(admin())

    page = client.get(f"/agents/{the.agent.slug}/").content.decode()

    assert str(proposal.pk) in page
    assert "\u202e" not in page
    assert "U+202E" in page
