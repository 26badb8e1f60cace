"""Stories of procurement. Pure."""

from typing import Any

from config.demo.cases import Case, Kind, assistant, tool, user
from config.demo.world import VENDORS, Moment, iban


def purchase_order(m: Moment) -> Case:
    vendor = m.rng.choice(VENDORS)
    lines: list[dict[str, Any]] = []
    for what, unit, price in m.rng.sample(vendor.sells, k=m.rng.randint(1, len(vendor.sells))):
        quantity = m.pick(1, 2, 4, 5, 8, 10, 20, 25) if price > 60 else m.pick(10, 20, 24, 50, 60, 100)
        lines.append(
            {
                "article": what,
                "quantity": quantity,
                "unit": unit,
                "unit_price": round(price, 2),
                "budget": m.pick("B104", "B110", "B212", "B305"),
            }
        )
    total = round(sum(line["quantity"] * line["unit_price"] for line in lines), 2)
    arguments: dict[str, Any] = {
        "supplier": {"id": vendor.id, "name": vendor.name, "contact": vendor.email},
        "currency": "EUR",
        "total": total,
        "needed_by": m.weekday(m.rng.randint(9, 40)),
        "deliver_to": m.pick("warehouse_rotterdam", "warehouse_rotterdam", "warehouse_malmo", "showroom"),
        "incoterm": m.pick("DAP", "DAP", "FCA", "EXW"),
        "lines": lines,
    }
    if m.rng.random() < 0.3:
        arguments["note_to_supplier"] = m.pick(
            "Please confirm the date within two days.",
            "Deliver between 7 and 11 o'clock, ramp 3.",
            "Packaging without plastic, as agreed.",
        )
    first = lines[0]["article"]
    left = m.rng.randint(3, 18)
    return Case(
        arguments,
        summary=f"{first} lasts {left} more days; order {total:.2f} EUR from {vendor.name}.",
        reasoning=m.pick(
            f"Forecast and stock say {left} days; delivery takes {m.rng.randint(5, 14)}. Price as in the contract.",
            "Reorder point reached. The quantity is the usual batch, the supplier the one with the contract.",
        ),
        context=[
            tool("stock.level", f"{first}: {m.rng.randint(2, 60)} left, {left} days at the present pace"),
            tool(
                "contracts.price",
                "\n".join(
                    f"{line['article']}: {line['unit_price']:.2f} per {line['unit']}" for line in lines
                ),
            ),
        ],
        subject=("supplier", vendor.id),
        priority="high" if left < 6 else "normal",
    )


def _order_quantity(m: Moment, case: Case) -> Case:
    line = case.arguments["lines"][0]
    quantity = line["quantity"] * 10
    total = round(case.arguments["total"] + (quantity - line["quantity"]) * line["unit_price"], 2)
    return case.mended("wrong_quantity", "A zero too many.", lines__0__quantity=quantity, total=total)


def _order_price(m: Moment, case: Case) -> Case:
    line = case.arguments["lines"][0]
    price = round(line["unit_price"] * 1.18, 2)
    total = round(case.arguments["total"] + line["quantity"] * (price - line["unit_price"]), 2)
    return case.mended("wrong_price", "The contract says less.", lines__0__unit_price=price, total=total)


def _order_supplier(m: Moment, case: Case) -> Case:
    return case.refused(
        "wrong_supplier",
        "We have a framework contract with somebody else for this.",
        supplier={"id": "V1999", "name": "Bulk Bargains Ltd"},
    )


def _order_question(m: Moment, case: Case) -> Case:
    return case.asked(
        "The warehouse in Malmö is closed that week. Is Rotterdam all right?",
        "Yes, Rotterdam; the goods move on with the Thursday truck.",
        deliver_to="warehouse_malmo" if case.arguments["deliver_to"] != "warehouse_malmo" else "office",
    )


def change_order(m: Moment) -> Case:
    vendor = m.rng.choice(VENDORS)
    order = f"PO-{m.digits(6)}"
    change = m.pick("quantity", "date", "date", "partial_delivery")
    arguments: dict[str, Any] = {"order_number": order, "change": change}
    if change == "quantity":
        arguments["new_quantity"] = m.pick(10, 20, 30, 60)
        arguments["reason"] = m.pick("Sales are slower than planned.", "A large customer order came in.")
    elif change == "date":
        arguments["new_date"] = m.weekday(m.rng.randint(10, 35))
        arguments["reason"] = m.pick(
            "The ramp is being repaired that week.", "The supplier asks for four more days."
        )
    else:
        arguments["reason"] = "Half of the goods are ready and we are nearly out of stock."
    return Case(
        arguments,
        summary=f"Change {order} with {vendor.name}: {change.replace('_', ' ')}.",
        reasoning="The order is open and the supplier accepts changes until a week before delivery.",
        context=[
            tool("inbox.read", f"From {vendor.email}\nSubject: {order}\n\n{arguments['reason']}"),
            assistant("I compared it with the delivery plan; nothing else depends on it."),
        ],
        subject=("supplier", vendor.id),
    )


def _change_other_order(m: Moment, case: Case) -> Case:
    return case.mended(
        "wrong_quantity", "That is another order of the same supplier.", order_number=f"PO-{m.digits(6)}"
    )


def cancel_order(m: Moment) -> Case:
    vendor = m.rng.choice(VENDORS)
    order = f"PO-{m.digits(6)}"
    fee = m.pick(0, 0, 0, 45, 120)
    reason = m.pick(
        "The article leaves the range next month.",
        "Ordered twice by two planners.",
        "The supplier cannot deliver this year.",
    )
    return Case(
        {"order_number": order, "reason": reason, "cancellation_fee": fee},
        summary=f"Cancel {order} with {vendor.name}" + (f", fee {fee} EUR." if fee else ", free of charge."),
        reasoning="Nothing has been shipped. Cancelling is cheaper than storing.",
        context=[tool("orders.status", f"{order}: confirmed, not shipped, {vendor.name}")],
        subject=("supplier", vendor.id),
    )


def _cancel_fee(m: Moment, case: Case) -> Case:
    return case.refused("not_needed", "The fee is higher than what we would save.", cancellation_fee=1850)


_QUOTES = (
    (
        "Wool felt, 600 m²",
        "Wool felt, grey, 3 mm, at least 90 % wool, 600 m² in two deliveries, spring and autumn.",
    ),
    (
        "Transport to Malmö",
        "Two full loads a week from Rotterdam to Malmö, curtain trailers, for twelve months.",
    ),
    ("Showroom cleaning", "Cleaning of 900 m² showroom, six days a week before 9 o'clock, windows monthly."),
    ("Lamp shades, opal", "Opal glass shades, 220 mm, 4,000 pieces a year, breakage below 2 %."),
    ("Catalogue spring", "Catalogue of 96 pages, 40,000 copies, recycled paper, delivered in week 6."),
    ("Tent fabric", "Coated tent fabric, water column at least 3,000 mm, 5,000 m², colours as sampled."),
)


def quotes(m: Moment) -> Case:
    subject, specification = m.rng.choice(_QUOTES)
    invited = [vendor.email for vendor in m.rng.sample(VENDORS, k=m.rng.randint(2, 5))]
    return Case(
        {
            "subject": subject,
            "specification": specification,
            "suppliers": invited,
            "answer_by": m.weekday(14),
            "estimated_value": m.pick(4000, 8000, 15000, 32000),
        },
        summary=f"Ask {len(invited)} suppliers to quote for {subject.lower()}.",
        reasoning="The contract ends in spring; three quotes are required above 3,000 EUR.",
        context=[
            user(
                m.pick(
                    "We need better prices for this.", "Please start the tender.", "Who else could do this?"
                )
            )
        ],
        subject=("tender", subject),
        priority="low",
    )


_NEWCOMERS = (
    ("Tischlerei Morgenrot", "DE"),
    ("Atelier des Vosges", "FR"),
    ("Pinho & Filhos", "PT"),
    ("Skov Metal ApS", "DK"),
    ("Filati Valle", "IT"),
    ("Grodno Packaging", "PL"),
    ("Zuiderzee Canvas", "NL"),
)


def onboard(m: Moment) -> Case:
    name, country = m.rng.choice(_NEWCOMERS)
    name = f"{name} {m.pick('', 'Nord', 'II', 'Export')}".strip()
    host = "".join(letter for letter in name.lower() if letter.isascii() and letter.isalnum())
    account = iban(country if country in ("NL", "DE", "BE", "FR", "DK") else "NL", m.rng)
    person = m.pick("Ines Prado", "Luca Ferri", "Marta Nowak", "Jens Skov", "Claire Petit")
    return Case(
        {
            "name": name,
            "country": country,
            "vat_number": country + m.digits(9),
            "website": f"https://{host}.example",
            "contact": {
                "name": person,
                "email": f"{person.split()[0].lower()}@{host}.example",
                "phone": f"+{m.rng.randint(31, 49)} {m.digits(3)} {m.digits(6)}",
            },
            "bank": {"iban": account, "account_holder": name},
            "categories": m.rng.sample(
                ["timber", "textiles", "metal", "packaging", "services"], k=m.rng.randint(1, 2)
            ),
            "checks": {"vat_valid": True, "sanctions_clear": True, "code_of_conduct": m.rng.random() < 0.9},
        },
        summary=f"Accept {name} ({country}) as a supplier; all checks done.",
        reasoning="VAT number and sanctions lists were checked today. Two references are good.",
        context=[
            tool("checks.vat", f"{name}: valid since {m.rng.randint(2004, 2022)}"),
            tool("checks.sanctions", "no hit"),
            user("They had the best samples by far."),
        ],
        subject=("supplier", name),
    )


def _onboard_holder(m: Moment, case: Case) -> Case:
    return case.refused(
        "suspicious",
        "The account is held by a person, not by the company.",
        bank__account_holder="M. Kovacs private",
    )


def _onboard_question(m: Moment, case: Case) -> Case:
    return case.asked(
        "The code of conduct is not signed. Will it be?",
        "It was signed this morning; the scan is in the file.",
        checks__code_of_conduct=False,
    )


def contract(m: Moment) -> Case:
    vendor = m.rng.choice(VENDORS)
    value = m.pick(4800, 9600, 14400, 26000, 48000)
    arguments = {
        "contract_id": f"C-{m.digits(4)}",
        "supplier_name": vendor.name,
        "new_end": m.day(m.pick(365, 730)),
        "yearly_value": value,
        "notice_months": m.pick(3, 6),
        "auto_renew": False,
        "price_change_percent": m.pick(0, 0, 1.5, 2.8),
    }
    return Case(
        arguments,
        summary=f"Extend the contract with {vendor.name}, {value} EUR a year.",
        reasoning="Deliveries were on time in 97 % of cases; the market is 4 % dearer than a year ago.",
        context=[
            tool(
                "contracts.get",
                f"{arguments['contract_id']} {vendor.name}, ends {m.day(70)}, notice {m.day(10)}",
            )
        ],
        subject=("supplier", vendor.id),
    )


def _contract_renews(m: Moment, case: Case) -> Case:
    return case.mended("wrong_terms", "We never let contracts renew by themselves.", auto_renew=True)


KINDS = {
    "create_purchase_order": Kind(
        purchase_order, (_order_quantity, _order_price, _order_supplier, _order_question)
    ),
    "change_purchase_order": Kind(change_order, (_change_other_order,)),
    "cancel_purchase_order": Kind(cancel_order, (_cancel_fee,)),
    "request_quotes": Kind(quotes),
    "onboard_supplier": Kind(onboard, (_onboard_holder, _onboard_question)),
    "extend_contract": Kind(contract, (_contract_renews,)),
}
