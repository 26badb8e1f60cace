"""The API does what its document says, whatever is sent: no fault of ours, nothing outside the schema (`make fuzz`)."""

from collections.abc import Iterator
from uuid import UUID

import pytest
from django.core.cache import cache

from agents.autonomy import Tier
from agents.services import credentials
from approvals.models import Verdict
from approvals.services import redeem
from tests.api.fuzzing import CASES, EACH, SEEN, Asked, operations
from tests.factories import Desk, desk

pytestmark = [pytest.mark.django_db, pytest.mark.timeout(3600 if CASES else 300)]
OPERATIONS = dict(operations())


@pytest.fixture
def the() -> Iterator[Desk]:
    cache.clear()
    yield desk(Tier.IN_THE_LOOP)
    cache.clear()


def proposals(the: Desk) -> list[UUID]:
    """In each state that the API treats in its own way."""
    executing, done = the.approved(), the.approved()
    for one in (executing, done):
        redeem.redeem(proposal_id=one.pk, bearer=the.bearer, digest=one.digest)
    return [
        the.propose().pk,
        the.decide(the.propose(), Verdict.RETURN).proposal.pk,
        the.decide(the.propose(), Verdict.REJECT).proposal.pk,
        the.approved().pk,
        executing.pk,
        the.propose(metadata={"agent_inbox": {"config": {"allow_edit": True, "allow_ignore": True}}}).pk,
        desk().propose().pk,
    ]


@pytest.mark.parametrize("credential", ["good", "none", "revoked"])
@pytest.mark.parametrize("name", OPERATIONS)
def test_the_api_does_what_its_document_says(name: str, credential: str, the: Desk) -> None:
    ids = proposals(the)
    token = the.token if credential != "none" else ""
    if credential == "revoked":
        credentials.revoke(credential_id=the.credential.pk, actor=the.agent.owner)
    whole = credential == "good"
    share = CASES // len(OPERATIONS) // (1 if whole else 10) if CASES else (EACH if whole else EACH // 5)
    asked = Asked(OPERATIONS[name], token, ids, refused=credential != "good")
    asked.run(share)
    SEEN.update({f"{name} {status}": count for status, count in asked.statuses.items()})
    assert asked.cases >= min(share, 1)
