"""My queues and one queue over HTTP: who sees what, in which order, and that looking changes nothing."""

import re
from urllib.parse import urlencode

import pytest
from django.db import connection
from django.test import Client
from django.test.utils import CaptureQueriesContext

from approvals.models import Claim, Proposal, Verdict
from approvals.services import claim
from audit.models import AuditEvent
from tests.factories import Desk, desk, person, queue, reviewer

pytestmark = pytest.mark.django_db(transaction=True)


def signed_in(user: object) -> Client:
    client = Client()
    client.force_login(user)  # type: ignore[arg-type]
    return client


def pulse_of(client: Client, address: str) -> str:
    """What the page asks again and again: its address with the rows that are on the screen."""
    html = client.get(address).content.decode()
    asked = re.findall(r'id="news" hx-get="([^"]+)"', html)[0].replace("&amp;", "&")
    shown = re.findall(r'name="shown" value="([^"]+)"', html)
    return "&".join([asked, *(urlencode({"shown": one}) for one in shown)])


def titles(client: Client, the: Desk) -> list[str]:
    html = client.get(f"/queues/{the.queue.slug}/").content.decode()
    return re.findall(r'<bdi dir="auto">(.*?)</bdi>', html)


def test_queue_list_counts_what_waits_and_shows_what_i_hold() -> None:
    the = desk()
    the.propose()
    held = the.propose({"order_id": "A-2", "amount": 7})
    claim.claim(proposal_id=held.pk, reviewer=the.reviewer)
    html = signed_in(the.reviewer).get("/queues/").content.decode()
    assert "1 <small>waiting</small>" in html
    assert "1 in hand" in html
    assert "You hold" in html and "Refund 7 for order A-2" in html


def test_queue_list_of_someone_who_reviews_nothing_says_so() -> None:
    html = signed_in(person()).get("/queues/").content.decode()
    assert "You review no queue" in html


def test_queue_lists_by_priority_and_due_time() -> None:
    the = desk()
    for order, priority in (("A-1", "low"), ("A-2", "urgent"), ("A-3", "normal"), ("A-4", "urgent")):
        the.propose({"order_id": order, "amount": 1}, priority=priority)
    assert [title[-3:] for title in titles(signed_in(the.reviewer), the)] == ["A-2", "A-4", "A-3", "A-1"]


def test_queue_pages_by_keyset_without_loss_or_repeat(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("approvals.views.lists.PAGE", 3)
    the = desk()
    for number in range(7):
        the.propose({"order_id": f"A-{number}", "amount": 1})
    client = signed_in(the.reviewer)
    found, address = [], f"/queues/{the.queue.slug}/"
    while address:
        html = client.get(address).content.decode()
        found += re.findall(r"for order (A-\d)</bdi>", html)
        after = re.search(r'rel="next" href="\?([^"]+)"', html)
        address = f"/queues/{the.queue.slug}/?{after[1]}" if after else ""
    assert found == [f"A-{number}" for number in range(7)]


@pytest.mark.parametrize(
    "after", ["x", "99~2026-01-01T00:00:00+00:00~0", "1~2~3", "9~never~0", "-1~2026-01-01T00:00:00+00:00~"]
)
def test_queue_with_a_broken_cursor_shows_the_beginning(after: str) -> None:
    the = desk()
    the.propose()
    html = signed_in(the.reviewer).get(f"/queues/{the.queue.slug}/?after={after}").content.decode()
    assert html.count("<bdi") == 1


def test_queue_of_others_does_not_exist_for_me() -> None:
    the = desk()
    other = reviewer(queue())
    assert signed_in(other).get(f"/queues/{the.queue.slug}/").status_code == 404
    assert signed_in(other).get(f"/queues/{the.queue.slug}/pulse/").status_code == 404
    assert Client().get(f"/queues/{the.queue.slug}/").status_code == 302


def test_queue_takes_the_same_number_of_queries_for_one_row_and_many() -> None:
    the = desk()
    client = signed_in(the.reviewer)
    counts = []
    for total in (1, 6):
        while Proposal.objects.count() < total:
            the.propose()
        with CaptureQueriesContext(connection) as queries:
            client.get(f"/queues/{the.queue.slug}/")
        counts.append(len(queries))
    assert counts[0] == counts[1]


def test_pulse_is_silent_until_something_happens() -> None:
    the = desk()
    first = the.propose()
    client = signed_in(the.reviewer)
    address = pulse_of(client, f"/queues/{the.queue.slug}/")
    assert client.get(address).status_code == 204
    claim.claim(proposal_id=first.pk, reviewer=the.second)
    the.propose()
    told = client.get(address).content.decode()
    assert f'id="row-{first.pk}" hx-swap-oob="true"' in told
    assert "Ravi Reviewer is on it" in told
    assert "1 more urgent or newer proposal came in" in told
    again = re.findall(r'hx-get="([^"]+)"', told)[0].replace("&amp;", "&")
    assert (
        client.get(again + "&" + address.partition("shown")[1] + address.partition("shown")[2]).status_code
        == 204
    )


def test_pulse_says_of_what_left_my_queues_only_that_it_did() -> None:
    the, other = desk(), desk()
    foreign = other.propose({"order_id": "SECRET", "amount": 1})
    client = signed_in(the.reviewer)
    told = client.get(
        f"/queues/{the.queue.slug}/pulse/?shown=nonsense&shown={foreign.pk}~pending"
    ).content.decode()
    assert "not in this list any more" in told
    assert "SECRET" not in told and told.count("row-") == 1


def test_next_claims_the_most_urgent_one_and_goes_there() -> None:
    the = desk()
    the.propose()
    urgent = the.propose({"order_id": "A-9", "amount": 1}, priority="urgent")
    client = signed_in(the.reviewer)
    response = client.post("/next/", {"queue": the.queue.slug})
    assert response["Location"] == f"/proposals/{urgent.pk}/"
    assert Claim.objects.get(ended_at=None).reviewer == the.reviewer


def test_next_with_nothing_waiting_says_so() -> None:
    the = desk()
    response = signed_in(the.reviewer).post("/next/")
    assert response.status_code == 409
    assert "Nothing is waiting for you" in response.content.decode()


def test_looking_changes_nothing() -> None:
    the = desk()
    proposal = the.propose()
    the.decide(the.propose(), Verdict.APPROVE)
    client = signed_in(the.reviewer)

    def everything() -> tuple[object, ...]:
        states = list(Proposal.objects.values_list("version", "state").order_by("id"))
        return AuditEvent.objects.count(), Claim.objects.count(), states

    before = everything()
    own = f"/proposals/{proposal.pk}/"
    verbs = ("", "edit/", "pulse/", "approve/", "reject/", "return/", "veto/", "claim/", "release/")
    for address in ("/", "/queues/", f"/queues/{the.queue.slug}/", "/next/", *(own + verb for verb in verbs)):
        assert client.get(address).status_code in (200, 302)
    assert everything() == before
