"""What the tests of the import addresses share: calls as an agent, and decisions through the reviewers' pages."""

from typing import Any

from django.test import Client

from accounts.models import User
from approvals.models import Proposal
from tests.factories import ARGUMENTS, Desk
from tests.invariants.calls import Answer, call

ROOT = "/api/v1/import"
CONFIG = {"allow_ignore": False, "allow_respond": True, "allow_edit": True, "allow_accept": True}
_UNCHANGED = {
    "v:/order_id": "A-1001",
    "v:/amount": "42.5",
    "v:/reason": '"damaged"',
    "v:/iban": "",
    "v:/note": "",
}


def interrupt(the: Desk, arguments: dict[str, Any] | None = None, **config: Any) -> dict[str, Any]:
    return {
        "action_request": {"action": the.action_type.name, "args": arguments or ARGUMENTS},
        "config": CONFIG | config,
        "description": "Refund a broken lamp",
    }


def inbox(the: Desk, body: Any, *, key: str = "turn-1") -> Answer:
    return call("POST", f"{ROOT}/agent-inbox", the.token, body, Idempotency_Key=key)


def answer(the: Desk, proposal_id: object) -> Answer:
    return call("GET", f"{ROOT}/agent-inbox/{proposal_id}", the.token)


def function_call(the: Desk, call_id: str = "call-1", **spec: Any) -> dict[str, Any]:
    """As humanlayer 0.7.9 sends it: every field there, what is not set as null."""
    unset = {"channel": None, "reject_options": None, "state": None}
    called = {"fn": the.action_type.name, "kwargs": ARGUMENTS, **unset, **spec}
    return {"run_id": "refund-desk-1", "call_id": call_id, "spec": called, "status": None}


def ask(the: Desk, body: Any) -> Answer:
    return call("POST", f"{ROOT}/humanlayer/function_calls", the.token, body)


def poll(the: Desk, call_id: str = "call-1") -> Answer:
    return call("GET", f"{ROOT}/humanlayer/function_calls/{call_id}", the.token)


def decide(by: User, proposal_id: object, verb: str, **form: str) -> None:
    """By the form of the proposal's page: approve, reject, return, or edit with `amount`."""
    client = Client()
    client.force_login(by)
    now = Proposal.objects.get(pk=str(proposal_id))
    sent = {"revision": str(now.revision), "version": str(now.version), "seen": "on", **form}
    if verb == "edit":
        amount = sent.pop("amount")
        sent |= _UNCHANGED | {"v:/amount": amount}
    page = client.post(f"/proposals/{proposal_id}/{verb}/", sent)
    assert page.status_code == 302, page.content.decode()[:2000]
