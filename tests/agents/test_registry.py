"""The registry of agents: prepared, set live, listed by what they are, handed over when their owner leaves."""

from typing import Any

import pytest
from django.contrib.auth.models import Group
from django.db import connection
from django.test import Client
from django.test.utils import CaptureQueriesContext

from accounts.exceptions import Conflict, Invalid, NotAllowed
from accounts.models import User
from agents.models import Agent, Credential
from agents.services import credentials, mandates, register
from agents.services.mandates import Terms
from approvals import readiness
from approvals.models import Proposal
from approvals.services import ownership, suspend
from approvals.services.deactivate import deactivate
from audit.models import AuditEvent
from tests.factories import Desk, admin, desk, person
from tests.invariants.calls import AgentCalls, call

pytestmark = pytest.mark.django_db(transaction=True)


def signed_in(user: User) -> Client:
    client = Client()
    client.force_login(user)
    return client


def prepared(the: Desk) -> tuple[Agent, str]:
    """An agent that has everything but its going live."""
    agent = register.register(
        slug="helper", name="Helper", owner=the.agent.owner, actor=admin(), live=False, systems=["SAP"]
    )
    _, token = credentials.issue(agent_id=agent.pk, actor=the.agent.owner)
    mandates.save(agent_id=agent.pk, action_type=the.action_type.name, terms=Terms(), actor=admin())
    return agent, token


def test_an_agent_in_preparation_reads_and_its_proposals_are_denied() -> None:
    the = desk()
    agent, token = prepared(the)
    calls = AgentCalls(the, token)
    assert call("GET", "/api/v1/me", token).body["state"] == "preparing"
    denied = calls.propose()
    assert (denied.status, denied.body["status"]) == (201, "denied")
    assert [(one["code"], one["detail"]) for one in denied.body["route"]["reasons"]] == [
        ("agent_not_live", "The agent is in preparation: nobody has set it live yet.")
    ]
    signed_in(the.agent.owner).post("/agents/helper/go-live/")
    assert Agent.objects.get(pk=agent.pk).state == "live"
    assert calls.propose().body["status"] == "pending"
    assert AuditEvent.objects.filter(kind="agent.went_live", object_id=str(agent.pk)).count() == 1


def test_it_goes_live_with_everything_and_not_before() -> None:
    the = desk()
    agent = register.register(slug="bare", name="Bare", owner=the.agent.owner, actor=admin(), live=False)
    assert readiness.missing(agent) == [
        "a credential or an identity that is usable",
        "a mandate in force",
        "a policy for the domain of its mandates",
    ]
    with pytest.raises(Conflict, match="a mandate in force"):
        suspend.go_live(agent_id=agent.pk, actor=the.agent.owner)
    credential, _ = credentials.issue(agent_id=agent.pk, actor=the.agent.owner)
    mandates.save(agent_id=agent.pk, action_type=the.action_type.name, terms=Terms(), actor=admin())
    assert readiness.missing(agent) == []
    credentials.revoke(credential_id=credential.pk, actor=the.agent.owner)
    assert readiness.missing(agent) == ["a credential or an identity that is usable"]
    credentials.issue(agent_id=agent.pk, actor=the.agent.owner)
    for one in (the.reviewer, person()):
        with pytest.raises(NotAllowed):
            suspend.go_live(agent_id=agent.pk, actor=one)
    with pytest.raises(Conflict, match="in preparation"):
        suspend.suspend(agent_id=agent.pk, actor=admin(), reason="odd")
    assert suspend.go_live(agent_id=agent.pk, actor=the.agent.owner).state == "live"
    with pytest.raises(Conflict):
        suspend.go_live(agent_id=agent.pk, actor=the.agent.owner)


def test_the_page_registers_in_preparation_and_shows_what_is_missing() -> None:
    the = desk()
    client = signed_in(the.agent.owner)
    form = {
        "name": "Helper",
        "slug": "helper",
        "version": "1",
        "systems": "SAP, Shopify ,SAP",
        "domain": the.action_type.domain,
    }
    client.post("/agents/-/register/", form)
    agent = Agent.objects.get(slug="helper")
    assert (agent.state, agent.domain, agent.systems) == (
        "preparing",
        the.action_type.domain,
        ["SAP", "Shopify"],
    )
    page = client.get("/agents/helper/").content.decode()
    assert "Before it goes live" in page
    assert page.count("missing") == 4  # a team is advised; credential, mandate, policy
    refused = client.post("/agents/helper/go-live/")
    assert refused.status_code == 409
    client.post("/agents/-/register/", {**form, "slug": "at-once", "live": "on"})
    assert Agent.objects.get(slug="at-once").state == "live"


def test_only_an_admin_moves_an_agent_to_another_domain() -> None:
    the = desk()
    particulars: dict[str, Any] = {"name": "A", "purpose": "", "version": "1", "team": None}
    with pytest.raises(NotAllowed):
        register.change(agent_id=the.agent.pk, actor=the.agent.owner, domain="treasury", **particulars)
    changed = register.change(
        agent_id=the.agent.pk, actor=admin(), domain="treasury", systems=["SAP"], **particulars
    )
    assert (changed.domain, changed.systems) == ("treasury", ["SAP"])
    with pytest.raises(Invalid):
        register.change(agent_id=the.agent.pk, actor=admin(), systems=["x" * 61], **particulars)


def listed(client: Client, query: str) -> set[str]:
    return {line.agent.slug for line in client.get(f"/agents/?{query}").context["lines"]}


def test_the_list_is_filtered_by_what_an_agent_is() -> None:
    the, other = desk(), desk()
    team = Group.objects.create(name="treasury")
    Agent.objects.filter(pk=other.agent.pk).update(team=team, domain="finance", state="suspended")
    client = signed_in(admin())
    both = {the.agent.slug, other.agent.slug}
    assert listed(client, "") == both
    for query in ("state=suspended", f"team={team.pk}", "domain=finance", f"owner={other.agent.owner_id}"):
        assert listed(client, query) == {other.agent.slug}, query
    assert listed(client, f"state=live&owner={other.agent.owner_id}") == set()
    assert listed(client, "state=nonsense&owner=x") == both
    deactivate(person_id=the.agent.owner_id, actor=admin())
    assert listed(client, "state=ownerless") == {the.agent.slug}
    assert listed(signed_in(other.agent.owner), "domain=finance") == {other.agent.slug}
    assert listed(signed_in(other.agent.owner), "state=ownerless") == set()


def test_the_list_costs_the_same_for_one_agent_and_many() -> None:
    desk()
    client = signed_in(admin())
    client.get("/agents/?state=live")
    counts = []
    for more in (0, 12):
        for number in range(more):
            register.register(slug=f"m-{number}", name=f"M {number}", owner=person(), actor=admin())
        with CaptureQueriesContext(connection) as made:
            assert client.get("/agents/?state=live").status_code == 200
        counts.append(len(made))
    assert counts[0] == counts[1]


def test_deactivating_an_owner_asks_who_takes_over() -> None:
    the, heir = desk(), person("Hanna Heir")
    the.propose()
    boss = signed_in(admin())
    address = f"/people/{the.agent.owner_id}/deactivate/"
    asked = boss.post(address)
    assert asked.status_code == 200
    assert User.objects.get(pk=the.agent.owner_id).is_active
    field = f"agent-{the.agent.pk}"
    offered = dict(asked.context["form"].fields[field].choices)
    assert str(the.agent.owner_id) not in offered
    assert offered[str(the.reviewer.pk)].endswith(f"– reviews {the.queue.name}")
    assert "reviews" not in offered[str(heir.pk)]
    assert boss.post(address, {"handed": "1", field: str(the.agent.owner_id)}).status_code == 200
    assert boss.post(address, {"handed": "1", field: str(heir.pk)}).status_code == 302
    assert not User.objects.get(pk=the.agent.owner_id).is_active
    assert Agent.objects.get(pk=the.agent.pk).owner == heir
    assert signed_in(the.reviewer).get(address).status_code == 403


def test_an_ownerless_agent_says_so_and_is_handed_over_on_its_page() -> None:
    the, heir, boss = desk(), person("Hanna Heir"), admin()
    owner = the.agent.owner_id
    client = signed_in(boss)
    client.post(f"/people/{owner}/deactivate/", {"handed": "1"})
    page = client.get(f"/agents/{the.agent.slug}/").content.decode()
    assert "Nobody answers for it." in page
    address = f"/agents/{the.agent.slug}/transfer/"
    assert client.post(address, {"owner": str(owner)}).status_code == 422
    assert client.post(address, {"owner": str(heir.pk)}).status_code == 302
    assert Agent.objects.get(pk=the.agent.pk).owner == heir
    assert "Nobody answers for it." not in client.get(f"/agents/{the.agent.slug}/").content.decode()
    assert signed_in(heir).post(address, {"owner": str(boss.pk)}).status_code == 403
    assert signed_in(person()).post(address, {"owner": str(boss.pk)}).status_code == 404
    assert ownership.tend(now=the.agent.created_at) == 0


def test_networks_and_identities_have_their_pages() -> None:
    the = desk()
    client = signed_in(the.agent.owner)
    address = f"/agents/{the.agent.slug}/credentials/{the.credential.pk}/networks/"
    wrong = client.post(address, {"networks": "10.0.0.1/8"})
    assert wrong.context["form"].errors == {
        "networks": ["“10.0.0.1/8” names an address within a network. Write 10.0.0.0/8."]
    }
    assert client.post(address, {"networks": "10.0.0.0/8\n2001:db8::/32"}).status_code == 302
    assert Credential.objects.get(pk=the.credential.pk).networks == ["10.0.0.0/8", "2001:db8::/32"]
    assert client.post(address, {"networks": ""}).status_code == 302
    assert Credential.objects.get(pk=the.credential.pk).networks == []
    register_at = f"/agents/{the.agent.slug}/identities/register/"
    good = {
        "issuer": "https://token.actions.githubusercontent.com",
        "audience": "https://countersign.example",
        "subject": "repo:acme/agents:environment:*",
        "claims": 'ref = refs/heads/main\nrun = 1\nprotected = true\ntext = "1"',
        "days": "365",
    }
    faulty = client.post(register_at, {**good, "subject": "*", "claims": "x"})
    assert set(faulty.context["form"].errors) == {"claims"}
    assert set(client.post(register_at, {**good, "subject": "*", "issuer": "x"}).context["form"].errors) == {
        "issuer",
        "subject",
    }
    assert client.post(register_at, good).status_code == 302
    made = Credential.objects.get(token_hash=None)
    assert made.identity.claims == {"ref": "refs/heads/main", "run": 1, "protected": True, "text": "1"}
    page = client.get(f"/agents/{the.agent.slug}/").content.decode()
    assert "repo:acme/agents:environment:*" in page
    assert "from everywhere" in page
    rotate = client.post(f"/agents/{the.agent.slug}/credentials/{made.pk}/rotate/", {"overlap": "1"})
    assert rotate.status_code == 422
    assert not Proposal.objects.exists()
