"""Turns of a web process's threads: round and round among those who ask, none of them with all of the threads."""

import asyncio
import threading
from typing import Any

import pytest

from config import bridge
from config.bridge import CALLER, Bridge, Turns


def test_nobody_gets_the_last_thread_and_everybody_gets_a_turn() -> None:
    async def play() -> list[str]:
        turns, order = Turns(4, 3), []

        async def one(party: str) -> None:
            await turns.take(party)
            order.append(party)

        flood = [asyncio.create_task(one("flood")) for _ in range(10)]
        await asyncio.sleep(0)
        assert order == ["flood"] * 3, "the fourth thread stays free for others"
        other = [asyncio.create_task(one("other")) for _ in range(2)]
        await asyncio.sleep(0)
        assert order[3:] == ["other"]
        for _ in range(3):
            turns.give_back("flood")
            await asyncio.sleep(0)
        assert order[4:6].count("other") == 1, "who waits less long is not behind all of a flood"
        for task in (*flood, *other):
            task.cancel()
        return order

    asyncio.run(play())


def test_an_agent_works_on_one_at_a_time_while_others_are_about() -> None:
    now = [0.0]

    async def play() -> None:
        turns, begun = Turns(4, 3, lambda: now[0]), []

        async def one(party: str) -> None:
            await turns.take(party)
            begun.append(party)

        await one("agent:1")
        await one("agent:2")
        flood = [asyncio.create_task(one("agent:1")) for _ in range(3)]
        people = [asyncio.create_task(one("person:1")) for _ in range(2)]
        await asyncio.sleep(0)
        assert begun == ["agent:1", "agent:2", "person:1", "person:1"]
        for party in ("agent:2", "person:1", "person:1"):
            turns.give_back(party)
        await asyncio.sleep(0)
        assert begun.count("agent:1") == 1, "the others are still about"
        now[0] = 60.0
        turns.give_back("agent:1")
        await asyncio.sleep(0)
        assert begun.count("agent:1") == 4, "alone again, it has the threads it may have"
        await asyncio.gather(*flood, *people)

    asyncio.run(play())


def test_who_leaves_the_line_takes_no_place_along() -> None:
    async def play() -> None:
        turns = Turns(1, 1)
        await turns.take("a")
        waiting = [asyncio.create_task(turns.take(party)) for party in ("b", "c")]
        await asyncio.sleep(0)
        waiting[0].cancel()
        await asyncio.gather(waiting[0], return_exceptions=True)
        turns.give_back("a")
        await asyncio.wait_for(waiting[1], 30)
        turns.give_back("c")
        await asyncio.wait_for(turns.take("d"), 30)

    asyncio.run(play())


def test_a_place_given_to_somebody_who_has_just_left_is_given_back() -> None:
    async def play() -> None:
        turns = Turns(1, 1)
        await turns.take("a")
        gone = asyncio.create_task(turns.take("b"))
        await asyncio.sleep(0)
        turns.give_back("a")
        gone.cancel()
        await asyncio.gather(gone, return_exceptions=True)
        await asyncio.wait_for(turns.take("c"), 30)

    asyncio.run(play())


def _scope(token: str, address: str = "192.0.2.1") -> dict[str, Any]:
    return {
        "type": "http",
        "method": "GET",
        "path": "/",
        "query_string": b"",
        "http_version": "1.1",
        "client": (address, 1),
        "headers": [(b"authorization", token.encode())],
    }


class Browser:
    """One request's two ends."""

    def __init__(self) -> None:
        self.status = 0

    async def receive(self) -> dict[str, Any]:
        return {"type": "http.request", "body": b""}

    async def send(self, message: dict[str, Any]) -> None:
        self.status = message.get("status", self.status)


def test_all_credentials_of_one_agent_share_its_turns(monkeypatch: pytest.MonkeyPatch) -> None:
    """Known from its last answer: two tokens of one agent hold three threads, and another agent gets the fourth."""
    monkeypatch.setattr(bridge, "MOST_WAITING", 2)
    release, busy, most = threading.Event(), threading.Semaphore(0), []
    at_work: list[str] = []

    def application(environ: dict[str, Any], start: Any) -> list[bytes]:
        agent = environ["HTTP_AUTHORIZATION"].partition("-")[0]
        environ[CALLER] = agent
        at_work.append(agent)
        most.append(at_work.count("flood"))
        busy.release()
        release.wait(60)
        at_work.remove(agent)
        start("200 OK", [("Content-Length", "0")])
        return [b""]

    async def play() -> list[int]:
        the = Bridge(application)
        release.set()
        for token in ("flood-1", "flood-2", "other-1"):
            await the(_scope(token), Browser().receive, Browser().send)
        release.clear()
        most.clear()
        browsers = [Browser() for _ in range(7)]
        tokens = ["flood-1", "flood-2"] * 3
        tasks = []
        for token, browser in zip([*tokens, "other-1"], browsers, strict=True):
            tasks.append(asyncio.create_task(the(_scope(token), browser.receive, browser.send)))
            await asyncio.sleep(0)
        loop = asyncio.get_running_loop()
        for _ in range(3 + 4):
            await loop.run_in_executor(None, busy.acquire, True, 60)
        assert sorted(at_work) == ["flood", "flood", "flood", "other"]
        release.set()
        await asyncio.gather(*tasks)
        the.close()
        return [browser.status for browser in browsers]

    statuses = asyncio.run(play())
    assert max(most) == 3
    assert statuses.count(429) == 1 and statuses.count(200) == 6, (
        "the next one in a full line is told to come back"
    )
