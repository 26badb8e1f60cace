"""News for open pages over a real port: told what one may know of, told soon, and nothing lost when Redis is."""

import socket
import threading
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager, suppress
from dataclasses import dataclass, field

import httpx
import pytest
import redis
from django.conf import settings
from django.db import transaction
from django.test import Client

from accounts.models import User
from approvals import news
from approvals.models import Verdict
from approvals.services import claim, set_up
from config import streaming
from tests.factories import admin, desk, person, reviewer
from tests.live import serving

pytestmark = pytest.mark.django_db(transaction=True)


@pytest.fixture
def url() -> Iterator[str]:
    with serving() as address:
        yield address


def cookie_of(user: User) -> dict[str, str]:
    client = Client()
    client.force_login(user)
    return {"sessionid": client.cookies["sessionid"].value}


@dataclass
class Ear:
    """An open stream and the topics it has been told of."""

    person: int = 0
    told: list[str] = field(default_factory=list)
    comments: int = 0
    status: int = 0
    has_ended: bool = False
    was_cut: bool = False

    def hears(self, *topics: str) -> bool:
        return until(lambda: set(topics) <= set(self.told))

    def heard(self) -> set[str]:
        """What it has been told of since this was asked last, up to a hint that its person is sent now; that nothing
        more is under way needs no pause to be known."""
        marker = news.person_topic(self.person)
        deadline = time.monotonic() + PATIENCE
        while marker not in self.told:
            assert time.monotonic() < deadline, "the stream is silent"
            news.people_told([self.person])
            until(lambda: marker in self.told, 3)
        found = set(self.told) - {marker}
        self.told.clear()
        return found


PATIENCE = 30.0
"""Seconds: a busy machine is slow, and a page that heard nothing would look by itself only after half a minute."""


def until(holds: Callable[[], bool], seconds: float = PATIENCE) -> bool:
    deadline = time.monotonic() + seconds
    while time.monotonic() < deadline:
        if holds():
            return True
        time.sleep(0.02)
    return holds()


@contextmanager
def listening(url: str, user: User, *watch: str, cookies: dict[str, str] | None = None) -> Iterator[Ear]:
    """A stream of this person, read by a thread until the block ends."""
    ear = Ear(person=user.pk)
    cookies = cookies or cookie_of(user)
    lines: list[socket.socket] = []

    def listen() -> None:
        try:
            with httpx.stream(
                "GET", f"{url}/stream/", params={"watch": list(watch)}, cookies=cookies, timeout=60
            ) as response:
                lines.append(response.extensions["network_stream"].get_extra_info("socket"))
                ear.status = response.status_code
                for line in response.iter_lines():
                    if line.startswith("data: "):
                        ear.told += line[len("data: ") :].split(" ")
                    ear.comments += line.startswith(":")
        except httpx.HTTPError:
            ear.was_cut = True
        ear.has_ended = True

    thread = threading.Thread(target=listen, daemon=True)
    thread.start()
    assert until(lambda: bool(ear.comments) or ear.has_ended)
    try:
        yield ear
    finally:
        with suppress(OSError):
            lines[0].shutdown(socket.SHUT_RDWR)  # as a browser that goes away
        thread.join(5)


@pytest.fixture(autouse=True)
def patient_news(monkeypatch: pytest.MonkeyPatch) -> None:
    """A busy machine's Redis may take longer than the second for which news wait for it before they are dropped."""
    monkeypatch.setattr(news, "AWAY", 15.0)
    monkeypatch.setattr(news.post, "_client", None)


def test_a_queue_hears_of_arrival_claim_and_decision(url: str) -> None:
    the = desk()
    topic = news.queue_topic(the.queue.slug)
    with listening(url, the.reviewer, topic) as ear:
        ear.heard()
        proposal = the.propose()
        assert ear.heard() == {topic}
        claim.claim(proposal_id=proposal.pk, reviewer=the.second)
        assert ear.heard() == {topic}
        claim.claim(proposal_id=proposal.pk, reviewer=the.second)
        assert ear.heard() == set(), "renewing a lease is no news"
        claim.release(proposal_id=proposal.pk, reviewer=the.second)
        assert ear.heard() == {topic}
        the.decide(proposal, Verdict.APPROVE, by=the.second)
        assert ear.heard() == {topic}


def test_a_proposal_is_heard_of_by_who_may_see_it(url: str) -> None:
    the = desk()
    proposal = the.propose()
    other = desk()  # its policy takes over the domain
    foreign = other.propose()
    topics = [news.proposal_topic(proposal.pk), news.proposal_topic(foreign.pk)]
    with listening(url, the.reviewer, *topics) as ear:
        ear.heard()
        other.decide(foreign, Verdict.APPROVE)
        the.decide(proposal, Verdict.APPROVE)
        assert ear.heard() == {topics[0]}


def test_a_queue_that_one_does_not_review_stays_silent(url: str) -> None:
    the, other = desk(), desk()
    topics = [news.queue_topic(other.queue.slug), news.person_topic(the.second.pk), "queue:nowhere", "*", ""]
    with listening(url, the.reviewer, *topics) as ear:
        ear.heard()
        other.propose()
        news.people_told([the.second.pk])
        assert ear.heard() == set()
        news.people_told([the.reviewer.pk])
        assert ear.hears(news.person_topic(the.reviewer.pk))


def test_all_queues_are_those_one_reviews(url: str) -> None:
    the, other = desk(), desk()
    with listening(url, the.reviewer, "queues") as ear:
        ear.heard()
        other.propose()
        news.queue_changed(the.queue.slug)
        assert ear.heard() == {news.queue_topic(the.queue.slug)}


@pytest.mark.parametrize("who", ["guest", "invented", "other_site"])
def test_nobody_else_gets_a_stream(url: str, who: str) -> None:
    the = desk()
    cookies = {"guest": {}, "invented": {"sessionid": "x" * 32}}.get(who) or cookie_of(the.reviewer)
    headers = {"sec-fetch-site": "cross-site"} if who == "other_site" else {}
    answer = httpx.get(
        f"{url}/stream/",
        params={"watch": news.queue_topic(the.queue.slug)},
        cookies={} if who == "guest" else cookies,
        headers=headers,
        timeout=PATIENCE,
    )
    assert (answer.status_code, answer.content) == (204, b"")


def test_a_stream_is_neither_cached_nor_held_back(url: str) -> None:
    the = desk()
    with httpx.stream(
        "GET",
        f"{url}/stream/",
        cookies=cookie_of(the.reviewer),
        headers={"accept-encoding": "gzip"},
        timeout=PATIENCE,
    ) as response:
        assert response.headers["content-type"] == "text/event-stream; charset=utf-8"
        assert response.headers["cache-control"] == "no-store, no-transform"
        assert response.headers["x-accel-buffering"] == "no"
        assert "content-encoding" not in response.headers
        assert next(response.iter_text()) == ": here\n\n"


def test_a_stream_ends_after_sign_out(url: str, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(streaming, "RECHECK", 0.3)
    the = desk()
    client = Client()
    client.force_login(the.reviewer)
    cookies = {"sessionid": client.cookies["sessionid"].value}
    with listening(url, the.reviewer, news.queue_topic(the.queue.slug), cookies=cookies) as ear:
        time.sleep(1)
        assert not ear.has_ended
        client.post("/account/logout/")
        assert until(lambda: ear.has_ended)
    assert httpx.get(f"{url}/stream/", cookies=cookies, timeout=PATIENCE).status_code == 204


def test_a_queue_taken_away_is_no_longer_heard_of(url: str, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(streaming, "RECHECK", 0.3)
    the = desk()
    topic = news.queue_topic(the.queue.slug)
    with listening(url, the.reviewer, "queues") as ear:
        ear.heard()
        the.propose()
        assert ear.heard() == {topic}
        set_up.assign_reviewer(queue_slug=the.queue.slug, to=the.reviewer, actor=admin(), allowed=False)
        assert until(lambda: topic not in streaming.hub._by_topic)
        ear.heard()
        the.propose()
        assert ear.heard() == set()


def test_streams_of_one_person_are_bounded_and_given_back(url: str) -> None:
    user = person()
    cookies = cookie_of(user)
    many = [listening(url, user) for _ in range(streaming.MOST_PER_PERSON)]
    assert [one.__enter__().status for one in many] == [200] * streaming.MOST_PER_PERSON
    assert httpx.get(f"{url}/stream/", cookies=cookies, timeout=PATIENCE).status_code == 204
    many[0].__exit__(None, None, None)

    def has_room() -> bool:
        with listening(url, user) as another:
            return another.status == 200

    assert until(has_room)
    for one in many[1:]:
        one.__exit__(None, None, None)
    assert until(lambda: len(streaming.hub) == 0)


def test_a_process_bounds_its_streams(url: str, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(streaming, "MOST_STREAMS", 1)
    the = desk()
    with listening(url, the.reviewer) as ear:
        assert ear.status == 200
        assert httpx.get(f"{url}/stream/", cookies=cookie_of(the.second), timeout=PATIENCE).status_code == 204


def test_a_stream_ends_after_its_longest_time(url: str, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(streaming, "LONGEST", 3.0)
    monkeypatch.setattr(streaming, "HEARTBEAT", 0.2)
    with listening(url, person()) as ear:
        assert until(lambda: ear.has_ended)
        assert ear.comments >= 2


def test_everybody_hears_and_no_more_are_invited_than_the_process_bears(
    url: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(streaming, "INVITES", 10.0)
    the = desk()
    topic = news.queue_topic(the.queue.slug)
    people = [reviewer(the.queue) for _ in range(15)]
    streams = [listening(url, one, topic) for one in people for _ in range(2)]
    ears = [one.__enter__() for one in streams]
    for ear in ears:
        ear.heard()
    begun = time.monotonic()
    the.propose()
    assert until(lambda: sum(topic in ear.told for ear in ears) >= 5)
    assert all(ear.hears(topic) for ear in ears)
    took = time.monotonic() - begun
    for one in streams:
        one.__exit__(None, None, None)
    assert took > 1.5, "thirty pages at ten a second, the first ten at once"


def test_a_lost_subscription_is_made_again_and_said(url: str) -> None:
    the = desk()
    topic = news.queue_topic(the.queue.slug)
    with listening(url, the.reviewer, topic) as ear:
        ear.heard()
        server = redis.Redis.from_url(settings.REDIS_URL)
        server.flushdb()
        database = str(
            server.connection_pool.connection_kwargs["db"]
        )  # other test processes listen at others
        mine = [each["id"] for each in server.client_list(_type="pubsub") if each["db"] == database]
        assert [server.client_kill_filter(_id=each) for each in mine] == [1]
        assert ear.hears(news.EVERYTHING)
        ear.heard()
        the.propose()
        assert ear.heard() == {topic}


def test_a_redis_that_hangs_keeps_nobody_waiting(monkeypatch: pytest.MonkeyPatch) -> None:
    is_back = threading.Event()
    post = news.Post()
    monkeypatch.setattr(post, "_publish", lambda topics: is_back.wait(PATIENCE))
    monkeypatch.setattr(news, "post", post)
    the = desk()
    begun = time.monotonic()
    proposal = the.propose()
    the.decide(proposal, Verdict.APPROVE)
    assert time.monotonic() - begun < PATIENCE
    is_back.set()
    proposal.refresh_from_db()
    assert proposal.state == "approved"


def test_without_redis_a_proposal_is_accepted_and_nothing_fails(monkeypatch: pytest.MonkeyPatch) -> None:
    the = desk()
    monkeypatch.setattr(settings, "REDIS_URL", "redis://127.0.0.1:1/0")
    monkeypatch.setattr(news, "post", news.Post())
    proposal = the.propose()
    the.decide(proposal, Verdict.APPROVE)
    proposal.refresh_from_db()
    assert proposal.state == "approved"


def test_too_many_marks_become_one_about_everything(monkeypatch: pytest.MonkeyPatch) -> None:
    post = news.Post()
    monkeypatch.setattr(post, "_run", lambda: None)
    post.mark(f"proposal:{number}" for number in range(news.MOST + 1))
    assert post._dirty == {news.EVERYTHING}


def test_a_change_that_is_rolled_back_is_no_news(url: str) -> None:
    the = desk()
    with listening(url, the.reviewer, "queues") as ear:
        ear.heard()
        with pytest.raises(ZeroDivisionError), transaction.atomic():
            news.queue_changed(the.queue.slug)
            raise ZeroDivisionError
        assert ear.heard() == set()


def test_a_stopping_server_lets_pages_go() -> None:
    with serving() as address:
        stream = listening(address, person(), "queues")
        ear = stream.__enter__()
    assert until(lambda: ear.has_ended)
    stream.__exit__(None, None, None)
    assert not ear.was_cut, "it has ended as an answer ends, before uvicorn's grace was over"
