"""Lists over HTTP: what each filter leaves, what words find, where pages end, and that nobody sees another's queues."""

import re
from dataclasses import dataclass
from datetime import timedelta
from html import unescape
from urllib.parse import urlencode

import pytest
from django.db import connection
from django.test import Client
from django.test.utils import CaptureQueriesContext
from django.utils import timezone

from agents.autonomy import Tier
from approvals import lists, words
from approvals.models import Proposal, Verdict
from approvals.services import assign, claim, set_up
from tests.database import as_owner
from tests.factories import Desk, admin, desk, policy, queue, reviewer

pytestmark = pytest.mark.django_db(transaction=True)


def signed_in(user: object) -> Client:
    client = Client()
    client.force_login(user)  # type: ignore[arg-type]
    return client


def orders(client: Client, query: str = "", place: str = "/proposals/") -> list[str]:
    """The order numbers in the list's titles, as they stand on the page below what I hold."""
    response = client.get(f"{place}?{query}" if query else place)
    assert response.status_code == 200, response
    html = response.content.decode().partition('id="news"')[2]
    return re.findall(r'<bdi dir="auto">[^<]* for order ([^<]*)</bdi>', html)


def share(the: Desk, other: Desk) -> None:
    """`the` desk's reviewer decides at the other desk, too."""
    set_up.assign_reviewer(queue_slug=other.queue.slug, to=the.reviewer, actor=admin())


@dataclass(frozen=True)
class Office:
    """Two desks with agents, action types and queues of their own, and one person who reviews both queues."""

    first: Desk
    second: Desk
    client: Client


@pytest.fixture
def office() -> Office:
    first = desk()
    second = desk(max_amount="100")
    policy(
        [{"name": "big_one", "when": "amount > 900.0", "review": {"queue": first.queue.slug}}], first.queue
    )
    first.propose({"order_id": "A-1", "amount": 5}, priority="urgent")
    first.propose({"order_id": "A-2", "amount": 950}, priority="high")
    first.propose({"order_id": "A-3", "amount": 60}, priority="low")
    policy([], second.queue)
    second.propose({"order_id": "B-1", "amount": 50})
    second.propose({"order_id": "B-2", "amount": 150}, priority="high")
    share(first, second)
    return Office(first, second, signed_in(first.reviewer))


def test_all_my_queues_stand_in_one_list_by_urgency(office: Office) -> None:
    assert orders(office.client) == ["A-1", "A-2", "B-2", "B-1", "A-3"]


FILTERS = [
    ("queue={first.queue.slug}", ["A-1", "A-2", "A-3"]),
    ("queue={first.queue.slug}&queue={second.queue.slug}", ["A-1", "A-2", "B-2", "B-1", "A-3"]),
    ("agent={second.agent.slug}", ["B-2", "B-1"]),
    ("agent={first.agent.slug}&agent={second.agent.slug}", ["A-1", "A-2", "B-2", "B-1", "A-3"]),
    ("action={first.action_type.name}", ["A-1", "A-2", "A-3"]),
    ("domain=customer_operations", ["A-1", "A-2", "B-2", "B-1", "A-3"]),
    ("domain=elsewhere", []),
    ("min=60", ["A-2", "B-2", "A-3"]),
    ("max=50", ["A-1", "B-1"]),
    ("min=50&max=150", ["B-2", "B-1", "A-3"]),
    ("min=1,000", []),
    ("currency=eur", ["A-1", "A-2", "B-2", "B-1", "A-3"]),
    ("currency=USD", []),
    ("risk=medium", ["A-1", "A-2", "B-2", "B-1", "A-3"]),
    ("risk=high&risk=critical", []),
    ("tier=in_the_loop", ["A-1", "A-2", "B-2", "B-1", "A-3"]),
    ("tier=advisory", []),
    ("why=rule", ["A-2"]),
    ("why=rule:big_one", ["A-2"]),
    ("why=rule:another", []),
    ("why=limit", ["B-2"]),
    ("why=limit&why=rule", ["A-2", "B-2"]),
    ("why=tier", ["A-1", "B-1", "A-3"]),
    ("age=1h", []),
    ("due=soon", []),
    ("due=overdue", []),
    ("held=nobody", ["A-1", "A-2", "B-2", "B-1", "A-3"]),
    ("held=me", []),
    ("assigned=me", []),
    ("assigned=nobody", ["A-1", "A-2", "B-2", "B-1", "A-3"]),
    ("agent={first.agent.slug}&min=60&why=rule", ["A-2"]),
    ("agent={second.agent.slug}&why=rule", []),
    ("q=b&why=limit&min=100&queue={second.queue.slug}", ["B-2"]),
    ("agent=nobody-of-this-name", []),
    ("queue=nothing-of-this-name", []),
]


def test_each_filter_alone_and_with_others_leaves_what_it_says(office: Office) -> None:
    asked = [(query.format(first=office.first, second=office.second), left) for query, left in FILTERS]
    assert [(query, orders(office.client, query)) for query, _ in asked] == asked


def test_filters_of_one_queue_work_the_same(office: Office) -> None:
    place = f"/queues/{office.first.queue.slug}/"
    assert orders(office.client, "min=60", place) == ["A-2", "A-3"]
    assert orders(office.client, f"queue={office.second.queue.slug}", place) == ["A-1", "A-2", "A-3"]


def test_age_and_due_time_go_by_the_clock(office: Office) -> None:
    now = timezone.now()
    first = Proposal.objects.filter(queue=office.first.queue)
    first.filter(title__contains="A-1").update(created_at=now - timedelta(hours=5))
    first.filter(title__contains="A-2").update(due_at=now - timedelta(minutes=1))
    first.filter(title__contains="A-3").update(due_at=now + timedelta(minutes=20))
    assert orders(office.client, "age=4h") == ["A-1"]
    assert orders(office.client, "age=300m") == ["A-1"]
    assert orders(office.client, "due=overdue") == ["A-2"]
    assert orders(office.client, "due=soon") == ["A-3"]
    html = office.client.get("/queues/").content.decode()
    assert "1 overdue" in html and "1 due soon" in html and "oldest" in html


def test_claims_and_assignments_narrow_a_list(office: Office) -> None:
    the = office.first
    mine, his, given = (Proposal.objects.get(title__contains=order) for order in ("A-1", "A-2", "A-3"))
    claim.claim(proposal_id=mine.pk, reviewer=the.reviewer)
    claim.claim(proposal_id=his.pk, reviewer=the.second)
    assign.assign(proposal_id=given.pk, to_id=the.reviewer.pk, actor=the.second)
    assert orders(office.client, "held=nobody") == ["B-2", "B-1", "A-3"]
    assert orders(office.client, "held=me") == ["A-1"]
    assert orders(office.client, "held=others") == ["A-2"]
    assert orders(office.client, f"held={the.second.pk}") == ["A-2"]
    assert orders(office.client, f"held={the.reviewer.pk}") == ["A-1"]
    assert orders(office.client, "assigned=me") == ["A-3"]
    assert orders(office.client, "assigned=me&min=1000") == []
    assert orders(office.client, "assigned=others") == []
    assert orders(signed_in(the.second), "assigned=others") == ["A-3"]
    html = office.client.get("/proposals/").content.decode()
    assert html.index("You hold") < html.index("order A-1") < html.index("order A-2")
    assert html.count("order A-1") == 1 and "for you" in html and "Ravi Reviewer" in html


def test_states_have_lists_of_their_own() -> None:
    the = desk()
    watching = desk(tier=Tier.ON_THE_LOOP, veto_seconds=3600)
    share(the, watching)
    policy([], the.queue)
    waiting = the.propose({"order_id": "W-1", "amount": 1})
    the.decide(the.propose({"order_id": "R-1", "amount": 1}), Verdict.RETURN)
    policy([], watching.queue)
    watching.propose({"order_id": "S-1", "amount": 1})
    client = signed_in(the.reviewer)
    assert orders(client) == ["W-1"]
    assert orders(client, "state=returned") == ["R-1"]
    assert orders(client, "state=scheduled") == ["S-1"]
    assert sorted(orders(client, "state=open")) == ["R-1", "S-1", "W-1"]
    assert sorted(orders(client, "state=open&q=s 1")) == ["S-1"]
    assert orders(client, "state=open&held=others") == []
    the.decide(waiting, Verdict.APPROVE)
    assert sorted(orders(client, "state=open")) == ["R-1", "S-1"]


def test_chips_name_what_is_set_and_lead_to_the_list_without_it(office: Office) -> None:
    query = f"agent={office.first.agent.slug}&agent={office.second.agent.slug}&min=5&q=refund&state=open"
    html = unescape(office.client.get(f"/proposals/?{query}").content.decode())
    chips = {
        re.sub(r"<[^>]+>|\s+", " ", text).partition("Remove:")[2].strip(): address
        for address, text in re.findall(r'<a class="chip" href="\?([^"]*)">(.*?)</a>', html)
    }
    labels = sorted(re.sub(r" +", " ", label) for label in chips)
    assert labels == sorted(
        [
            "Words refund",
            f"Agent {office.first.agent.name}",
            f"Agent {office.second.agent.name}",
            "Amount from 5",
        ]
    )
    assert f"state=open&q=refund&agent={office.second.agent.slug}&min=5" in chips.values()
    assert "state=open&" + query.removesuffix("&q=refund&state=open") in chips.values()


def test_pages_hold_where_every_key_is_the_same(monkeypatch: pytest.MonkeyPatch, office: Office) -> None:
    monkeypatch.setattr("approvals.views.lists.PAGE", 2)
    for number in range(6):
        office.first.propose({"order_id": f"C-{number}", "amount": 7})
    Proposal.objects.update(priority=2, due_at=timezone.now() + timedelta(hours=1))
    held = Proposal.objects.get(title__contains="C-3")
    claim.claim(proposal_id=held.pk, reviewer=office.second.second)
    for query in ("", "max=10&", "q=refund&", "state=open&"):
        found: list[str] = []
        address = f"/proposals/?{query}"
        while address:
            html = unescape(office.client.get(address).content.decode())
            page = re.findall(r"for order ([^<]*)</bdi>", html)
            assert 0 < len(page) <= 2
            found += page
            after = re.search(r'rel="next" href="\?([^"]+)"', html)
            address = f"/proposals/?{after[1]}" if after else ""
        expected = ["A-1", *([] if "max" in query else ["A-2", "A-3", "B-1", "B-2"])]
        assert sorted(found) == sorted(expected + [f"C-{number}" for number in range(6)]), query


def test_a_page_ends_where_enough_was_looked_through_and_says_so(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(lists, "SCAN", 6)
    monkeypatch.setattr("approvals.views.lists.PAGE", 2)
    the = desk()
    for number in range(10):
        the.propose({"order_id": f"A-{number}", "amount": 99 if number in (1, 8) else 1})
    client = signed_in(the.reviewer)
    html = unescape(client.get("/proposals/?min=50").content.decode())
    assert re.findall(r"for order ([^<]*)</bdi>", html) == ["A-1"]
    assert "were looked through" in html
    found, steps = ["A-1"], 0
    while after := re.search(r'<a href="\?([^"]+)" rel="next">Look further', html):
        html = unescape(client.get(f"/proposals/?{after[1]}").content.decode())
        found += re.findall(r"for order ([^<]*)</bdi>", html)
        steps += 1
    assert found == ["A-1", "A-8"] and 0 < steps < 5
    assert "were looked through" not in html


def test_words_without_their_index_find_the_same(monkeypatch: pytest.MonkeyPatch, office: Office) -> None:
    with_index = orders(office.client, "q=refund b")
    monkeypatch.setattr("approvals.words.RARE", -1)
    assert orders(office.client, "q=refund b") == with_index == ["B-2", "B-1"]


def test_common_words_are_known_from_statistics() -> None:
    the = desk()
    for number in range(12):
        the.propose({"order_id": f"A-{number}", "amount": 1, "note": f"unlike{number}"})
    with as_owner() as owner:
        owner.execute("ANALYZE approvals_revision")
    assert words.search("refund UNLIKE7 am 1").query == "'1':* & 'am':* & 'refund':* & 'unlike7':*"
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(words, "RARE", 5)
        assert words.search("refund unlike7 am 1").rare == "'unlike7':*"
        assert words.search("refu am").rare == ""
    assert words.search("refund").rare == "'refund':*"
    assert words.search("!?").is_empty


def test_nobody_finds_what_lies_in_queues_of_others(office: Office) -> None:
    stranger = desk()
    policy([], stranger.queue)
    stranger.propose({"order_id": "X-1", "amount": 50}, summary="lamp")
    client = signed_in(stranger.reviewer)
    first = office.first
    for query in (
        "",
        "q=refund",
        "q=a-1",
        f"queue={first.queue.slug}",
        f"queue={first.queue.slug}&q=refund",
        f"agent={first.agent.slug}",
        "state=open",
        "held=others&state=open",
        "assigned=me",
    ):
        assert set(orders(client, query)) <= {"X-1"}, query
    html = client.get("/proposals/").content.decode()
    assert first.agent.name not in html and first.queue.name not in html
    shown = Proposal.objects.get(title__contains="A-1")
    told = client.get(f"/proposals/pulse/?shown={shown.pk}~pending").content.decode()
    assert "A-1" not in told and "Rita" not in told
    assert Client().get("/proposals/").status_code == 302
    assert Client().get("/proposals/pulse/").status_code == 302


def test_who_reviews_nothing_has_an_empty_list(office: Office) -> None:
    assert orders(signed_in(reviewer()), "state=open&q=refund") == []
    assert orders(signed_in(admin()), "state=open") == []


def test_the_number_of_queries_does_not_grow(office: Office) -> None:
    addresses = ("/proposals/", "/proposals/?state=open&min=1", "/proposals/?q=refund", "/queues/")

    def counted() -> list[int]:
        numbers = []
        for address in addresses:
            with CaptureQueriesContext(connection) as queries:
                office.client.get(address)
            numbers.append(len(queries))
        return numbers

    for proposal in Proposal.objects.exclude(title__contains="A-1"):
        office.first.decide(proposal, Verdict.REJECT)
    one = counted()
    for number in range(2):
        other = desk()
        share(office.first, other)
        policy([], other.queue)
        proposal = other.propose({"order_id": f"Q-{number}", "amount": 5})
        claim.claim(proposal_id=proposal.pk, reviewer=other.reviewer)
        other.propose({"order_id": f"P-{number}", "amount": 5})
    assert counted() == one


def test_the_pulse_counts_only_what_comes_before_the_last_row(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("approvals.views.lists.PAGE", 2)
    the = desk()
    rows = [the.propose({"order_id": f"A-{number}", "amount": 1}) for number in range(3)]
    client = signed_in(the.reviewer)
    html = unescape(client.get("/proposals/").content.decode())
    asked = re.findall(r'id="news" hx-get="([^"]+)"', html)[0]
    shown = re.findall(r'name="shown" value="([^"]+)"', html)
    address = "&".join([asked, *(urlencode({"shown": one}) for one in shown)])
    the.decide(rows[0], Verdict.APPROVE)
    told = client.get(address).content.decode()
    assert "came in" not in told and "1 of these is taken" in told and "Approved" in told
    the.propose({"order_id": "A-9", "amount": 1}, priority="urgent")
    assert "1 more urgent or newer proposal came in" in client.get(address).content.decode()


def test_a_row_that_is_free_again_says_so() -> None:
    the = desk()
    proposal = the.propose()
    client = signed_in(the.reviewer)
    html = unescape(client.get("/proposals/").content.decode())
    address = (
        re.findall(r'id="news" hx-get="([^"]+)"', html)[0]
        + "&"
        + urlencode({"shown": re.findall(r'name="shown" value="([^"]+)"', html)[0]})
    )
    claim.claim(proposal_id=proposal.pk, reviewer=the.second)
    told = client.get(address).content.decode()
    assert "Ravi Reviewer is on it" in told
    claim.release(proposal_id=proposal.pk, reviewer=the.second)
    again = re.findall(r"told=([^&\"]+)", told)[0]
    freed = client.get(f"{address}&told={again}").content.decode()
    assert f'id="row-{proposal.pk}" hx-swap-oob="true"></span>' in freed and "Ravi" not in freed


def test_rows_say_what_a_reviewer_asks_first() -> None:
    the = desk()
    policy([{"name": "two_eyes", "when": "true", "review": {"quorum": 2}}], the.queue)
    proposal = the.propose({"order_id": "A-1", "amount": 1234.5})
    the.decide(proposal, Verdict.EDIT, arguments={"order_id": "A-1", "amount": 1234})
    html = signed_in(the.second).get("/proposals/").content.decode()
    for said in (
        the.agent.name,
        the.action_type.label,
        "rule two_eyes",
        "in the loop",
        "medium risk",
        "revision 2",
        '<span class="line__currency">EUR</span>',
        the.queue.name,
    ):
        assert said in html, said


def test_what_is_being_decided_is_not_offered_as_waiting() -> None:
    the = desk()
    held_back = queue("held-back", undo_seconds=60)
    policy([], held_back)
    for person in (the.reviewer, the.second):
        set_up.assign_reviewer(queue_slug=held_back.slug, to=person, actor=admin())
    proposal = the.propose()
    the.decide(proposal, Verdict.APPROVE, by=the.second)
    assert "Ravi Reviewer has decided it" in signed_in(the.reviewer).get("/proposals/").content.decode()
