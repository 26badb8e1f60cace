"""Look-alikes to decide side by side, and the page on which somebody does."""

import re
from dataclasses import dataclass
from decimal import Decimal
from typing import Any

from django.test import Client

from accounts.models import User
from agents.services import action_types
from agents.services.action_types import Definition
from approvals.models import Proposal, Queue
from approvals.services import set_up
from approvals.services.set_up import QueueDefinition
from tests.factories import REASONS, REFUND_SCHEMA, Desk, admin, desk, saved

SAME = {"reason": "damaged", "iban": "DE89370400440532013000", "note": "Lamp arrived broken"}


def bulk_desk(*, limit: str | None = "100", risk: str = "low", reversible: bool = True, **queue: Any) -> Desk:
    """A desk whose queue lets several be decided at once, for an action that can be undone."""
    the = desk()
    undo = saved(
        Definition(
            name=f"undo_{the.action_type.name}",
            domain="customer_operations",
            label="Take a refund back",
            schema=REFUND_SCHEMA,
            title_template="Take back {amount}",
        )
    )
    action_types.save(
        definition=Definition(
            name=the.action_type.name,
            domain="customer_operations",
            label="Refund an order",
            schema=REFUND_SCHEMA,
            title_template="Refund {amount} for order {order_id}",
            amount_pointer="/amount",
            currency="EUR",
            material=["/amount", "/iban"],
            risk=risk,
            reversible_by=undo.name if reversible else "",
        ),
        actor=admin(),
    )
    change(the.queue, bulk_amount=None if limit is None else Decimal(limit), **queue)
    return the


def change(queue: Queue, **values: Any) -> None:
    definition: dict[str, Any] = {
        "slug": queue.slug,
        "name": queue.name,
        "domain": queue.domain,
        "reason_codes": REASONS,
        **values,
    }
    set_up.save_queue(definition=QueueDefinition(**definition), actor=admin())


def refunds(the: Desk, *amounts: float, **extra: Any) -> list[Proposal]:
    return [
        the.propose({"order_id": f"A-{2000 + 7 * number}", "amount": amount, **SAME}, **extra)
        for number, amount in enumerate(amounts)
    ]


@dataclass
class Sitting:
    """A reviewer before the page of a group, as his browser has it."""

    client: Client
    url: str
    html: str

    @property
    def tickets(self) -> list[str]:
        return re.findall(r'name="row" value="([^"]+)"', self.html)

    def offers(self, proposal: Proposal, choice: str) -> bool:
        name = f"r{proposal.pk.hex}-choice"
        return f'name="{name}" value="{choice}"' in self.html

    def post(self, choices: dict[Proposal, str], **extra: Any) -> Any:
        data: dict[str, Any] = {"row": self.tickets, **extra}
        for proposal, choice in choices.items():
            data[f"r{proposal.pk.hex}-choice"] = choice
        return self.client.post(self.url, data)


def sitting(the: Desk, first: Proposal, by: User | None = None, query: str = "") -> Sitting:
    client = Client()
    client.force_login(by or the.reviewer)
    url = f"/queues/{the.queue.slug}/alike/{first.pk}/"
    answer = client.get(url + query)
    assert answer.status_code == 200, answer
    return Sitting(client, url, answer.content.decode())


def state(proposal: Proposal) -> str:
    return str(Proposal.objects.get(pk=proposal.pk).state)
