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

    told: list[str] = field(default_factory=list)
    comments: int = 0
    status: int = 0
    has_ended: bool = False

    def forget(self) -> None:
        time.sleep(0.3)  # what was under way arrives
        self.told.clear()

    def hears(self, *topics: str, within: float = 3.0) -> bool:
        return until(lambda: set(topics) <= set(self.told), within)


def until(holds: Callable[[], bool], seconds: float) -> bool:
    deadline = time.monotonic() + seconds
    while time.monotonic() < deadline:
        if holds():
            return True
        time.sleep(0.02)
    return holds()


@contextmanager
def listening(url: str, cookies: dict[str, str], *watch: str) -> Iterator[Ear]:
    """A stream read by a thread until the block ends."""
    ear = Ear()
    lines: list[socket.socket] = []

    def listen() -> None:
        try:
            with httpx.stream(
                "GET", f"{url}/stream/", params={"watch": list(watch)}, cookies=cookies, timeout=30
            ) as response:
                lines.append(response.extensions["network_stream"].get_extra_info("socket"))
                ear.status = response.status_code
                for line in response.iter_lines():
                    if line.startswith("data: "):
                        ear.told += line[len("data: ") :].split(" ")
                    ear.comments += line.startswith(":")
        except httpx.HTTPError:
            pass
        ear.has_ended = True

    thread = threading.Thread(target=listen, daemon=True)
    thread.start()
    assert until(lambda: bool(ear.comments) or ear.has_ended, 10)
    try:
        yield ear
    finally:
        with suppress(OSError):
            lines[0].shutdown(socket.SHUT_RDWR)  # as a browser that goes away
        thread.join(5)


def waiting_for_redis(ear: Ear) -> Ear:
    """The first stream of a process also starts the subscription, which says so."""
    assert ear.hears(news.EVERYTHING, within=10)
    ear.forget()
    return ear


def test_a_queue_hears_of_arrival_claim_and_decision(url: str) -> None:
    the = desk()
    topic = news.queue_topic(the.queue.slug)
    with listening(url, cookie_of(the.reviewer), topic) as ear:
        waiting_for_redis(ear)
        proposal = the.propose()
        assert ear.hears(topic, within=2)
        ear.forget()
        claim.claim(proposal_id=proposal.pk, reviewer=the.second)
        assert ear.hears(topic, within=2)
        ear.forget()
        claim.release(proposal_id=proposal.pk, reviewer=the.second)
        assert ear.hears(topic, within=2)
        ear.forget()
        the.decide(proposal, Verdict.APPROVE, by=the.second)
        assert ear.hears(topic, within=2)
        ear.forget()
        claimed = the.propose()
        claim.claim(proposal_id=claimed.pk, reviewer=the.second)
        ear.forget()
        claim.claim(proposal_id=claimed.pk, reviewer=the.second)
        ear.forget()
        assert ear.told == [], "renewing a lease is no news"


def test_a_proposal_is_heard_of_by_who_may_see_it(url: str) -> None:
    the = desk()
    proposal = the.propose()
    other = desk()  # its policy takes over the domain
    foreign = other.propose()
    topics = [news.proposal_topic(proposal.pk), news.proposal_topic(foreign.pk)]
    with listening(url, cookie_of(the.reviewer), *topics) as ear:
        waiting_for_redis(ear)
        other.decide(foreign, Verdict.APPROVE)
        the.decide(proposal, Verdict.APPROVE)
        assert ear.hears(topics[0])
        ear_told = set(ear.told)
    assert ear_told == {topics[0]}


def test_a_queue_that_one_does_not_review_stays_silent(url: str) -> None:
    the, other = desk(), desk()
    topics = [news.queue_topic(other.queue.slug), news.person_topic(the.second.pk), "queue:nowhere", "*", ""]
    with listening(url, cookie_of(the.reviewer), *topics) as ear:
        waiting_for_redis(ear)
        other.propose()
        news.people_told([the.second.pk])
        news.people_told([the.reviewer.pk])
        assert ear.hears(news.person_topic(the.reviewer.pk))
        assert set(ear.told) == {news.person_topic(the.reviewer.pk)}


def test_all_queues_are_those_one_reviews(url: str) -> None:
    the, other = desk(), desk()
    with listening(url, cookie_of(the.reviewer), "queues") as ear:
        waiting_for_redis(ear)
        other.propose()
        news.queue_changed(the.queue.slug)
        assert ear.hears(news.queue_topic(the.queue.slug))
        assert set(ear.told) == {news.queue_topic(the.queue.slug)}


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
    )
    assert (answer.status_code, answer.content) == (204, b"")


def test_a_stream_is_neither_cached_nor_held_back(url: str) -> None:
    the = desk()
    with httpx.stream(
        "GET", f"{url}/stream/", cookies=cookie_of(the.reviewer), headers={"accept-encoding": "gzip"}
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
    with listening(url, cookies, news.queue_topic(the.queue.slug)) as ear:
        time.sleep(1)
        assert not ear.has_ended
        client.post("/account/logout/")
        assert until(lambda: ear.has_ended, 3)
    assert httpx.get(f"{url}/stream/", cookies=cookies).status_code == 204


def test_a_queue_taken_away_is_no_longer_heard_of(url: str, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(streaming, "RECHECK", 0.3)
    the = desk()
    with listening(url, cookie_of(the.reviewer), "queues") as ear:
        waiting_for_redis(ear)
        the.propose()
        assert ear.hears(news.queue_topic(the.queue.slug))
        set_up.assign_reviewer(queue_slug=the.queue.slug, to=the.reviewer, actor=admin(), allowed=False)
        time.sleep(1)
        ear.forget()
        the.propose()
        ear.forget()
        time.sleep(1.2)
        assert ear.told == []


def test_streams_of_one_person_are_bounded_and_given_back(url: str) -> None:
    cookies = cookie_of(person())
    many = [listening(url, cookies) for _ in range(streaming.MOST_PER_PERSON)]
    assert [one.__enter__().status for one in many] == [200] * streaming.MOST_PER_PERSON
    assert httpx.get(f"{url}/stream/", cookies=cookies).status_code == 204
    many[0].__exit__(None, None, None)

    def has_room() -> bool:
        with listening(url, cookies) as another:
            return another.status == 200

    assert until(has_room, 5)
    for one in many[1:]:
        one.__exit__(None, None, None)
    assert until(lambda: len(streaming.hub) == 0, 5)


def test_a_process_bounds_its_streams(url: str, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(streaming, "MOST_STREAMS", 1)
    the = desk()
    with listening(url, cookie_of(the.reviewer)) as ear:
        assert ear.status == 200
        assert httpx.get(f"{url}/stream/", cookies=cookie_of(the.second)).status_code == 204


def test_a_stream_ends_after_its_longest_time(url: str, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(streaming, "LONGEST", 0.5)
    monkeypatch.setattr(streaming, "HEARTBEAT", 0.2)
    with listening(url, cookie_of(person())) as ear:
        assert until(lambda: ear.has_ended, 4)
        assert ear.comments >= 2


def test_everybody_hears_and_no_more_are_invited_than_the_process_bears(
    url: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(streaming, "INVITES", 10.0)
    the = desk()
    topic = news.queue_topic(the.queue.slug)
    people = [reviewer(the.queue) for _ in range(15)]
    streams = [listening(url, cookie_of(one), topic) for one in people for _ in range(2)]
    ears = [one.__enter__() for one in streams]
    time.sleep(4)
    for ear in ears:
        ear.forget()
    begun = time.monotonic()
    the.propose()
    assert until(lambda: sum(topic in ear.told for ear in ears) >= 5, 2)
    assert all(ear.hears(topic, within=10) for ear in ears)
    took = time.monotonic() - begun
    for one in streams:
        one.__exit__(None, None, None)
    assert 1.5 < took < 6, "thirty pages at ten a second, the first ten at once"


def test_a_lost_subscription_is_made_again_and_said(url: str) -> None:
    the = desk()
    topic = news.queue_topic(the.queue.slug)
    with listening(url, cookie_of(the.reviewer), topic) as ear:
        waiting_for_redis(ear)
        server = redis.Redis.from_url(settings.REDIS_URL)
        server.flushall()
        assert server.client_kill_filter(_type="pubsub") >= 1
        assert ear.hears(news.EVERYTHING, within=10)
        ear.forget()
        the.propose()
        assert ear.hears(topic)


def test_without_redis_a_proposal_is_accepted_as_fast_and_nothing_fails(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    the = desk()
    monkeypatch.setattr(settings, "REDIS_URL", "redis://127.0.0.1:1/0")
    monkeypatch.setattr(news, "post", news.Post())
    begun = time.monotonic()
    proposal = the.propose()
    the.decide(proposal, Verdict.APPROVE)
    assert time.monotonic() - begun < 2
    proposal.refresh_from_db()
    assert proposal.state == "approved"


def test_too_many_marks_become_one_about_everything(monkeypatch: pytest.MonkeyPatch) -> None:
    post = news.Post()
    monkeypatch.setattr(post, "_run", lambda: None)
    post.mark(f"proposal:{number}" for number in range(news.MOST + 1))
    assert post._dirty == {news.EVERYTHING}


def test_a_change_that_is_rolled_back_is_no_news(url: str) -> None:
    the = desk()
    with listening(url, cookie_of(the.reviewer), "queues") as ear:
        waiting_for_redis(ear)
        with pytest.raises(ZeroDivisionError), transaction.atomic():
            news.queue_changed(the.queue.slug)
            raise ZeroDivisionError
        ear.forget()
        assert ear.told == []


def test_a_stopping_server_lets_pages_go() -> None:
    with serving() as address:
        stream = listening(address, cookie_of(person()), "queues")
        ear = stream.__enter__()
        begun = time.monotonic()
    took = time.monotonic() - begun
    assert until(lambda: ear.has_ended, 1)
    stream.__exit__(None, None, None)
    assert took < 4, "uvicorn's own grace would be five seconds"
