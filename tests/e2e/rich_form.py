"""An action with every kind of argument there is, and its edit form in the browser."""

from dataclasses import replace
from typing import Any

from playwright.sync_api import Browser, Locator, Page

from agents.models import Mandate
from agents.services import mandates
from agents.services.mandates import Terms
from approvals.models import Proposal
from tests.browser import REFUSALS, arrived, signed_in, watched
from tests.factories import Desk, action_type, admin, desk

SCHEMA: dict[str, Any] = {
    "type": "object",
    "required": ["amount", "iban", "lines", "payment", "note"],
    "additionalProperties": False,
    "properties": {
        "amount": {"type": "number", "title": "Amount", "minimum": 0, "maximum": 5000, "multipleOf": 0.01},
        "iban": {"type": "string", "title": "Account", "pattern": "^[A-Z]{2}[0-9]{2}[A-Z0-9]+$"},
        "note": {
            "type": "string",
            "title": "Note",
            "maxLength": 4000,
            "description": "The customer reads it.",
        },
        "reason": {"enum": ["damaged", "late", "duplicate"], "title": "Reason", "default": "late"},
        "country": {"enum": ["NL", "BE", "DE", "FR", "DK", "SE", "AT"], "title": "Country"},
        "express": {"type": "boolean", "title": "Express"},
        "due": {"type": "string", "format": "date", "title": "Due"},
        "starts": {"type": "string", "format": "date-time", "title": "Starts"},
        "link": {"type": "string", "format": "uri", "title": "Link"},
        "contact": {"anyOf": [{"type": "string", "format": "email"}, {"type": "null"}], "title": "Contact"},
        "weight": {"type": "integer", "title": "Weight", "x-unit": "kg", "minimum": 1, "examples": [12]},
        "locked": {"type": "string", "title": "Contract", "readOnly": True},
        "tags": {
            "type": "array",
            "title": "Tags",
            "items": {"type": "string", "title": "Tag"},
            "maxItems": 5,
        },
        "address": {
            "type": "object",
            "title": "Address",
            "required": ["city"],
            "properties": {
                "city": {"type": "string", "title": "City"},
                "zip": {"type": "string", "title": "Zip"},
            },
        },
        "lines": {
            "type": "array",
            "title": "Lines",
            "minItems": 1,
            "items": {
                "type": "object",
                "title": "Line",
                "required": ["sku", "n"],
                "properties": {
                    "sku": {"type": "string", "title": "Article"},
                    "n": {"type": "integer", "title": "Pieces", "minimum": 1},
                },
            },
        },
        "payment": {
            "title": "Payment",
            "oneOf": [
                {
                    "type": "object",
                    "title": "By card",
                    "required": ["kind", "last4"],
                    "properties": {
                        "kind": {"const": "card"},
                        "last4": {"type": "string", "title": "Last digits"},
                    },
                },
                {
                    "type": "object",
                    "title": "By bank",
                    "required": ["kind", "bank"],
                    "properties": {"kind": {"const": "bank"}, "bank": {"type": "string", "title": "Bank"}},
                },
            ],
        },
        "labels": {"type": "object", "title": "Labels", "additionalProperties": {"type": "string"}},
    },
}
ARGUMENTS: dict[str, Any] = {
    "amount": 42.5,
    "iban": "NL91ABNA0417164300",
    "note": "Lamp broken.\r\nThe customer\u200b sent a picture.\rThank you",
    "reason": "damaged",
    "country": "NL",
    "express": False,
    "due": "2026-12-01",
    "starts": "2026-11-30T08:15:42.125Z",
    "link": "https://shop.example.com@evil.example/x",
    "weight": 12,
    "locked": "K-2026-7",
    "lines": [{"sku": "LAMP\u202e1", "n": 1}, {"sku": "BULB", "n": 2}, {"sku": "CABLE\r\n2m", "n": 3}],
    "payment": {"kind": "card", "last4": "4242"},
    "labels": {"cost centre": "77"},
}
HOSTILE = (
    '<img src=x onerror="document.title=1"> \u202egro.knab <script>document.title=2</script> {{ 1 }} ' * 3
)


def rich_desk(schema: dict[str, Any] = SCHEMA) -> Desk:
    """A desk whose agent pays with every kind of argument there is."""
    the = desk()
    kind = action_type(
        schema=schema, title_template="Pay {amount} to {iban}", material=["/amount", "/iban"], label="Pay"
    )
    mandate = mandates.save(agent_id=the.agent.pk, action_type=kind.name, terms=Terms(), actor=admin())
    assert isinstance(mandate, Mandate)
    return replace(the, action_type=kind, mandate=mandate)


def opened(
    chrome: Browser, url: str, the: Desk, proposal: Proposal, **options: Any
) -> tuple[Page, list[str]]:
    """The proposal's edit form, and what its page complains about."""
    page, complaints = watched(signed_in(chrome, url, the.reviewer, **options), meant=REFUSALS)
    page.goto(f"/proposals/{proposal.pk}/edit/")
    if options.get("java_script_enabled", True):
        arrived(page, "Edit the arguments")
    return page, complaints


def preview(page: Page) -> Locator:
    """What the server says of the form as it is now, not as it was before the last key."""
    return page.locator("#preview:not(.preview--stale)")


def arguments(proposal: Proposal) -> Any:
    """What would be carried out now."""
    return Proposal.objects.get(pk=proposal.pk).current_revision.arguments
