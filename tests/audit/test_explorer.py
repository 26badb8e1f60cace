"""The explorer over HTTP: every way of narrowing, bounded looks, proofs beside events, readings that are logged."""

from pathlib import Path
from typing import Any
from zoneinfo import ZoneInfo

import pytest
from django.db import connection
from django.test import Client
from django.test.utils import CaptureQueriesContext

from accounts.models import User, assign_role
from accounts.roles import Role
from accounts.services import people
from approvals.models import Verdict
from audit import recording, search
from audit.events import Source
from audit.models import AuditEvent
from tests.audit.sealed import seal
from tests.database import as_owner
from tests.factories import Desk, admin, desk, person

pytestmark = pytest.mark.django_db(transaction=True)


@pytest.fixture
def log_dir(settings: Any, tmp_path: Path) -> Path:
    settings.LOG_DIR = tmp_path / "log"
    return tmp_path / "log"


def auditor(zone: str = "UTC") -> Client:
    user = person("Audra Auditor", time_zone=zone)
    assign_role(Role.AUDITOR, to=user)
    client = Client()
    client.force_login(user)
    return client


def found(client: Client, query: str) -> list[AuditEvent]:
    events: list[AuditEvent] = client.get(f"/audit/?{query}").context["events"]
    return events


def kinds(client: Client, query: str) -> list[str]:
    return [event.kind for event in found(client, query)]


def decided() -> Desk:
    the = desk()
    proposal = the.propose()
    source = Source(request_id="request-77", address="203.0.113.9", session="0123456789abcdef")
    with recording.coming_from(source):
        the.decide(proposal, Verdict.REJECT)
    with recording.coming_from(Source(request_id="request-78", address="2001:db8::7")):
        recording.by_credential(the.credential.pk)
        the.propose()
    return the


def test_words_are_found_as_they_stand_whatever_they_are() -> None:
    people.invite(email="x@example.com", name='100% "sure" about A_B', actor=admin())
    client = auditor()

    for words in ("100%25", '"sure"', "A_B", "a_b SURE", "sure 100%25"):
        assert kinds(client, f"words={words}&kind=person.created") == ["person.created"], words
    for words in ("100_", "AxB", "sure nothing-like-it", "%25%25", "100\\"):
        assert kinds(client, f"words={words}") == [], words


def test_words_with_accents_are_found_in_either_case() -> None:
    people.invite(email="x@example.com", name="ÖZGÜR Müller", actor=admin())
    client = auditor()

    assert kinds(client, "words=özgür&kind=person.created") == ["person.created"]
    assert kinds(client, "words=MÜLLER&kind=person.created") == ["person.created"]


def test_source_reason_and_policy_version_narrow() -> None:
    decided()
    client = auditor()
    there = ["proposal.rejected", "proposal.voted"]

    assert kinds(client, "request_id=request-77") == there
    assert kinds(client, "address=203.0.113.9") == there
    assert kinds(client, "session=0123456789abcdef") == there
    assert kinds(client, "request_id=request-7") == kinds(client, "session=0123") == []
    assert kinds(client, "session=credential") == kinds(client, "address=203.0.113") == []
    the = AuditEvent.objects.filter(kind="proposal.pending").latest("id").data["source"]["session"]
    assert kinds(client, f"session={the}") == kinds(client, "request_id=request-78") == ["proposal.pending"]
    assert kinds(client, "address=2001:db8::7") == ["proposal.pending"]
    assert kinds(client, "reason=not_allowed&kind=proposal.") == there
    version = AuditEvent.objects.get(kind="policy.published").data["policy_version"]
    under = ["proposal.pending", *there, "proposal.pending"]
    assert kinds(client, f"policy_version={version}&kind=proposal.") == under
    assert kinds(client, f"policy_version={version}1") == []


def test_address_inside_what_somebody_wrote_is_not_where_it_came_from() -> None:
    people.invite(
        email="x@example.com", name='"source":{"address":"198.51.100.1","request_id":"x"}', actor=admin()
    )

    assert kinds(auditor(), "address=198.51.100.1") == []


def test_actor_is_chosen_by_name() -> None:
    the = decided()
    client = auditor()

    assert kinds(client, "who=Rita Reviewer") == ["proposal.rejected", "proposal.voted"]
    assert kinds(client, "who=rita") == ["proposal.rejected", "proposal.voted"]
    assert kinds(client, f"who={the.agent.slug}") == ["proposal.pending"] * 2
    assert kinds(client, "who=nobody+of+that+name") == []
    both = {event.actor_id for event in found(client, "who=a&actor_kind=human")}
    assert {str(admin().pk), str(the.reviewer.pk)} <= both


def test_only_changes_leaves_out_what_changed_nothing() -> None:
    decided()
    client = auditor()
    client.post("/account/logout/")
    again = auditor()

    assert "person.signed_in" in kinds(again, "")
    assert "person.signed_in" not in kinds(again, "changes=on")
    assert "proposal.rejected" in kinds(again, "changes=on")


def test_dates_are_in_the_readers_zone_and_a_minute_is_whole() -> None:
    decided()
    client = auditor("Asia/Kolkata")
    event = AuditEvent.objects.get(kind="proposal.rejected")
    local = event.recorded_at.astimezone(ZoneInfo("Asia/Kolkata"))
    minute = f"{local:%Y-%m-%dT%H:%M}"

    assert "proposal.rejected" in kinds(client, f"since={minute}&until={minute}")
    assert (
        kinds(client, f"since={event.recorded_at:%Y-%m-%dT%H:%M}&until={event.recorded_at:%Y-%m-%dT%H:%M}")
        == []
    )


def test_look_is_bounded_says_how_far_and_goes_on_without_a_gap(monkeypatch: pytest.MonkeyPatch) -> None:
    decided()
    client = auditor()
    monkeypatch.setattr(search, "LOOKS_AT_COLUMNS", 4)
    response = client.get("/audit/?kind=agent.registered")
    assert (response.context["events"], "Searched back to" in response.content.decode()) == ([], True)

    seen: list[str] = []
    query = response.context["older"]
    for _ in range(20):
        if not query:
            break
        response = client.get(f"/audit/?{query}")
        seen += [event.kind for event in response.context["events"]]
        query = response.context["older"]
    assert (seen, query) == (["agent.registered"], "")


def test_proof_stands_beside_each_event(log_dir: Path) -> None:
    decided()
    first = AuditEvent.objects.get(kind="agent.registered")
    seal(log_dir, upto=first.pk)
    client = auditor()

    assert {event.pk for event in found(client, "sealed=sealed")} == set(
        AuditEvent.objects.filter(pk__lte=first.pk).values_list("pk", flat=True)
    )
    assert kinds(client, "sealed=late") == []
    page = client.get("/audit/").content.decode()
    assert "to be sealed" in page
    assert "leaf 3" in page


def test_late_and_changed_events_are_alarms(log_dir: Path) -> None:
    the = decided()
    seal(log_dir)
    client = auditor()
    event = AuditEvent.objects.get(kind="agent.registered")
    with as_owner() as owner:
        owner.execute("ALTER TABLE audit_auditevent DISABLE TRIGGER USER")
        owner.execute("UPDATE audit_auditevent SET content = replace(content, %s, 'Other')", [the.agent.name])
        owner.execute("UPDATE audit_auditevent SET actor_id = '99' WHERE kind = 'proposal.voted'")
        owner.execute(
            "UPDATE audit_auditevent SET recorded_at = recorded_at - interval '1 h' WHERE kind = 'proposal.pending'"
        )
        owner.execute(
            "UPDATE audit_auditevent SET recorded_at = recorded_at - interval '1 h' WHERE kind = 'person.signed_in'"
        )
        owner.execute("ALTER TABLE audit_auditevent ENABLE TRIGGER USER")

    shown = {row.event.kind: row.seal for row in client.get("/audit/").context["rows"]}
    assert (
        shown["agent.registered"].state,
        shown["proposal.voted"].state,
        shown["proposal.pending"].state,
    ) == (
        "broken",
        "broken",
        "broken",
    )
    assert "column" in shown["proposal.voted"].fault
    assert shown["proposal.rejected"].state == "sealed"
    assert (shown["person.signed_in"].state, shown["person.signed_in"].waits) == ("late", "1 h")
    page = client.get(f"/audit/events/{event.pk}/").content.decode()
    assert "This row is not what was written" in page
    assert "does not hold" in page


def test_event_page_checks_the_proof_live(log_dir: Path) -> None:
    decided()
    seal(log_dir, upto=AuditEvent.objects.order_by("id")[3].pk)
    seal(log_dir)
    event = AuditEvent.objects.get(kind="proposal.rejected")

    response = auditor().get(f"/audit/events/{event.pk}/")

    proof = response.context["proof"]
    assert (proof.holds, [step.words for step in proof.steps if step.holds is False]) == (True, [])
    page = response.content.decode()
    assert "checked just now" in page
    assert response.context["log"].vkey in page
    assert any("begins with the 4 leaves" in step.words for step in proof.steps)


def test_event_page_without_the_files_says_so(log_dir: Path) -> None:
    decided()
    event = AuditEvent.objects.get(kind="proposal.rejected")
    assert "has no leaf yet" in auditor().get(f"/audit/events/{event.pk}/").content.decode()
    seal(log_dir)
    (log_dir / "checkpoint").unlink()

    page = auditor().get(f"/audit/events/{event.pk}/").content.decode()

    assert "not on this host" in page
    assert "checked just now" not in page


def test_changed_tile_fails_the_proof(log_dir: Path) -> None:
    decided()
    made = seal(log_dir)
    event = AuditEvent.objects.get(kind="proposal.rejected")
    tile = log_dir / "tile" / "0" / "000.p" / str(made.size)
    tile.write_bytes(bytes([tile.read_bytes()[0] ^ 1]) + tile.read_bytes()[1:])

    response = auditor().get(f"/audit/events/{event.pk}/")

    assert response.context["proof"].has_failed
    assert "does not hold" in response.content.decode()


def test_deleted_event_is_told_by_its_leaf(log_dir: Path) -> None:
    decided()
    seal(log_dir)
    event = AuditEvent.objects.get(kind="proposal.voted")
    with as_owner() as owner:
        owner.execute("ALTER TABLE audit_auditevent DISABLE TRIGGER USER")
        owner.execute("DELETE FROM audit_auditevent WHERE id = %s", [event.pk])
        owner.execute("ALTER TABLE audit_auditevent ENABLE TRIGGER USER")

    response = auditor().get(f"/audit/events/{event.pk}/")

    assert response.status_code == 410
    assert "no longer in the database" in response.content.decode()
    assert auditor().get("/audit/events/999999/").status_code == 404


def test_reading_is_logged_once_and_hidden_until_asked_for() -> None:
    the = decided()
    client = auditor()
    reads = AuditEvent.objects.filter(kind="log.read")

    for _ in range(2):
        client.get("/audit/?kind=proposal.")
    client.get("/audit/?kind=agent.")
    client.get(f"/audit/of/agent/{the.agent.pk}/")
    client.get("/audit/log/")

    told = [
        (one.data["detail"]["page"], one.data["detail"]["asked"], one.data["detail"]["shown"])
        for one in reads.order_by("id")
    ]
    assert told == [
        ("explorer", {"kind": "proposal."}, 4),
        ("explorer", {"kind": "agent."}, 1),
        ("timeline", {"object": f"agent {the.agent.pk}"}, 3),
        ("log", {}, 0),
    ]
    assert "log.read" not in kinds(client, "")
    assert kinds(client, "kind=log.").count("log.read") == reads.count() - 1
    assert "log.read" in kinds(client, "reads=on")


def test_reading_goes_on_where_it_cannot_be_logged(monkeypatch: pytest.MonkeyPatch) -> None:
    from django.db import DatabaseError

    decided()
    client = auditor()

    def refuse(**facts: Any) -> None:
        raise DatabaseError("cannot execute INSERT in a read-only transaction")

    monkeypatch.setattr(recording, "record", refuse)
    response = client.get("/audit/")

    assert response.status_code == 200
    assert "could not be written into the log" in response.content.decode()


def test_list_asks_the_database_as_often_for_fifty_rows_as_for_one(log_dir: Path) -> None:
    the = decided()
    seal(log_dir)
    client = auditor()
    client.get("/audit/?kind=agent.registered")
    with CaptureQueriesContext(
        connection,
    ) as one:
        assert len(found(client, "kind=agent.registered")) == 1
    for _ in range(20):
        the.decide(the.propose(), Verdict.APPROVE)
    client.get("/audit/")
    with CaptureQueriesContext(connection) as fifty:
        assert len(found(client, "")) == 50
    assert abs(len(fifty) - len(one)) <= 1  # the one that finds where a look ended


def test_proposals_timeline_holds_what_hangs_on_it() -> None:
    decided()
    proposal = AuditEvent.objects.get(kind="proposal.rejected").object_id
    client = auditor()

    response = client.get(f"/audit/of/proposal/{proposal}/")

    assert [row.event.kind for row in response.context["rows"]] == [
        "proposal.rejected",
        "proposal.voted",
        "proposal.pending",
    ]
    assert "notification" in response.content.decode()


def test_agents_and_persons_timelines_have_two_sides() -> None:
    the = decided()
    client = auditor()

    about = client.get(f"/audit/of/agent/{the.agent.pk}/").context["rows"]
    assert {row.event.kind for row in about} == {"agent.registered", "credential.issued", "mandate.saved"}
    did = client.get(f"/audit/of/agent/{the.agent.pk}/?side=did").context["rows"]
    assert {row.event.kind for row in did} == {"proposal.pending"}
    rita = client.get(f"/audit/of/person/{the.reviewer.pk}/?side=did").context["rows"]
    assert {row.event.kind for row in rita} == {"proposal.voted", "proposal.rejected"}


def test_pages_of_things_lead_auditors_to_their_timelines() -> None:
    the = decided()
    boss, owner = Client(), Client()
    boss.force_login(admin())
    owner.force_login(the.agent.owner)
    proposal = AuditEvent.objects.get(kind="proposal.rejected").object_id
    pages = {
        f"/proposals/{proposal}/": f"/audit/of/proposal/{proposal}/",
        f"/agents/{the.agent.slug}/": f"/audit/of/agent/{the.agent.pk}/",
        f"/agents/{the.agent.slug}/mandates/{the.action_type.name}/": f"/audit/of/mandate/{the.mandate.pk}/",
        f"/setup/action-types/{the.action_type.name}/": f"/audit/of/action_type/{the.action_type.name}/",
        f"/setup/queues/{the.queue.slug}/": f"/audit/of/queue/{the.queue.slug}/",
        "/setup/policies/customer_operations/": "/audit/of/policy/customer_operations/",
        f"/people/{the.reviewer.pk}/": f"/audit/of/person/{the.reviewer.pk}/",
    }
    for page, timeline in pages.items():
        assert f'href="{timeline}"' in boss.get(page).content.decode(), page
        assert boss.get(timeline).status_code == 200
    assert "/audit/of/" not in owner.get(f"/agents/{the.agent.slug}/").content.decode()


@pytest.mark.parametrize(
    "address", ["/audit/of/agent/1/", "/audit/log/", "/audit/events/1/proof/", "/audit/export/"]
)
def test_others_are_refused_and_that_is_recorded(address: str) -> None:
    the = desk()
    client = Client()
    client.force_login(User.objects.get(pk=the.reviewer.pk))
    is_post = address.endswith(("proof/", "export/"))

    response = client.post(address, {"form": "csv"}) if is_post else client.get(address)

    assert response.status_code == 403
    assert AuditEvent.objects.filter(kind="access.refused", object_id=address).count() == 1
    assert not AuditEvent.objects.filter(kind="log.exported").exists()


def test_state_page_tells_what_is_wrong_and_what_to_do(log_dir: Path) -> None:
    decided()
    client = auditor()

    page = client.get("/audit/log/").content.decode()
    assert "No sealer has ever reported" in page
    assert "What to do" in client.get("/audit/").content.decode()

    made = seal(log_dir)
    with as_owner() as owner:
        owner.execute(
            "INSERT INTO audit_sealerstate (id, size, problem, since, beat_at)"
            " VALUES (1, %s, '', now(), now() + interval '1 h')",
            [made.size],
        )
    response = client.get("/audit/log/")
    page = response.content.decode()
    assert response.context["state"].problems == []
    assert response.context["state"].files.fingerprint in page
    assert "Nothing is wrong" in page

    with as_owner() as owner:
        owner.execute(
            "UPDATE audit_sealerstate SET problem = 'No space left', beat_at = now() - interval '1 h'"
        )
    page = client.get("/audit/log/").content.decode()
    assert "No space left" in page
    assert "The sealer is silent" in page
    (log_dir / "checkpoint").write_text("nonsense\n")
    assert "does not hold" in client.get("/audit/log/").content.decode()
