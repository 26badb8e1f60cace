"""Versions of an agent: a change begins in the loop with fresh evidence, and two signatures make two versions one."""

from decimal import Decimal
from typing import Any

import pytest
from django.db import transaction
from django.test import Client

from accounts.exceptions import Conflict, NotAllowed
from accounts.models import User, assign_role
from accounts.roles import Role
from agents import evidence
from agents.autonomy import Tier
from agents.evidence import Judgement
from agents.models import Agent, AgentVersion, Evidence, Mandate, Standing, TierChange
from agents.services import versions
from agents.tier_model import State
from agents.turning import Subject
from approvals.models import Proposal
from approvals.services import promote
from audit.ids import uuid7
from audit.models import AuditEvent
from tests.factories import Desk, admin, desk, earned

pytestmark = pytest.mark.django_db(transaction=True)

FIRST = {"model": "m-1", "prompt_digest": "sha256:aa", "tools_digest": "sha256:bb"}
SECOND = {**FIRST, "prompt_digest": "sha256:cc"}


def propose(the: Desk, version: dict[str, str] | None, key: str = "") -> dict[str, Any]:
    body = {"action_type": the.action_type.name, "arguments": {"order_id": "A-1", "amount": 5}}
    response = Client().post(
        "/api/v1/proposals",
        {**body, "agent_version": version} if version else body,
        content_type="application/json",
        headers={**the.headers, "Idempotency-Key": key or str(uuid7())},
    )
    assert response.status_code in (200, 201), response.content
    found: dict[str, Any] = response.json()
    return found


def tier(the: Desk) -> str:
    return Mandate.objects.get(pk=the.mandate.pk).tier


def present(the: Desk) -> str:
    return Agent.objects.get(pk=the.agent.pk).version


def audited(the: Desk, loss: int) -> None:
    agent = Agent.objects.get(pk=the.agent.pk)
    with transaction.atomic():
        Mandate.objects.select_for_update().get(pk=the.mandate.pk)
        evidence.record(
            Subject(
                agent=agent,
                agent_version=agent.version,
                action_type=the.action_type,
                tier=tier(the),
                proposal_id=uuid7(),
                revision=1,
            ),
            Judgement(basis=Evidence.Basis.AUDIT, verdict="judged", loss=Decimal(loss), audit=True),
            judged_by=the.reviewer,
        )


def test_the_first_announcement_names_the_version_that_is_there() -> None:
    the = desk()
    assert propose(the, FIRST)["tier"] == "in_the_loop"
    assert present(the) == "1"
    [version] = AgentVersion.objects.filter(agent=the.agent)
    assert (version.model, version.prompt_digest) == ("m-1", "sha256:aa")


def test_a_changed_prompt_begins_in_the_loop_and_its_return_finds_what_was_earned() -> None:
    the = desk(Tier.ON_THE_LOOP)
    propose(the, FIRST)
    audited(the, 0)
    assert propose(the, FIRST)["tier"] == "on_the_loop"

    told = propose(the, SECOND)

    assert (told["tier"], told["status"]) == ("in_the_loop", "pending")
    assert (present(the), tier(the)) == ("2", "in_the_loop")
    assert Proposal.objects.get(pk=told["id"]).agent_version == "2"
    change = TierChange.objects.get()
    assert (change.cause, change.agent_version) == ("version", "2")
    assert AuditEvent.objects.filter(kind="agent.version_begun", actor_kind="agent").count() == 1
    assert Standing.objects.filter(agent_version="1").exists()
    assert propose(the, FIRST)["tier"] == "on_the_loop"
    assert present(the) == "1"


def test_a_repeated_request_of_before_the_change_does_not_turn_back() -> None:
    the = desk()
    first = propose(the, FIRST, key="one")
    audited(the, 0)
    propose(the, SECOND)
    assert propose(the, FIRST, key="one")["id"] == first["id"]
    assert present(the) == "2"


def test_saying_nothing_changes_nothing() -> None:
    the = desk()
    propose(the, FIRST)
    propose(the, None)
    assert AgentVersion.objects.filter(agent=the.agent).count() == 1


@pytest.mark.parametrize("version", [{}, {"model": ""}, {"model": "m", "weights": "x"}, "m-1"])
def test_what_is_no_version_is_refused(version: Any) -> None:
    the = desk()
    response = Client().post(
        "/api/v1/proposals",
        {"action_type": the.action_type.name, "arguments": {}, "agent_version": version},
        content_type="application/json",
        headers={**the.headers, "Idempotency-Key": "one"},
    )
    assert response.status_code == 422
    assert present(the) == "1"


def changed(the: Desk) -> tuple[AgentVersion, Any]:
    """On the loop as version 1, then version 2, which is said to be equivalent."""
    propose(the, FIRST)
    audited(the, 0)
    propose(the, SECOND)
    first = AgentVersion.objects.get(agent=the.agent, label="1")
    asked = versions.ask_equivalence(
        agent_id=the.agent.pk, continues_id=first.pk, actor=the.agent.owner, reason="A typo."
    )
    return first, asked


def test_two_signatures_let_a_version_continue_another() -> None:
    the = desk(Tier.ON_THE_LOOP)
    _, asked = changed(the)
    assert tier(the) == "in_the_loop"
    versions.sign_equivalence(signature_id=asked.pk, actor=admin(), reason="Looked at the difference.")
    assert (tier(the), present(the)) == ("on_the_loop", "2")
    assert TierChange.objects.order_by("-id")[0].cause == "equivalence"
    audited(the, 0)
    assert not Standing.objects.filter(agent_version="2").exclude(initial={}).exists()


def test_errors_made_meanwhile_come_along() -> None:
    the = desk(Tier.ON_THE_LOOP)
    _, asked = changed(the)
    audited(the, 1)
    versions.sign_equivalence(signature_id=asked.pk, actor=admin(), reason="Looked at the difference.")
    state = State.from_json(Standing.objects.get(agent_version="1").state)
    assert max(state.detector) > 1
    assert Evidence.objects.filter(key__startswith="carried:").count() == 1


def test_who_asked_and_who_owns_the_agent_do_not_sign() -> None:
    the = desk(Tier.ON_THE_LOOP)
    _, asked = changed(the)
    for person in (the.agent.owner, the.reviewer):
        with pytest.raises(NotAllowed):
            versions.sign_equivalence(signature_id=asked.pk, actor=person, reason="Fine.")
    assign_role(Role.ADMIN, to=the.agent.owner)
    with pytest.raises(NotAllowed):
        versions.sign_equivalence(
            signature_id=asked.pk, actor=User.objects.get(pk=the.agent.owner.pk), reason="Fine."
        )
    versions.decline_equivalence(signature_id=asked.pk, actor=admin(), reason="No.")
    with pytest.raises(Conflict):
        versions.sign_equivalence(signature_id=asked.pk, actor=admin(), reason="Yes.")
    assert tier(the) == "in_the_loop"


def test_a_version_declared_by_hand_lowers_every_mandate() -> None:
    the = desk()
    earned(the.mandate, Tier.ON_THE_LOOP)
    client = Client()
    client.force_login(the.agent.owner)
    response = client.post(
        f"/agents/{the.agent.slug}/versions/declare/",
        {"declare-label": "2026-11", "declare-reason": "A new model."},
    )
    assert response.status_code == 302
    assert (present(the), tier(the)) == ("2026-11", "in_the_loop")
    page = client.get(f"/agents/{the.agent.slug}/versions/").content.decode()
    assert "2026-11" in page and "present" in page


def test_the_page_shows_an_agents_words_as_text_and_is_not_for_reviewers() -> None:
    the = desk()
    propose(the, {"model": "<b>gpt</b>\u202e", "prompt_digest": "x"})
    client = Client()
    client.force_login(the.agent.owner)
    page = client.get(f"/agents/{the.agent.slug}/versions/").content.decode()
    assert "&lt;b&gt;gpt" in page and "<b>gpt" not in page and "\u202e" not in page
    client.force_login(the.reviewer)
    assert client.get(f"/agents/{the.agent.slug}/versions/").status_code == 404


def test_signing_in_the_browser_form() -> None:
    the = desk(Tier.ON_THE_LOOP)
    _, asked = changed(the)
    client = Client()
    client.force_login(admin())
    address = f"/agents/{the.agent.slug}/versions/answers/{asked.pk}/"
    assert client.post(address, {"sign": "1"}).status_code == 422
    assert client.post(address, {"sign": "1", f"answer-{asked.pk}-reason": "Read it."}).status_code == 302
    assert tier(the) == "on_the_loop"
    assert promote.target_of("on_the_loop") == "out_of_the_loop"


def test_what_an_agent_is_made_of_can_be_said_when_it_is_registered() -> None:
    client = Client()
    client.force_login(admin())
    data = {"name": "New", "slug": "new", "version": "7", "owner": admin().pk, **FIRST}
    assert client.post("/agents/-/register/", data).status_code == 302
    [version] = AgentVersion.objects.filter(agent__slug="new")
    assert (version.label, version.model, version.tools_digest) == ("7", "m-1", "sha256:bb")
