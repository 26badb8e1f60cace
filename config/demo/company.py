"""The agents at work: what each proposes, how often, how well, and in which words. Pure."""

import random
from dataclasses import dataclass
from datetime import datetime
from pathlib import Path

from config.demo import accounts_payable, customer_operations, letters, procurement, service_desk
from config.demo.cases import Case, Kind, tell
from config.demo.world import Moment

BLUEPRINTS = tuple(
    Path(__file__).parent / "blueprints" / f"{domain}.yaml"
    for domain in ("customer_operations", "accounts_payable", "procurement", "service_desk")
)
KINDS: dict[str, Kind] = {
    **customer_operations.KINDS,
    **letters.KINDS,
    **accounts_payable.KINDS,
    **procurement.KINDS,
    **service_desk.KINDS,
}


NEWCOMER = "my-first-agent"
"""The agent of whoever connects a program of his own: nobody here proposes for it, nor takes up what it has left."""


@dataclass(frozen=True, slots=True)
class Worker:
    """One agent: `accuracy` by action type, `share` of all proposals, and how much it says (`style`)."""

    slug: str
    share: float
    accuracy: dict[str, float]
    weights: dict[str, float]
    style: str = "plain"


WORKERS = (
    Worker(
        "refund-desk",
        20,
        {"refund_order": 0.91, "reverse_refund": 1, "issue_voucher": 0.97},
        {"refund_order": 8, "reverse_refund": 0.4, "issue_voucher": 2},
    ),
    Worker(
        "order-care",
        11,
        {"cancel_order": 0.96, "change_delivery_address": 0.88},
        {"cancel_order": 6, "change_delivery_address": 4},
        "brief",
    ),
    Worker(
        "letter-writer",
        14,
        {"reply_to_customer": 0.94, "issue_voucher": 0.9},
        {"reply_to_customer": 9, "issue_voucher": 1},
        "wordy",
    ),
    Worker(
        "invoice-clerk",
        16,
        {"pay_invoice": 0.95, "book_credit_note": 1, "update_vendor_bank_details": 0.75},
        {"pay_invoice": 8, "book_credit_note": 2, "update_vendor_bank_details": 0.7},
    ),
    Worker(
        "ledger-assistant",
        8,
        {"post_journal_entry": 0.93, "reverse_journal_entry": 1, "release_payment_run": 0.9},
        {"post_journal_entry": 7, "reverse_journal_entry": 0.7, "release_payment_run": 1.2},
        "brief",
    ),
    Worker(
        "stock-buyer",
        10,
        {"create_purchase_order": 0.9, "change_purchase_order": 0.95, "cancel_purchase_order": 0.9},
        {"create_purchase_order": 7, "change_purchase_order": 2, "cancel_purchase_order": 1},
    ),
    Worker(
        "sourcing-scout",
        4,
        {"request_quotes": 1, "onboard_supplier": 0.7, "extend_contract": 0.8},
        {"request_quotes": 5, "onboard_supplier": 3, "extend_contract": 2},
        "wordy",
    ),
    Worker(
        "access-concierge",
        8,
        {"grant_system_access": 0.86, "revoke_system_access": 1, "reset_second_factor": 0.85},
        {"grant_system_access": 5, "revoke_system_access": 3, "reset_second_factor": 2},
    ),
    Worker(
        "night-operator",
        5,
        {"restart_service": 0.96, "change_configuration": 0.8},
        {"restart_service": 6, "change_configuration": 3},
        "brief",
    ),
    Worker("help-line", 6, {"resolve_ticket": 0.92}, {"resolve_ticket": 1}, "wordy"),
)


def next_case(
    rng: random.Random, now: datetime, worker: Worker | None = None, action_type: str = ""
) -> tuple[Worker, str, Case]:
    """One more proposal of the company, or of that worker and kind: (who, action type, case)."""
    who = worker or rng.choices(WORKERS, weights=[each.share for each in WORKERS])[0]
    name = action_type or rng.choices(list(who.weights), weights=list(who.weights.values()))[0]
    case = tell(KINDS[name], Moment(now, rng), who.accuracy[name])
    if who.style == "brief":
        case.reasoning = case.reasoning.split(". ")[0].rstrip(".") + "."
    elif who.style == "wordy":
        case.reasoning = (
            f"{case.reasoning} I looked for anything unusual and found nothing that speaks against it."
        )
    return who, name, case
