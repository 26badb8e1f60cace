"""Every address by every role, as the table says; no GET writes; nothing of one side stands in the other's pages."""

import re
from collections.abc import Iterator
from typing import Any

import pytest
from django.core.cache import cache
from django.urls import get_resolver

from accounts.models import User
from tests.access import open_names, table
from tests.access.asking import (
    ADMINISTRATION,
    EVERYBODY,
    Crowd,
    expected,
    filled,
    line,
    routes,
    row_of,
    word,
)
from tests.access.sending import ABOUT, SENT, SPELLED
from tests.access.world import Side, World

METHODS = ("GET", "POST", "PUT", "PATCH", "DELETE")
ALL = list(dict.fromkeys(routes()))
BY_ROW: dict[str, list[str]] = {}
for _route in ALL:
    BY_ROW.setdefault(row_of(_route), []).append(_route)
CASES = [(row, route) for row in table.ROWS for route in BY_ROW.get(row.partition(" ")[2], [])]
TAKES_NOTHING = {"401", "403", "404", "405", "login"}
"""What an address answers to a method that has no row."""


@pytest.fixture(scope="module")
def crowd(small_world: World) -> Iterator[Crowd]:
    yield Crowd(small_world)


def address(route: str, world: World, who: str) -> str:
    for begins, spelled in SPELLED.items():
        if route.startswith(begins):
            return spelled
    about = ABOUT[route](world) if route in ABOUT else {}
    return filled(route, world, world.here, who, about)


def answers(crowd: Crowd, method: str, route: str, names: tuple[str, ...]) -> dict[str, str]:
    make = SENT.get(f"{method} {route}")
    given = {}
    for who in names:
        cache.clear()  # how often somebody has asked is what other tests are about
        sent = make(crowd.world) if make else None
        given[who] = word(crowd.ask(who, method, address(route, crowd.world, who), sent))
    return given


def test_every_address_is_in_the_table() -> None:
    named = {row.partition(" ")[2] for row in table.ROWS}
    missing = [row for row in BY_ROW if row not in named and not row.startswith("admin/*/*/")]
    assert missing == [], "say of each in tests/access/table.py who is answered what"


def test_the_table_names_no_address_that_is_gone() -> None:
    assert get_resolver().url_patterns
    gone = [row for row in table.ROWS if row.partition(" ")[2] not in BY_ROW]
    assert gone == [], "take these lines out of tests/access/table.py"


@pytest.mark.parametrize(("row", "route"), CASES, ids=[f"{row} {route}" for row, route in CASES])
def test_each_role_is_answered_as_the_table_says(row: str, route: str, crowd: Crowd) -> None:
    method = row.partition(" ")[0]
    promised = expected(table.ROWS[row], route, table.GROUPS)
    given = answers(crowd, method, route, EVERYBODY)
    wrong = {who: f"{given[who]}, not {promised[who]}" for who in EVERYBODY if given[who] != promised[who]}
    assert wrong == {}, (
        f"If every answer is what issue and design say, the line is\n{line(method, row_of(route), given)}"
    )


def test_an_address_without_a_row_takes_nothing(crowd: Crowd) -> None:
    """Somebody who may nearly everything, an agent and a reviewer find no method there that does anything."""
    missing: list[str] = []
    for row, found in BY_ROW.items():
        if row.startswith("admin/*/*/"):
            continue
        for method in METHODS:
            if f"{method} {row}" in table.ROWS or (method in ("PUT", "PATCH", "DELETE") and _is_page(row)):
                continue
            given = answers(crowd, method, found[0], ("admin", "reviewer", "agent"))
            if set(given.values()) - TAKES_NOTHING:
                whole = answers(crowd, method, found[0], EVERYBODY)
                missing.append(line(method, row, whole))
    assert missing == [], (
        "judge each answer by issue and design, then add to tests/access/table.py:\n" + "\n".join(missing)
    )


def test_the_administration_is_the_admins_alone(crowd: Crowd) -> None:
    """Whatever Django makes of each model: everybody else is led to sign in (tests/audit/test_admin.py: what it may
    change)."""
    others = ("anon", "agent", "nobody", "reviewer", "auditor")
    for route in ALL:
        if ADMINISTRATION.match(route):
            for method in ("GET", "POST"):
                given = answers(crowd, method, route, others)
                assert set(given.values()) == {"login"}, f"{method} {route}: {given}"


def _is_page(row: str) -> bool:
    """Pages are forms, which know GET and POST; other methods are tried where machines ask."""
    return not row.startswith(("api/", "v1/", "scim/", "tlog/"))


# What stands in the answers


LINKS = re.compile(r'csrfmiddlewaretoken" value="[^"]*"|X-CSRFToken[^,}]*|<time[^>]*>.*?</time>', re.DOTALL)


def pages(world: World) -> Iterator[tuple[str, str]]:
    """Every GET that has a row, about things of either side and about none."""
    for row in table.ROWS:
        method, _, name = row.partition(" ")
        for route in BY_ROW.get(name, []) if method == "GET" else []:
            if ADMINISTRATION.match(route) or any(route.startswith(one) for one in SPELLED):
                continue
            yield name, route


@pytest.mark.parametrize("who", table.SCOPED)
def test_nothing_of_the_other_side_stands_in_any_answer(who: str, crowd: Crowd) -> None:
    """Titles, arguments, summaries, names: the other side's word is in each of them, and in no page of mine."""
    world = crowd.world
    mine, other = (world.there, world.here) if who.startswith("~") else (world.here, world.there)
    leaks: dict[str, Any] = {}
    for name, route in pages(world):
        if name in open_names.OPEN_TO_ALL:
            continue
        for side in (mine, other) if "<" in route else (mine,):
            about = ABOUT[route](world) if route in ABOUT and side is world.here else {}
            where = filled(route, world, side, who, about)
            answer: Any = crowd.ask(who, "GET", where)
            text = answer.whole.decode("utf-8", "replace") + str(dict(answer.headers))
            text = without_choices(text.replace(where, ""), name, other)
            found = sorted(set(re.findall(rf"(?i)[\w-]*{other.word}[\w -]{{0,20}}", text)))
            if found:
                leaks[f"GET {where} {answer.status_code}"] = found[:5]
    assert leaks == {}, "\n".join(f"{where}: {found}" for where, found in leaks.items())


def without_choices(text: str, row: str, other: Side) -> str:
    """A page's text without the names that its choices may name (`open_names.CHOICES`)."""
    kind, _ = open_names.CHOICES.get(row, ("", ""))
    names: list[str] = []
    if kind == "people":
        known = User.objects.filter(name__startswith=other.word).values_list("name", "email")
        names = [one for pair in known for one in pair]
    elif kind == "queues":
        names = [other.the.queue.name, other.the.queue.slug]
    elif kind == "kinds":
        names = [other.the.action_type.label, other.the.action_type.name]
    for one in names:
        text = text.replace(one, "")
    return text
