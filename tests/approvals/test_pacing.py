"""A40 over HTTP: approving faster than a person can read is stopped, and says why."""

import re
from datetime import timedelta
from html import unescape

import pytest
import time_machine
from django.test import Client
from django.utils import timezone

from accounts.models import User
from approvals.models import Notification, Proposal, Vote
from audit.models import AuditEvent
from tests.factories import ARGUMENTS, Desk, desk

pytestmark = pytest.mark.django_db


def browser(user: User) -> Client:
    client = Client()
    client.force_login(user)
    return client


def opened(client: Client, proposal: Proposal) -> str:
    found = re.search(
        r'name="opened" value="([^"]+)"', client.get(f"/proposals/{proposal.pk}/").content.decode()
    )
    assert found is not None
    return unescape(found[1])


def approve(client: Client, proposal: Proposal, token: str) -> tuple[int, str]:
    data = {"revision": 1, "version": 1, "seen": "on", "opened": token}
    answer = client.post(f"/proposals/{proposal.pk}/approve/", data)
    return answer.status_code, answer.content.decode()


def test_less_than_the_least_time_of_looking_is_stopped_and_recorded() -> None:
    the = desk(at={"view_seconds": {"medium": 5}})
    proposal = the.propose()
    client = browser(the.reviewer)
    with time_machine.travel(timezone.now(), tick=False) as clock:
        token = opened(client, proposal)
        clock.shift(timedelta(seconds=3))
        status, page = approve(client, proposal, token)
        assert status == 409 and "5 seconds" in page and "2 are left" in page
        assert Proposal.objects.get().state == "pending" and not Vote.objects.exists()
        clock.shift(timedelta(seconds=2))
        assert approve(client, proposal, token)[0] == 302
    assert Proposal.objects.get().state == "approved"
    assert AuditEvent.objects.filter(kind="reviewer.pacing_stopped").count() == 1
    assert Notification.objects.filter(kind="pacing").count() == 1


def test_the_time_cannot_be_made_up() -> None:
    the = desk(at={"view_seconds": {"medium": 5}})
    proposal, other = the.propose(), the.propose({**ARGUMENTS, "amount": 9})
    mine, second = browser(the.reviewer), browser(the.second)
    with time_machine.travel(timezone.now(), tick=False) as clock:
        of_another, of_colleague = opened(mine, other), opened(second, proposal)
        clock.shift(timedelta(seconds=60))
        for token in ("", "1", "x" * 300, of_another, of_colleague):
            assert approve(mine, proposal, token)[0] == 409
    assert Proposal.objects.get(pk=proposal.pk).state == "pending"


def test_longer_texts_take_longer() -> None:
    the = desk(at={"reading_rate": 100})
    short, long = the.propose(), the.propose(reasoning="word " * 400)
    client = browser(the.reviewer)
    with time_machine.travel(timezone.now(), tick=False) as clock:
        tokens = opened(client, short), opened(client, long)
        clock.shift(timedelta(seconds=4))
        assert approve(client, short, tokens[0])[0] == 302
        assert approve(client, long, tokens[1])[0] == 409
        clock.shift(timedelta(seconds=20))
        assert approve(client, long, tokens[1])[0] == 302


def test_rejecting_is_never_paced() -> None:
    the = desk(at={"view_seconds": {"medium": 60}})
    proposal = the.propose()
    data = {"revision": 1, "version": 1, "reason": "not_allowed"}
    assert browser(the.reviewer).post(f"/proposals/{proposal.pk}/reject/", data).status_code == 302


def _three_a_minute() -> Desk:
    return desk(at={"approvals_per_minute": 3, "undo_seconds": 10})


def test_a40_more_in_a_minute_than_the_queues_pace_is_stopped_and_admins_hear_of_it_once() -> None:
    the = _three_a_minute()
    client = browser(the.reviewer)
    proposals = [the.propose({**ARGUMENTS, "amount": number + 1}) for number in range(6)]
    with time_machine.travel(timezone.now(), tick=False) as clock:
        statuses = []
        for proposal in proposals:
            statuses.append(approve(client, proposal, opened(client, proposal))[0])
            clock.shift(timedelta(seconds=1))
        assert statuses == [302, 302, 302, 409, 409, 409]
        assert approve(browser(the.second), proposals[3], "")[0] == 302
        clock.shift(timedelta(seconds=60))
        assert approve(client, proposals[4], opened(client, proposals[4]))[0] == 302
    assert AuditEvent.objects.filter(kind="reviewer.pacing_stopped").count() == 3
    assert Notification.objects.filter(kind="pacing").count() == 1
