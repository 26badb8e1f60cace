"""What agents' servers are to hear of: rows written in the transaction of the change, for each endpoint of the agent.

The row and the NOTIFY are one statement, so that a change costs no further round trip, and an agent without an endpoint
an index look-up that finds nothing. Nothing is sent from here (approvals/services/send_webhooks.py)."""

from typing import Any

from django.db import connection

from approvals.models import Proposal
from approvals.states import State

TEST = "webhook.test"
ROLLBACK_REQUESTED = "rollback.requested"
TYPES = (*(f"proposal.{state}" for state in State), ROLLBACK_REQUESTED)
"""Every type of event that an endpoint can choose, also those of the stream (docs/api.md)."""
CHANNEL = "countersign_webhook"

_COLUMNS = "endpoint_id, event, proposal_id, version, revision, status"
_FITS = "e.removed_at IS NULL AND (e.events = '[]'::jsonb OR e.events ? ({event}))"
_CHANGED = f"""
WITH told AS (
    INSERT INTO approvals_webhookdelivery ({_COLUMNS})
    SELECT e.id, %(event)s, %(proposal)s, %(version)s, %(revision)s, %(status)s
    FROM approvals_webhookendpoint e
    WHERE e.agent_id = %(agent)s AND NOT %(planted)s AND {_FITS.format(event="%(event)s")}
    RETURNING id
)
SELECT pg_notify(%(channel)s, %(words)s), (SELECT pg_notify('{CHANNEL}', '') FROM told LIMIT 1)
"""  # noqa: S608 - the parts put in are names of our own columns
ARRIVED = f"""
INSERT INTO approvals_webhookdelivery ({_COLUMNS})
SELECT e.id, 'proposal.' || new.state, new.id, 1, 1, new.state
FROM new JOIN approvals_webhookendpoint e ON e.agent_id = new.agent_id
WHERE NOT new.planted AND {_FITS.format(event="'proposal.' || new.state")}
RETURNING pg_notify('{CHANNEL}', '')
"""  # noqa: S608 - likewise
"""For the one statement that accepts a proposal (approvals/acceptance.py), where `new` is its row. Senders hear of each
row that is stored: nobody reads what is returned, but PostgreSQL computes it."""


def changed(proposal: Proposal, *, channel: str, event: str = "") -> None:
    """A step: tell who waits on `channel`, and write what the agent's endpoints hear of. `event` where it is another
    than the state that the proposal is now in. What was planted is no agent's and told to nobody (I11)."""
    values: dict[str, Any] = {
        "event": event or f"proposal.{proposal.state}",
        "proposal": proposal.pk,
        "version": proposal.version,
        "revision": proposal.revision,
        "status": str(proposal.state),
        "agent": proposal.agent_id,
        "planted": proposal.planted,
        "channel": channel,
        "words": f"{proposal.pk} {proposal.version} {proposal.agent_id}",
    }
    with connection.cursor() as cursor:
        cursor.execute(_CHANGED, values)
