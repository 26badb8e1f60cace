"""Saved views and a reviewer's own history over HTTP: each person's own, and nobody else's."""

import re
from datetime import timedelta
from html import unescape

import pytest
from django.db import connection
from django.test import Client
from django.test.utils import CaptureQueriesContext
from django.utils import timezone

from approvals.models import SavedView, Verdict, Vote
from approvals.services import save_view, set_up
from tests.factories import Desk, admin, desk, policy, queue

pytestmark = pytest.mark.django_db(transaction=True)


def signed_in(user: object) -> Client:
    client = Client()
    client.force_login(user)  # type: ignore[arg-type]
    return client


def keep(client: Client, name: str, query: str = "", **more: str) -> str:
    response = client.post("/views/", {"name": name, "query": query, **more})
    assert response.status_code == 302
    return str(response["Location"])


def test_a_view_keeps_the_filters_in_sight_and_leads_back_to_them() -> None:
    the = desk()
    the.propose({"order_id": "A-1", "amount": 5})
    the.propose({"order_id": "A-2", "amount": 700})
    client = signed_in(the.reviewer)
    html = unescape(client.get(f"/queues/{the.queue.slug}/?min=500&q=refund").content.decode())
    kept = re.findall(r'name="query" value="([^"]*)"', html)[0]
    assert kept == f"q=refund&queue={the.queue.slug}&min=500"
    assert keep(client, "  Big   ones ", kept) == f"/proposals/?{kept}"
    view = SavedView.objects.get()
    assert (view.owner, view.name, view.query, view.is_default) == (the.reviewer, "Big ones", kept, False)
    shown = unescape(client.get(f"/proposals/?{kept}").content.decode())
    assert "A-2" in shown and "A-1" not in shown
    assert f'href="/proposals/?{kept}" aria-current="true">Big ones</a>' in shown
    assert "Big ones" in client.get("/queues/").content.decode()


def test_only_what_is_understood_is_kept() -> None:
    the = desk()
    client = signed_in(the.reviewer)
    hostile = "min=1&risk=banana&after=0~x&javascript:alert(1)&q=%3Cscript%3E&next=https://evil.example"
    assert keep(client, "Odd", hostile) == "/proposals/?q=%3Cscript%3E&min=1"


def test_the_same_name_again_replaces_the_filters() -> None:
    the = desk()
    client = signed_in(the.reviewer)
    keep(client, "Mine", "min=1", is_default="on")
    keep(client, "Mine", "min=2")
    view = SavedView.objects.get()
    assert (view.query, view.is_default) == ("min=2", True)


def test_a_person_begins_with_his_default_view_and_may_go_back() -> None:
    the = desk()
    client = signed_in(the.reviewer)
    assert client.get("/")["Location"] == "/queues/"
    keep(client, "First", "min=1", is_default="on")
    keep(client, "Second", "min=2", is_default="on")
    assert client.get("/")["Location"] == "/proposals/?min=2"
    first = SavedView.objects.get(name="First")
    client.post(f"/views/{first.pk}/begin/")
    assert client.get("/")["Location"] == "/proposals/?min=1"
    assert signed_in(the.second).get("/")["Location"] == "/queues/"
    client.post("/views/none/begin/")
    assert client.get("/")["Location"] == "/queues/"
    assert SavedView.objects.count() == 2
    assert Client().get("/")["Location"] == "/queues/"


def test_views_of_others_are_out_of_reach() -> None:
    the = desk()
    keep(signed_in(the.second), "His own", "min=77", is_default="on")
    view = SavedView.objects.get()
    client = signed_in(the.reviewer)
    for verb in ("begin", "remove"):
        assert client.post(f"/views/{view.pk}/{verb}/").status_code == 404
    for address in ("/", "/queues/", "/proposals/", f"/queues/{the.queue.slug}/"):
        assert "His own" not in client.get(address, follow=True).content.decode()
    keep(client, "His own", "min=1")
    view.refresh_from_db()
    assert (view.query, view.is_default) == ("min=77", True)
    assert Client().post("/views/", {"name": "x"}).status_code == 302
    assert SavedView.objects.count() == 2


def test_a_get_changes_no_view() -> None:
    the = desk()
    client = signed_in(the.reviewer)
    keep(client, "Mine", "min=1")
    pk = SavedView.objects.get().pk
    for address in ("/views/", f"/views/{pk}/begin/", f"/views/{pk}/remove/", "/views/none/begin/"):
        assert client.get(address).status_code == 302
    assert SavedView.objects.filter(is_default=False).count() == 1


def test_names_and_numbers_of_views_have_limits() -> None:
    the = desk()
    client = signed_in(the.reviewer)
    keep(client, "", "min=1")
    keep(client, "x" * 81, "min=1")
    assert SavedView.objects.count() == 0
    for number in range(save_view.MOST):
        save_view.save(owner=the.reviewer, name=f"View {number}", query="", is_default=False)
    assert client.post("/views/", {"name": "One more"}).status_code == 422
    keep(client, "View 3", "min=3")
    assert SavedView.objects.count() == save_view.MOST
    keep_long = "&".join(f"agent={'a' * 70}{number}" for number in range(45))
    assert client.post("/views/", {"name": "View 3", "query": keep_long}).status_code == 422
    client.post(f"/views/{SavedView.objects.get(name='View 3').pk}/remove/")
    assert SavedView.objects.count() == save_view.MOST - 1


def verdicts(client: Client, query: str = "") -> list[str]:
    """Order and verdict of each of my decisions, as they stand on the page."""
    html = client.get(f"/history/?{query}").content.decode()
    rows = re.findall(r'<li class="line">(.*?)</li>', html, re.DOTALL)
    return [
        (re.findall(r"for order ([^<]*)</bdi>", row) or ["?"])[0]
        + " "
        + re.findall(r"badge--verdict-(\w+)", row)[0]
        for row in rows
    ]


def decided(the: Desk) -> None:
    for number, verdict in enumerate((Verdict.APPROVE, Verdict.REJECT, Verdict.RETURN, Verdict.APPROVE)):
        the.decide(the.propose({"order_id": f"A-{number}", "amount": 5}), verdict)
    the.decide(the.propose({"order_id": "A-9", "amount": 5}), Verdict.APPROVE, by=the.second)


def test_history_has_my_verdicts_newest_first_and_nobody_elses() -> None:
    the = desk()
    decided(the)
    client = signed_in(the.reviewer)
    assert verdicts(client) == ["A-3 approve", "A-2 return", "A-1 reject", "A-0 approve"]
    assert verdicts(client, "verdict=approve") == ["A-3 approve", "A-0 approve"]
    assert verdicts(client, "verdict=veto") == []
    assert verdicts(signed_in(the.second)) == ["A-9 approve"]
    html = client.get("/history/").content.decode()
    assert "Not allowed" in html and "Which order is meant?" in html
    assert Client().get("/history/").status_code == 302


def test_history_goes_by_whole_days() -> None:
    the = desk()
    decided(the)
    today = timezone.localdate()
    old = Vote.objects.get(proposal__title__contains="A-0")
    Vote.objects.filter(pk=old.pk).update(voted_at=timezone.now() - timedelta(days=3))
    client = signed_in(the.reviewer)
    assert verdicts(client, f"since={today}") == ["A-3 approve", "A-2 return", "A-1 reject"]
    assert verdicts(client, f"until={today - timedelta(days=1)}") == ["A-0 approve"]
    assert verdicts(client, f"since={today - timedelta(days=3)}&until={today}&verdict=approve") == [
        "A-3 approve",
        "A-0 approve",
    ]


@pytest.mark.parametrize("size", [1, 2, 3])
def test_history_pages_hold_where_votes_were_cast_at_once(size: int, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("approvals.views.history.PAGE", size)
    the = desk()
    decided(the)
    Vote.objects.update(voted_at=timezone.now())
    client, found, query = signed_in(the.reviewer), list[str](), "verdict=approve"
    while query:
        found += verdicts(client, query)
        html = unescape(client.get(f"/history/?{query}").content.decode())
        after = re.search(r'rel="next" href="\?([^"]+)"', html)
        query = after[1] if after else ""
    assert found == ["A-3 approve", "A-0 approve"]


def test_a_hostile_history_never_errs() -> None:
    the = desk()
    decided(the)
    client = signed_in(the.reviewer)
    for query in (
        "verdict=banana",
        "since=yesterday",
        "since=0001-01-01&until=9999-12-31",
        "since=2026-02-30",
        "since=2026-05-01&until=2026-04-01",
        "after=x",
        "after=2026-01-01T00:00:00+00:00~99999999999999999999",
        "after=2026-01-01T00:00:00~1",
        "after=0001-01-01T00:00:00+14:00~1",
        "since=%00",
        "verdict=" + "x" * 5000,
    ):
        assert client.get(f"/history/?{query}").status_code == 200, query
    assert "Choose a day of this millennium" in client.get("/history/?since=0001-01-01").content.decode()


def test_history_shows_nothing_of_what_i_may_no_longer_see() -> None:
    the = desk()
    elsewhere = queue("elsewhere")
    policy([{"name": "two", "when": "true", "review": {"quorum": 2}}], the.queue)
    proposal = the.propose({"order_id": "SECRET", "amount": 5})
    the.decide(proposal, Verdict.APPROVE)
    client = signed_in(the.reviewer)
    assert verdicts(client) == ["SECRET approve"]
    type(proposal).objects.filter(pk=proposal.pk).update(queue=elsewhere)
    assert verdicts(client) == ["? approve"]
    html = client.get("/history/").content.decode()
    assert "SECRET" not in html and the.agent.name not in html and str(proposal.pk) not in html


def test_history_takes_a_constant_number_of_queries() -> None:
    the = desk()
    client = signed_in(the.reviewer)
    client.get("/history/")  # what a process remembers from then on is not counted
    counts = []
    for total in (1, 3):
        while Vote.objects.count() < total:
            other = desk()
            set_up.assign_reviewer(queue_slug=other.queue.slug, to=the.reviewer, actor=admin())
            other.decide(other.propose(), Verdict.APPROVE, by=the.reviewer)
        with CaptureQueriesContext(connection) as queries:
            client.get("/history/")
        counts.append(len(queries))
    assert counts[0] == counts[1]


def test_history_begins_with_what_may_still_be_undone() -> None:
    the = desk()
    slow = queue("slow", undo_seconds=60)
    set_up.assign_reviewer(queue_slug=slow.slug, to=the.reviewer, actor=admin())
    policy([], slow)
    the.decide(the.propose({"order_id": "A-1", "amount": 5}), Verdict.APPROVE)
    html = signed_in(the.reviewer).get("/history/").content.decode()
    assert "Not sent yet" in html and "for order A-1" in html and "may be undone" in html
    assert "Not sent yet" not in signed_in(the.second).get("/history/").content.decode()
