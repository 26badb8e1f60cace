"""What reviewers read where an approval would lead to nothing, since the agent is not live."""

import pytest
from django.db import connection
from django.test import Client
from django.utils import timezone

from agents.exceptions import AgentNotLive
from agents.models import Agent
from approvals import edit_preview, open_items, several
from approvals.models import Proposal, Queue, Verdict
from tests.factories import Desk, desk, undoing

pytestmark = pytest.mark.django_db(transaction=True)
WORDS = [("preparing", "in preparation"), ("suspended", "suspended"), ("retired", "retired")]


def waiting(state: str) -> tuple[Desk, Proposal]:
    """A proposal that waits, of an agent that is no longer live, as after a restore."""
    the = desk()
    undoing(the)
    proposal = the.propose()
    Queue.objects.filter(pk=the.queue.pk).update(bulk_amount=1000)
    Agent.objects.filter(pk=the.agent.pk).update(state=state)
    return the, Proposal.objects.get(pk=proposal.pk)


@pytest.mark.parametrize(("state", "words"), WORDS, ids=[state for state, _ in WORDS])
def test_it_is_said_in_words_wherever_an_approval_is_tried(client: Client, state: str, words: str) -> None:
    the, proposal = waiting(state)
    assert several.why_alone(proposal, proposal.current_revision) == f"Its agent is {words}."
    said = f"The agent is {words}; approving would lead to nothing."
    blocked = edit_preview.why_blocked(proposal, the.reviewer, seen=str(proposal.version), at=timezone.now())
    assert [one.text for one in blocked] == [said]
    with pytest.raises(AgentNotLive) as caught:
        the.decide(proposal, Verdict.APPROVE)
    assert caught.value.detail == said
    client.force_login(the.reviewer)
    data = {"revision": proposal.revision, "version": proposal.version, "seen": "1"}
    answer = client.post(f"/proposals/{proposal.pk}/approve/", data)
    assert answer.status_code == 409
    assert said in answer.content.decode()
    the.decide(proposal, Verdict.REJECT)
    assert Proposal.objects.get(pk=proposal.pk).state == "rejected"


def test_open_items_are_counted_from_their_own_index() -> None:
    the = desk()
    the.propose()
    with connection.cursor() as cursor:
        cursor.execute("SET enable_seqscan = off")
        cursor.execute(f"EXPLAIN {open_items._COUNT}", [the.agent.pk, 1000])
        plan = "\n".join(row[0] for row in cursor.fetchall())
        cursor.execute("RESET enable_seqscan")
    assert "proposal_open_of_agent" in plan, plan
