"""Select and authorise together: what happens on the other side changes nothing in what somebody is shown, so that no
count, order, page number, live message or export tells of it."""

import re
from itertools import zip_longest
from typing import Any

import pytest
from django.urls import reverse

from accounts.exceptions import NotFound
from agents.exceptions import BadCredential
from approvals import news, representation
from config import doors, streaming, waiting
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
    r"&quot;X-CSRFToken&quot;: &quot;\w*&quot;|data-(?:session|now)=\"\d+\"|\d+ (?:second|minute)s?\b|\d+ (?:s|min)\b"
)


def test_the_roles_that_are_walked_are_in_the_table() -> None:
    assert set(table.SCOPED) > {"reviewer", "~reviewer", "owner", "~owner", "reader", "~reader"}


@pytest.fixture(scope="module")
def crowd(small_world: World) -> Crowd:
    return Crowd(small_world)


def shown(crowd: Crowd, who: str, word: str) -> dict[str, str]:
    """What each list says to him, without what differs between any two requests."""
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
    changed = {place: first_difference(before[place], after[place]) for place in before}
    assert {place: told for place, told in changed.items() if told} == {}


def first_difference(one: str, other: str) -> str:
    """The first line that is not the same in both; nothing where all are."""
    lines = zip_longest(one.splitlines(), other.splitlines(), fillvalue="")
    return next((f"{before.strip()} → {after.strip()}" for before, after in lines if before != after), "")


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


@pytest.fixture
def same_connection(monkeypatch: pytest.MonkeyPatch) -> None:
    """A door begins and ends with a connection of its own thread; here the world lives in this one's transaction."""
    for door in (streaming, doors):
        monkeypatch.setattr(door, "close_old_connections", lambda: None)


@pytest.mark.parametrize("who", EVERYBODY)
@pytest.mark.usefixtures("same_connection")
def test_only_who_is_signed_in_and_active_listens(who: str, crowd: Crowd) -> None:
    listener = streaming._listener(crowd.session_of(who), ["queues", "agents"])
    assert (listener is not None) == (who in PEOPLE)
    if listener is not None:
        assert listener.person == crowd.world.people[who].pk


@pytest.mark.usefixtures("same_connection")
def test_only_its_own_agent_waits_for_a_proposal(crowd: Crowd) -> None:
    world = crowd.world

    def read(header: str) -> waiting._State:
        return waiting._read(
            waiting._Asked(world.here.pending.pk, header, "127.0.0.1", "", representation.of)
        )

    found = read(f"Bearer {world.here.the.token}")
    assert found.is_open and str(world.here.pending.pk).encode() in found.content
    with pytest.raises(NotFound):
        read(f"Bearer {world.there.the.token}")
    for header in ("", "Bearer made-up", f"Basic {world.here.the.token}"):
        with pytest.raises(BadCredential):
            read(header)


def test_an_agent_is_named_by_its_number_to_nobody_who_may_not_see_it(crowd: Crowd) -> None:
    """The page about what an event names: its address would tell the agent's name."""
    the = crowd.world.there.the
    for kind, pk in (("agent", the.agent.pk), ("mandate", the.mandate.pk)):
        where = reverse("approvals:object", args=(kind, pk))
        assert crowd.ask("reader", "GET", where).status_code == 404
        assert crowd.ask("~reader", "GET", where)["Location"] == reverse(
            "approvals:agent", args=[the.agent.slug]
        )


def test_a_queue_is_named_to_nobody_who_hands_back_what_he_may_not_see(crowd: Crowd) -> None:
    where = reverse("approvals:proposal_release", args=[crowd.world.there.pending.pk])
    assert crowd.ask("reviewer", "POST", where).status_code == 404
    assert crowd.world.there.the.queue.slug in crowd.ask("~reviewer", "POST", where)["Location"]
