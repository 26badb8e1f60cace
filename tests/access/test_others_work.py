"""Select and authorise together: what happens on the other side changes nothing in what somebody is shown, so that no
count, order, page number, live message or export tells of it."""

import re
from typing import Any

import pytest

from accounts.exceptions import NotFound
from agents import http
from agents.exceptions import BadCredential
from approvals import news
from config import streaming, waiting
from tests.access import table
from tests.access.asking import EVERYBODY, PEOPLE, Crowd
from tests.access.conftest import undone
from tests.access.world import World, propose

LISTS = (
    *("/", "/queues/", "/proposals/", "/history/", "/monitor/", "/disputes/", "/incidents/", "/reviews/"),
    *("/stops/", "/notifications/", "/probes/mine/", "/agents/", "/outcomes/unknown/", "/incidents/report/"),
    *("/proposals/?q={word}", "/proposals/?state=any&q={word}", "/history/?q={word}"),
)
CHANGING = re.compile(
    r'name="csrfmiddlewaretoken" value="[^"]*"|"X-CSRFToken": "[^"]*"|<time[^>]*>[^<]*</time>|'
    r"&quot;X-CSRFToken&quot;: &quot;\w*&quot;|\d+ (?:second|minute)s?\b|\d+ (?:s|min)\b"
)


def test_the_roles_that_are_walked_are_in_the_table() -> None:
    assert set(table.SCOPED) > {"reviewer", "~reviewer", "owner", "~owner", "reader", "~reader"}


@pytest.fixture(scope="module")
def crowd(small_world: World) -> Crowd:
    return Crowd(small_world)


def shown(crowd: Crowd, who: str, word: str) -> dict[str, str]:
    found = {}
    for place in LISTS:
        where = place.format(word=word)
        answer: Any = crowd.ask(who, "GET", where)
        found[where] = f"{answer.status_code} " + CHANGING.sub("", answer.whole.decode("utf-8", "replace"))
    return found


@pytest.mark.parametrize("who", table.SCOPED)
def test_what_happens_elsewhere_changes_nothing_here(who: str, crowd: Crowd) -> None:
    world = crowd.world
    other = world.here if who.startswith("~") else world.there
    before = shown(crowd, who, other.word)
    with undone():
        for number in range(20, 23):
            propose(other.the, other.word, number)
        after = shown(crowd, who, other.word)
    changed = {place for place, text in before.items() if after[place] != text}
    assert changed == set()


@pytest.mark.parametrize("who", table.SCOPED)
def test_live_messages_are_of_things_one_may_see(who: str, crowd: Crowd) -> None:
    """Asked for the other side's queue and proposal, and for all: the stream listens to neither."""
    world = crowd.world
    other = world.here if who.startswith("~") else world.there
    person = world.people[who]
    asked = [f"queue:{other.the.queue.slug}", f"proposal:{other.pending.pk}", "queues", "agents"]
    heard = streaming._allowed(person, asked)
    theirs = {
        news.queue_topic(other.the.queue.slug),
        news.proposal_topic(other.pending.pk),
        news.agent_topic(other.the.agent.pk),
    }
    assert set(heard) & theirs == set()


# The doors beside Django's handler


@pytest.mark.parametrize("who", EVERYBODY)
def test_only_who_is_signed_in_and_active_listens(who: str, crowd: Crowd) -> None:
    listener = streaming._listener(crowd.session_of(who), ["queues", "agents"])
    assert (listener is not None) == (who in PEOPLE)
    if listener is not None:
        assert listener.person == crowd.world.people[who].pk


def test_only_its_own_agent_waits_for_a_proposal(crowd: Crowd) -> None:
    world = crowd.world
    _, is_open, content = waiting._read(
        world.here.pending.pk, http.bearer_hash(f"Bearer {world.here.the.token}")
    )
    assert is_open and str(world.here.pending.pk).encode() in content
    with pytest.raises(NotFound):
        waiting._read(world.here.pending.pk, http.bearer_hash(f"Bearer {world.there.the.token}"))
    for header in ("", "Bearer made-up", f"Basic {world.here.the.token}"):
        with pytest.raises(BadCredential):
            waiting._read(world.here.pending.pk, http.bearer_hash(header))
