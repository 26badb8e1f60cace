"""Words, and addresses of lists that somebody made up."""

from urllib.parse import urlencode

import pytest

from agents.autonomy import Tier
from approvals.models import Verdict
from approvals.requests import Subject
from approvals.services import set_up
from tests.approvals.test_views_lists import orders, signed_in
from tests.factories import desk, policy

pytestmark = pytest.mark.django_db(transaction=True)


WORDS = [
    ("lamp", ["A-1"]),
    ("LAMP", ["A-1"]),
    ("lam", ["A-1"]),
    ("lamp broken", ["A-1"]),
    ("broken lamp", ["A-1"]),
    ("lamp missing", []),
    ("mp", []),
    ("a-1", ["A-1", "A-2"]),
    ("c-17", ["A-2"]),
    ("17", ["A-2"]),
    ("anna@example.com", ["A-2"]),
    ("example", ["A-2"]),
    ("DE89", ["A-1"]),
    ("de89 3704", ["A-1"]),
    ("refund", ["A-1", "A-2"]),
    ("größe", ["A-2"]),
    ("秘密", ["A-2"]),
    ("order_id", ["A-1", "A-2"]),
]


def test_words_find_summary_arguments_and_subject() -> None:
    the = desk()
    the.propose({"order_id": "A-1", "amount": 5, "iban": "DE89 3704"}, summary="The lamp came broken")
    the.propose(
        {"order_id": "A-2", "amount": 5, "note": "anna@example.com"},
        summary="Falsche Größe, 秘密",
        subject=Subject(type="customer", id="c-17"),
    )
    client = signed_in(the.reviewer)
    assert [(typed, orders(client, urlencode({"q": typed}))) for typed, _ in WORDS] == WORDS


def test_words_look_into_the_revision_in_force_alone() -> None:
    the = desk(tier=Tier.IN_THE_LOOP)
    queue_of_two = set_up.queue_definition(the.queue)
    assert queue_of_two.quorum == 1
    policy([{"name": "two", "when": "true", "review": {"quorum": 2}}], the.queue)
    proposal = the.propose({"order_id": "A-1", "amount": 5, "note": "before"})
    the.decide(proposal, Verdict.EDIT, arguments={"order_id": "A-1", "amount": 5, "note": "afterwards"})
    client = signed_in(the.second)
    assert orders(client, "q=afterwards") == ["A-1"]
    assert orders(client, "q=before") == []


HOSTILE = [
    "q=%00",
    "q=a%00b",
    "q=%27%20OR%201%3D1%20--",
    "q=%27%3A*%20%26%20!%28%7C%29",
    "q=!!!",
    "q=%5C",
    "q=%25s%20%25(x)s",
    "q=%F0%9F%92%A3%20%E2%80%AE",
    "q=%ed%a0%80",
    "q=" + "a%20" * 400,
    "q=" + "x" * 5000,
    "min=1e9",
    "min=-5",
    "min=NaN&max=Infinity",
    "min=99999999999999999999",
    "max=٣",
    "age=0d",
    "age=99999999d",
    "age=9999w",
    "held=0",
    "held=999999999999999999",
    "held=9999999999999999999999",
    "held=../../etc",
    "risk=%27",
    "tier=root",
    "why=rule%3A",
    "why=rule%3A%27%5D%7D",
    "why=" + "&why=".join(f"rule:{number}" for number in range(200)),
    "agent=%27&agent=%22&agent=" + "y" * 500,
    "state=decided",
    "currency=EURO",
    "after=1~2026-01-01T00:00:00+00:00~00000000-0000-0000-0000-000000000000",
    "after=99999999999~2026-01-01T00:00:00+00:00~00000000-0000-0000-0000-000000000000",
    "after=1~0001-01-01T00:00:00+14:00~00000000-0000-0000-0000-000000000000",
    "after=1~9999-12-31T23:59:59-14:00~ffffffff-ffff-ffff-ffff-ffffffffffff",
    "after=1~2026-01-01T00:00:00~00000000-0000-0000-0000-000000000000",
    "unknown=1&q[]=2",
]


def test_a_hostile_address_never_errs() -> None:
    the = desk()
    the.propose()
    client = signed_in(the.reviewer)
    for query in HOSTILE:
        for place in ("/proposals/", "/proposals/pulse/", f"/queues/{the.queue.slug}/"):
            response = client.get(f"{place}?{query}", follow=True)
            assert response.status_code in (200, 204), (place, query)


def test_what_is_not_understood_is_said_and_not_passed_over_in_silence() -> None:
    the = desk()
    client = signed_in(the.reviewer)
    html = client.get("/proposals/?min=lots&risk=banana&q=x").content.decode()
    assert "Not understood" in html and "min=lots" in html and "risk=banana" in html
    assert "Not understood" not in client.get("/proposals/?min=5&risk=high").content.decode()


def test_a_form_sends_an_address_without_what_was_left_empty() -> None:
    the = desk()
    response = signed_in(the.reviewer).get("/proposals/?q=&min=5&max=&agent=a&agent=b&held=")
    assert response.status_code == 302
    assert response["Location"] == "/proposals/?min=5&agent=a&agent=b"
