"""Credentials: kept to networks, known by their last use, reminded of before they end, recognised when they leak."""

import re
from datetime import timedelta
from pathlib import Path

import httpx
import pytest
from django.db import connection
from django.test.utils import CaptureQueriesContext
from django.utils import timezone

from accounts.exceptions import Invalid, NotAllowed
from agents import authority, networks, tokens
from agents.models import Credential
from agents.services import assign_owners, credentials
from approvals.models import Notification, Proposal
from approvals.services import remind_credentials
from audit.models import AuditEvent
from tests.factories import Desk, admin, desk, person
from tests.invariants.calls import AgentCalls, call
from tests.live import serving

pytestmark = pytest.mark.django_db(transaction=True)
DOCS = Path(__file__).resolve().parent.parent.parent / "docs"


@pytest.mark.parametrize(
    ("text", "read"),
    [
        ("", []),
        ("10.0.0.0/8", ["10.0.0.0/8"]),
        ("203.0.113.7", ["203.0.113.7/32"]),
        ("2001:DB8::/32,\n 10.0.0.0/8 10.0.0.0/8", ["2001:db8::/32", "10.0.0.0/8"]),
        ("2001:db8::1", ["2001:db8::1/128"]),
    ],
)
def test_networks_are_read(text: str, read: list[str]) -> None:
    assert networks.read(text) == read


@pytest.mark.parametrize(
    ("text", "words"),
    [
        ("10.0.0.1/8", "Write 10.0.0.0/8."),
        ("2001:db8::1/32", "Write 2001:db8::/32."),
        ("office", "“office” is no network"),
        ("10.0.0.0/33", "is no network"),
        ("0.0.0.0/0", "Leave the field empty"),
        ("::/0", "Leave the field empty"),
        (" ".join(f"10.0.{n}.0/24" for n in range(51)), "at most 50"),
    ],
)
def test_what_is_no_network_is_told_in_words(text: str, words: str) -> None:
    with pytest.raises(ValueError, match=re.escape(words)):
        networks.read(text)


@pytest.mark.parametrize(
    ("address", "is_in"),
    [
        ("10.1.2.3", True),
        ("::ffff:10.1.2.3", True),
        ("11.1.2.3", False),
        ("2001:db8::7", True),
        ("2001:db9::7", False),
        ("", False),
        ("unix", False),
        ("10.1.2.3, 11.1.1.1", False),
    ],
)
def test_an_address_is_in_a_network_or_not(address: str, is_in: bool) -> None:
    assert networks.cover(networks.parsed(["10.0.0.0/8", "2001:db8::/32"]), address) is is_in
    assert networks.cover((), address)


def test_from_elsewhere_it_is_refused_as_if_nobody_had_it() -> None:
    the = desk()
    credential, token = credentials.issue(
        agent_id=the.agent.pk, actor=the.agent.owner, networks=["203.0.113.0/24"]
    )
    agent = AgentCalls(the, token)
    unknown = call("GET", "/api/v1/me", tokens.new().text)
    for answer in (call("GET", "/api/v1/me", token), agent.propose()):
        assert (answer.status, answer.body) == (unknown.status, unknown.body)
    assert call("GET", "/api/v1/me", token, X_Forwarded_For="203.0.113.7").status == 401
    assert not Proposal.objects.exists()
    event = AuditEvent.objects.filter(kind="access.refused").latest("pk")
    assert event.data["actor"]["label"] == the.agent.slug
    assert event.data["detail"]["why"] == "The credential may not be used from 127.0.0.1."
    assert Credential.objects.get(pk=credential.pk).last_used_at is None
    credentials.restrict(credential_id=credential.pk, networks=["127.0.0.0/8"], actor=the.agent.owner)
    assert agent.propose().status == 201
    credentials.restrict(credential_id=credential.pk, networks=["10.0.0.0/8"], actor=the.agent.owner)
    assert agent.propose().status == 401


def test_the_waiting_door_knows_the_networks_too() -> None:
    the = desk()
    proposal = the.propose()
    credentials.restrict(credential_id=the.credential.pk, networks=["203.0.113.0/24"], actor=admin())
    with serving() as url:
        path = f"{url}/api/v1/proposals/{proposal.pk}?wait=1&after_version=0"
        forged = {**the.headers, "X-Forwarded-For": "203.0.113.7", "Forwarded": "for=203.0.113.7"}
        assert httpx.get(path, headers=forged, timeout=30).status_code == 401
        credentials.restrict(credential_id=the.credential.pk, networks=["127.0.0.0/8"], actor=admin())
        assert httpx.get(path, headers=the.headers, timeout=30).status_code == 200
    assert Credential.objects.get(pk=the.credential.pk).last_used_from == "127.0.0.1"


def test_only_who_manages_the_agent_says_from_where() -> None:
    the = desk()
    for one in (the.reviewer, person()):
        with pytest.raises(NotAllowed):
            credentials.restrict(credential_id=the.credential.pk, networks=[], actor=one)
    with pytest.raises(Invalid) as refused:
        credentials.restrict(credential_id=the.credential.pk, networks=["10.0.0.1/8"], actor=the.agent.owner)
    assert refused.value.extra["errors"] == [
        {"field": "networks", "message": "“10.0.0.1/8” names an address within a network. Write 10.0.0.0/8."}
    ]
    credentials.restrict(credential_id=the.credential.pk, networks=["10.0.0.0/8"], actor=the.agent.owner)
    credentials.restrict(credential_id=the.credential.pk, networks=["10.0.0.0/8"], actor=the.agent.owner)
    assert AuditEvent.objects.filter(kind="credential.changed").count() == 1
    successor, _ = credentials.rotate(credential_id=the.credential.pk, actor=admin())
    assert successor.networks == ["10.0.0.0/8"]


def test_accepting_a_proposal_costs_no_statement_more() -> None:
    the = desk()
    credentials.restrict(credential_id=the.credential.pk, networks=["127.0.0.0/8"], actor=admin())
    agent = AgentCalls(the)
    assert agent.propose().status == 201
    with CaptureQueriesContext(connection) as made:
        assert agent.propose().status == 201
    assert [query["sql"].split()[0] for query in made] == ["WITH"]
    credential = Credential.objects.get(pk=the.credential.pk)
    assert (credential.last_used_from, credential.last_used_at is not None) == ("127.0.0.1", True)


def test_its_use_is_noted_once_a_minute_by_all_processes_together() -> None:
    the = desk()
    authority.note_use(the.credential.pk, "192.0.2.1")
    authority._noted.clear()  # as another process
    authority.note_use(the.credential.pk, "192.0.2.2")
    assert Credential.objects.get(pk=the.credential.pk).last_used_from == "192.0.2.1"
    Credential.objects.update(last_used_at=timezone.now() - timedelta(seconds=61))
    authority._noted.clear()
    authority.note_use(the.credential.pk, "192.0.2.3")
    assert Credential.objects.get(pk=the.credential.pk).last_used_from == "192.0.2.3"


def reminders(the: Desk) -> list[tuple[int, str]]:
    told = Notification.objects.filter(kind="agent").order_by("pk")
    return [(one.recipient_id, one.key.rpartition(":")[2]) for one in told]


def test_its_people_are_reminded_14_7_and_1_days_before_once_each() -> None:
    the, manager = desk(), person("Mona Manager")
    assign_owners.assign_manager(agent_id=the.agent.pk, to=manager, actor=admin())
    ends = Credential.objects.get(pk=the.credential.pk).expires_at
    people = sorted([the.agent.owner_id, manager.pk])
    expected: list[tuple[int, str]] = []
    for days, due in ((14.1, ""), (14, "14"), (10, ""), (7, "7"), (6.9, ""), (1, "1"), (0.1, ""), (-1, "")):
        at = ends - timedelta(days=days)
        assert remind_credentials.remind(now=at) == (1 if due else 0)
        assert remind_credentials.remind(now=at) == 0
        expected += [(one, due) for one in people] if due else []
        assert reminders(the) == expected
    assert Notification.objects.filter(kind="agent").first().link == f"/agents/{the.agent.slug}/#credentials"  # type: ignore[union-attr]


def test_a_worker_that_was_down_reminds_of_the_latest_only() -> None:
    the = desk()
    ends = Credential.objects.get(pk=the.credential.pk).expires_at
    assert remind_credentials.remind(now=ends - timedelta(days=3)) == 1
    assert reminders(the) == [(the.agent.owner_id, "7")]


def test_nobody_is_reminded_of_what_was_replaced_or_revoked() -> None:
    the = desk()
    ends = Credential.objects.get(pk=the.credential.pk).expires_at
    successor, _ = credentials.rotate(
        credential_id=the.credential.pk, actor=admin(), overlap=timedelta(days=7)
    )
    credentials.revoke(credential_id=successor.pk, actor=admin())
    assert remind_credentials.remind(now=timezone.now()) == 0
    assert remind_credentials.remind(now=ends - timedelta(days=1)) == 0


def test_a_scanner_recognises_a_leaked_token_by_the_documented_expression() -> None:
    page = (DOCS / "credentials.md").read_text()
    found = re.search(r"```regex\n(.+)\n```", page)
    assert found is not None
    expression = re.compile(found[1])
    made = [tokens.new().text for _ in range(200)]
    for text in made:
        assert expression.findall(f'COUNTERSIGN_TOKEN="{text}"; next') == [text]
    assert not expression.search("csgn_short_x_y")
    assert all(map(tokens.is_well_formed, made))
    assert not tokens.is_well_formed(made[0][:-1] + ("a" if made[0][-1] != "a" else "b"))
