"""What a blueprint file may say, and that every fault in it is named at once."""

from decimal import Decimal

import pytest

from agents.autonomy import Tier
from approvals import blueprint
from approvals.blueprint import BlueprintRefused

GOOD = """\
blueprint: 1
domain: shop
label: Shop
queues:
  - {slug: refunds, name: Refunds, quorum: 2, reason_codes: [{code: wrong_amount, label: Wrong amount}]}
action_types:
  - name: refund_order
    label: Refund an order
    risk: medium
    title: "Refund {amount} {lines.0.sku}"
    amount: /amount
    currency: EUR
    material: [/amount]
    reversible_by: reverse_refund
    schema:
      type: object
      properties:
        amount: {type: number, minimum: 0.01}
        lines: {type: array, items: {type: object, properties: {sku: {type: string}}}}
      required: [amount]
  - name: reverse_refund
    label: Reverse a refund
    risk: low
    title: Reverse a refund
    schema: {type: object}
policy:
  name: Shop rules
  default_queue: refunds
  rules:
    - {name: large, when: "amount > 500", review: {queue: refunds, quorum: 2}}
agents:
  - slug: refund-bot
    name: Refund bot
    owner: Ann@Example.com
    version: "2026-11"
    mandates:
      - {action_type: refund_order, tier: in_the_loop, ceiling: on_the_loop, max_amount: 2000.5}
"""


def faults(text: str) -> list[str]:
    with pytest.raises(BlueprintRefused) as refused:
        blueprint.parse(text.encode())
    return [str(fault) for fault in refused.value.faults]


def changed(old: str, new: str) -> str:
    assert GOOD.count(old) == 1
    return GOOD.replace(old, new)


def test_parse_good_file_gives_model_values() -> None:
    found = blueprint.parse(GOOD.encode())

    assert (found.domain, found.label, found.policy_name, found.default_queue) == (
        "shop", "Shop", "Shop rules", "refunds",
    )  # fmt: skip
    assert found.queues["refunds"]["quorum"] == 2
    assert found.queues["refunds"]["lease_minutes"] == 10
    assert found.action_types["refund_order"]["amount_pointer"] == "/amount"
    assert found.reversible_by == {"refund_order": "reverse_refund"}
    [agent] = found.agents
    assert (agent.owner, agent.version) == ("ann@example.com", "2026-11")
    [mandate] = agent.mandates
    assert (mandate.tier, mandate.values["ceiling"]) == (Tier.IN_THE_LOOP, "on_the_loop")
    assert mandate.values["max_amount"] == Decimal("2000.50")


def test_parse_collects_all_faults_with_line_and_path() -> None:
    broken = (
        GOOD.replace("risk: medium", "risk: medum")
        .replace("default_queue: refunds", "default_queue: refund")
        .replace("amount > 500", "amount >")
        .replace("tier: in_the_loop, ceiling: on_the_loop", "tier: out_of_the_loop, ceiling: on_the_loop")
    )

    found = faults(broken)

    assert [text.split(":")[0] for text in found] == [
        "/action_types/0/risk (line 9)",
        "/policy/default_queue (line 28)",
        "/policy/rules/0 (line 30)",
        "/agents/0/mandates/0/tier (line 37)",
    ]


@pytest.mark.parametrize(
    ("old", "new", "path", "words"),
    [
        ("label: Shop\n", "label: Shop\nlabel: Shop\n", "/label (line 4)", "second time (first on line 3)"),
        ("quorum: 2, reason", "quorum: .nan, reason", "/queues/0/quorum", "finite"),
        ("max_amount: 2000.5", "max_amount: 9007199254740993", "/agents/0/mandates/0/max_amount", "2^53"),
        ("label: Shop\n", "label: &a Shop\nother: *a\n", "", "alias"),
        ("label: Shop\n", "label: !!python/name:os.system Shop\n", "/label", "tag"),
        (
            "title: Reverse a refund",
            "title: Reverse {order}",
            "/action_types/1/title",
            "{order} names nothing",
        ),
        ("title: Reverse a refund", "title: 'Reverse {a/b}'", "/action_types/1/title", "no placeholder"),
        ("amount: /amount\n", "amount: /total\n", "/action_types/0/amount", "names nothing"),
        ("amount: /amount\n", "amount: /lines\n", "/action_types/0/amount", "not a number"),
        ("    currency: EUR\n", "", "/action_types/0/amount", "needs a currency"),
        ("material: [/amount]", "material: [/iban]", "/action_types/0/material/0", "names nothing"),
        ("schema: {type: object}", "schema: {type: array}", "/action_types/1/schema", '"type": "object"'),
        ("schema: {type: object}", "schema: {type: object, required: 1}", "/action_types/1/schema", "usable"),
        ("name: reverse_refund", "name: refund_order", "/action_types/1/name", "already used"),
        ("quorum: 2, reason", "due_minutes: 9000, reason", "/queues/0/due_minutes", "after it expires"),
        (
            "action_type: refund_order,",
            "action_type: reverse_refund,",
            "/agents/0/mandates/0/max_amount",
            "no amount",
        ),
        ("blueprint: 1", "blueprint: 2", "/blueprint", "1 was expected"),
        ("domain: shop", "domains: shop", "the file", "domains"),
        (
            "review: {queue: refunds, quorum: 2}",
            "review: {queue: nowhere}",
            "/policy/rules/0/review/queue",
            "nowhere",
        ),
        (
            "review: {queue: refunds, quorum: 2}",
            "deny: no, cap: advisory",
            "/policy/rules/0",
            "exactly one effect",
        ),
    ],
)
def test_parse_names_place_and_remedy(old: str, new: str, path: str, words: str) -> None:
    found = faults(changed(old, new))

    assert any(text.startswith(path) and words in text for text in found), found


@pytest.mark.parametrize(
    "text", ["", "- a\n", "a: [\n", "a: \x00\n", "just words", "--- a\n--- b\n", "[" * 5000]
)
def test_parse_refuses_what_is_no_blueprint(text: str) -> None:
    assert faults(text)


def test_parse_refuses_other_encodings_and_sizes() -> None:
    for data in (b"\xff\xfe\x00", b"a: b\n" * 300_000):
        with pytest.raises(BlueprintRefused):
            blueprint.parse(data)


def test_parse_reads_plain_words_as_text() -> None:
    """YAML 1.1 would make a boolean, a date, a base-60 number and an octal number of these."""
    text = GOOD.replace(
        "schema: {type: object}",
        "schema: {type: object, properties: {a: {enum: [no, on, 2026-11-22, 12:30:45, 0o17, NO]}}}",
    )

    found = blueprint.parse(text.encode())

    assert found.action_types["reverse_refund"]["schema"]["properties"]["a"]["enum"] == [
        "no", "on", "2026-11-22", "12:30:45", "0o17", "NO",
    ]  # fmt: skip
