"""Look-alikes over HTTP: compared side by side, decided one by one, and refused where a page of their own is due."""

import re
from decimal import Decimal
from typing import Any
from uuid import UUID

import pytest
from django.db import connection
from django.test import Client
from django.test.utils import CaptureQueriesContext

from approvals.models import Decision, HeldBallot, Proposal, Verdict
from approvals.services import claim, set_up
from approvals.services.amend import revise
from audit.models import AuditEvent
from tests.approvals.alike import SAME, bulk_desk, change, refunds, sitting, state
from tests.factories import admin, reviewer

pytestmark = pytest.mark.django_db(transaction=True)


def test_the_list_names_each_group_and_what_differs() -> None:
    the = bulk_desk()
    refunds(the, 10, 20, 30)
    the.propose({"order_id": "Z", "amount": 5, "note": "something else entirely"})
    client = Client()
    client.force_login(the.reviewer)
    html = client.get(f"/queues/{the.queue.slug}/alike/").content.decode()
    assert html.count('class="line"') == 1
    assert '<b class="alike__count">3</b>' in html
    assert "differ in Amount, Order" in html
    assert "10.00 – 30.00 EUR" in html.replace("\u202f", " ")
    link = client.get(f"/queues/{the.queue.slug}/alike/link/").content.decode()
    assert "3 look-alikes" in link and "hx-get" not in link


def test_what_is_common_stands_once_and_what_differs_row_by_row() -> None:
    the = bulk_desk()
    first, *_ = refunds(the, 10, 20, 30)
    page = sitting(the, first)
    assert page.html.count("DE89370400440532013000") == 1
    table = page.html[page.html.index("<table") :]
    assert table.index("Amount") < table.index("Order"), "material arguments first"
    assert len(page.tickets) == 3
    assert page.html.count("checked") == 3, "each row is left alone until somebody chooses"
    assert not re.search(r'value="(approve|reject)"[^>]*checked', page.html)


def test_each_is_decided_by_itself_with_its_own_event() -> None:
    the = bulk_desk()
    one, two, three, four = refunds(the, 10, 20, 30, 40)
    page = sitting(the, one)
    answer = page.post(
        {one: "approve", two: "reject", three: "approve", four: ""},
        **{"all-reason": "wrong_amount", "all-comment": "Seen side by side"},
    )
    assert answer.status_code == 200
    html = answer.content.decode()
    assert "2 approved, 1 rejected" in html
    assert [state(each) for each in (one, two, three, four)] == [
        "approved",
        "rejected",
        "approved",
        "pending",
    ]
    decisions = Decision.objects.order_by("decided_at")
    assert [(d.proposal_id, d.verdict, d.reason) for d in decisions] == [
        (one.pk, "approve", ""),
        (two.pk, "reject", "wrong_amount"),
        (three.pk, "approve", ""),
    ]
    for proposal, kind in (
        (one, "proposal.approved"),
        (two, "proposal.rejected"),
        (three, "proposal.approved"),
    ):
        events = AuditEvent.objects.filter(
            object_id=str(proposal.pk), kind=kind, actor_id=str(the.reviewer.pk)
        )
        assert events.count() == 1
    assert (
        len(set(AuditEvent.objects.filter(kind="proposal.approved").values_list("transaction", flat=True)))
        == 2
    )


def test_the_same_sent_twice_counts_once() -> None:
    the = bulk_desk()
    one, two = refunds(the, 10, 20)
    page = sitting(the, one)
    choices = {one: "approve", two: "approve"}
    assert "2 approved" in page.post(choices).content.decode()
    again = page.post(choices).content.decode()
    assert "2 approved" in again and "not decided" not in again
    assert Decision.objects.count() == 2


def test_a_reason_of_its_own_goes_before_the_shared_one() -> None:
    the = bulk_desk()
    one, two = refunds(the, 10, 20)
    page = sitting(the, one)
    page.post(
        {one: "reject", two: "reject"},
        **{"all-reason": "wrong_amount", f"r{two.pk.hex}-reason": "not_allowed"},
    )
    assert list(Decision.objects.order_by("decided_at").values_list("reason", flat=True)) == [
        "wrong_amount",
        "not_allowed",
    ]


def test_a_rejection_without_a_reason_decides_nothing_and_keeps_what_was_chosen() -> None:
    the = bulk_desk()
    one, two = refunds(the, 10, 20)
    answer = sitting(the, one).post({one: "approve", two: "reject"})
    html = answer.content.decode()
    assert answer.status_code == 422
    assert "Choose a reason here, or one for all below." in html
    assert re.search(rf'name="r{one.pk.hex}-choice" value="approve"[^>]*checked', html)
    assert (state(one), state(two)) == ("pending", "pending")


def test_nothing_chosen_is_said() -> None:
    the = bulk_desk()
    one, _ = refunds(the, 10, 20)
    answer = sitting(the, one).post({})
    assert answer.status_code == 422
    assert "Nothing is chosen yet" in answer.content.decode()


def test_a_row_that_changed_or_was_taken_is_refused_and_the_others_stand() -> None:
    the = bulk_desk()
    one, two, three, four = refunds(the, 10, 20, 30, 40)
    page = sitting(the, one)
    the.decide(two, Verdict.RETURN, by=the.second)
    revise(
        proposal_id=two.pk, agent=the.agent, arguments={"order_id": "A-2007", "amount": 99, **SAME}, reply=""
    )
    claim.claim(proposal_id=three.pk, reviewer=the.second)
    html = page.post(dict.fromkeys((one, two, three, four), "approve")).content.decode()
    assert "2 approved, 2 not decided" in html
    assert "the proposal has changed since the page was opened" in html
    assert f"{the.second} is on it" in html
    assert [state(each) for each in (one, two, three, four)] == ["approved", "pending", "pending", "approved"]


@pytest.mark.parametrize(
    ("settings", "why"),
    [
        ({"risk": "high"}, "Its risk is high."),
        ({"risk": "critical"}, "Its risk is critical."),
        ({"reversible": False}, "It cannot be undone"),
        ({"quorum": 2}, "It needs more than one person."),
    ],
)
def test_what_may_not_be_approved_together(settings: dict[str, Any], why: str) -> None:
    the = bulk_desk(**settings)
    one, two = refunds(the, 10, 20)
    page = sitting(the, one)
    assert why in page.html
    assert not page.offers(one, "approve") and page.offers(one, "reject")
    answer = page.post({one: "approve", two: "approve"})
    assert answer.status_code == 422
    assert (state(one), state(two)) == ("pending", "pending")


def test_past_the_amount_of_the_queue_each_opens_alone() -> None:
    the = bulk_desk(limit="25")
    one, two, three = refunds(the, 10, 25, 25.01)
    page = sitting(the, one)
    assert [page.offers(each, "approve") for each in (one, two, three)] == [True, True, False]
    assert "Its amount is above 25.00" in page.html


def test_a_queue_without_an_amount_lets_nobody_decide_several() -> None:
    the = bulk_desk(limit=None)
    one, two = refunds(the, 10, 20)
    page = sitting(the, one)
    assert page.tickets == []
    assert "lets nobody decide several at once" in page.html
    change(the.queue, bulk_amount=Decimal(100))
    other = sitting(the, one)
    change(the.queue, bulk_amount=None)
    html = other.post({one: "approve", two: "reject"}, **{"all-reason": "wrong_amount"}).content.decode()
    assert "2 not decided" in html
    assert (state(one), state(two)) == ("pending", "pending")


def test_rules_are_asked_again_when_it_is_decided() -> None:
    the = bulk_desk()
    one, two = refunds(the, 10, 20)
    page = sitting(the, one)
    change(the.queue, bulk_amount=Decimal(15))
    html = page.post({one: "approve", two: "approve"}).content.decode()
    assert "1 approved, 1 not decided" in html
    assert "Its amount is above 15.00" in html
    assert (state(one), state(two)) == ("approved", "pending")


def test_hidden_characters_twins_and_repeats_open_alone() -> None:
    the = bulk_desk()
    plain, other = refunds(the, 10, 20)
    hidden = the.propose({"order_id": "A-3\u200b000", "amount": 30, **SAME})
    twin = the.propose({"order_id": "A-2OO0", "amount": 40, **SAME})
    folded = the.propose({"order_id": "A-4000", "amount": 45, **SAME}, reasoning="a" + "\n" * 50 + "b")
    twice = [the.propose({"order_id": "A-9000", "amount": 50, **SAME}) for _ in range(2)]
    page = sitting(the, plain)
    offered = {each.pk: page.offers(each, "approve") for each in (plain, other, hidden, twin, folded, *twice)}
    assert offered == {
        plain.pk: False,  # A-2000, which the twin passes for
        other.pk: True,
        hidden.pk: False,
        twin.pk: False,
        folded.pk: False,
        twice[0].pk: False,
        twice[1].pk: False,
    }
    assert "looks like “A-2000” of another one" in page.html
    assert "U+200B" in page.html and "\u200b" not in page.html
    assert "perhaps it was sent twice" in page.html


def test_an_amount_far_from_the_others_is_marked() -> None:
    the = bulk_desk(limit="1000")
    one, *_, last = refunds(the, 10, 11, 12, 10, 100)
    html = sitting(the, one).html
    assert html.count("far above the middle of these") == 1
    row = html[html.index(f'id="row-{last.pk}"') :]
    assert "far above" in row


def test_an_unreadable_amount_and_a_summary_that_disagrees_open_alone() -> None:
    the = bulk_desk()
    one, two = refunds(the, 10, 20)
    three = the.propose({"order_id": "A-5000", "amount": 30, **SAME}, summary="Pay back 300 EUR for A-5000")
    four = the.propose({"order_id": "A-6000", "amount": 30.5, **SAME}, summary="w" * 301)
    page = sitting(the, one)
    assert [page.offers(each, "approve") for each in (one, two, three, four)] == [True, True, False, False]


# Hostile posts


def test_rows_of_another_queue_or_another_person_are_no_rows() -> None:
    the = bulk_desk()
    one, two = refunds(the, 10, 20)
    theirs = sitting(the, one, by=the.second)
    mine = sitting(the, one)
    mine.html = theirs.html
    answer = mine.post({one: "approve", two: "approve"})
    assert answer.status_code == 422
    assert "too old, or not yours" in answer.content.decode()
    other = bulk_desk()
    three, four = refunds(other, 10, 20)
    set_up.assign_reviewer(queue_slug=other.queue.slug, to=the.reviewer, actor=admin())
    foreign = sitting(other, three, by=the.reviewer)
    mine = sitting(the, one)
    foreign.url = mine.url
    html = foreign.post({three: "approve", four: "approve"}).content.decode()
    assert "2 not decided" in html and "not, or no longer, in this queue" in html
    assert {state(each) for each in (one, two, three, four)} == {"pending"}


def test_a_forged_ticket_or_an_added_choice_decides_nothing() -> None:
    the = bulk_desk(limit="15")
    one, two = refunds(the, 10, 20)
    page = sitting(the, one)
    assert not page.offers(two, "approve")
    assert page.post({one: "approve", two: "approve"}).status_code == 422
    page.html = page.html.replace(page.tickets[1], page.tickets[1][:-4] + "AAAA")
    assert "1 approved" in page.post({one: "approve", two: "approve"}).content.decode()
    assert (state(one), state(two)) == ("approved", "pending")
    page.html = page.html.replace('name="row"', 'name="gone"')
    assert page.post({two: "approve"}).status_code in (302, 422)
    assert state(two) == "pending"


def test_an_edit_or_a_return_cannot_be_sent_along() -> None:
    the = bulk_desk()
    one, _ = refunds(the, 10, 20)
    for verdict in ("edit", "return", "veto", "APPROVE"):
        assert sitting(the, one).post({one: verdict}).status_code == 422
    assert state(one) == "pending"


def test_strangers_and_owners_decide_nothing_here() -> None:
    the = bulk_desk()
    one, two = refunds(the, 10, 20)
    page = sitting(the, one)
    stranger = Client()
    stranger.force_login(reviewer())
    assert stranger.get(page.url).status_code == 404
    assert stranger.post(page.url, {"row": page.tickets}).status_code == 404
    set_up.assign_reviewer(queue_slug=the.queue.slug, to=the.agent.owner, actor=admin())
    owners = sitting(the, one, by=the.agent.owner)
    assert owners.tickets == []
    assert "You answer for this agent" in owners.html
    set_up.assign_reviewer(queue_slug=the.queue.slug, to=the.reviewer, actor=admin(), allowed=False)
    assert page.post({one: "approve"}).status_code == 404
    assert (state(one), state(two)) == ("pending", "pending")


def test_a_get_changes_nothing_and_a_gone_group_leads_to_the_list() -> None:
    the = bulk_desk()
    one, two = refunds(the, 10, 20)
    page = sitting(the, one)
    assert page.client.get(page.url, {f"r{one.pk.hex}-choice": "approve"}).status_code == 200
    assert state(one) == "pending"
    page.post({one: "approve", two: "approve"})
    assert page.client.get(page.url).status_code == 302
    assert page.client.get(page.url.replace(str(one.pk), str(UUID(int=1)))).status_code == 302


def test_a_group_is_still_found_by_a_member_that_was_decided() -> None:
    the = bulk_desk()
    one, two, three = refunds(the, 10, 20, 30)
    page = sitting(the, one)
    page.post({one: "approve"})
    left = sitting(the, one)
    assert left.offers(two, "approve") and left.offers(three, "approve")
    assert "It is approved by now." in left.html


def test_pages_of_a_large_group_hold_twenty_five() -> None:
    the = bulk_desk()
    every = refunds(the, *range(20, 50))
    page = sitting(the, every[0])
    assert len(page.tickets) == 25
    assert 'href="?from=25"' in page.html
    assert len(sitting(the, every[0], query="?from=25").tickets) == 5
    both = page.tickets + sitting(the, every[0], query="?from=25").tickets
    data = {"row": both, **{f"r{each.pk.hex}-choice": "approve" for each in every}}
    assert page.client.post(page.url, data).status_code == 422
    assert {state(each) for each in every} == {"pending"}


def test_an_undo_window_holds_each_vote_back() -> None:
    the = bulk_desk(undo_seconds=30)
    one, two = refunds(the, 10, 20)
    html = sitting(the, one).post({one: "approve", two: "approve"}).content.decode()
    assert html.count("it can still be undone") == 2
    assert HeldBallot.objects.count() == 2
    assert (state(one), state(two)) == ("pending", "pending")


def test_pacing_counts_every_row() -> None:
    the = bulk_desk(view_seconds={"low": 30})
    one, two = refunds(the, 10, 20)
    html = sitting(the, one).post({one: "approve", two: "approve"}).content.decode()
    assert "2 not decided" in html and "seconds of reading" in html
    change(the.queue, bulk_amount=Decimal(100), approvals_per_minute=1)
    html = sitting(the, one).post({one: "approve", two: "approve"}).content.decode()
    assert "1 approved, 1 not decided" in html


def test_the_page_asks_as_often_for_many_rows_as_for_few() -> None:
    the = bulk_desk()
    few = refunds(the, 10, 20)
    client = Client()
    client.force_login(the.reviewer)

    def queries(first: Proposal) -> int:
        with CaptureQueriesContext(connection) as captured:
            assert client.get(f"/queues/{the.queue.slug}/alike/{first.pk}/").status_code == 200
        return len(captured)

    queries(few[0])
    before = queries(few[0])
    refunds(the, *range(30, 42))
    assert queries(few[0]) == before
