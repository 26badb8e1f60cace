"""Keys of one's own: what may be a key, what clashes, what is stored and what an older choice becomes."""

import re
from pathlib import Path

import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from accounts import shortcuts
from accounts.shortcuts import ACTIONS, USUAL
from approvals.forms.blind import KEYS


def test_every_action_has_a_usual_key_of_its_own() -> None:
    assert len(USUAL) == len(ACTIONS)
    assert shortcuts.faults(USUAL) == {}


@pytest.mark.parametrize("key", ["a", "7", "ä", "ф", "א", "/", "@", "-", "€", "+"])
def test_one_visible_character_is_a_key(key: str) -> None:
    assert shortcuts.is_key(key)


@pytest.mark.parametrize("key", ["", "ab", " ", "A", "\n", "\u00a0", "\u200b", "\u0301", "\u202e", "\x00"])
def test_anything_else_is_none(key: str) -> None:
    assert not shortcuts.is_key(key)


def test_a_key_taken_twice_is_refused_where_it_comes_second() -> None:
    found = shortcuts.faults({**USUAL, "r": "a"})
    assert found == {"r": "“a” is taken: approve exactly what is shown."}


def test_two_keys_may_change_places() -> None:
    assert shortcuts.faults({**USUAL, "a": "r", "r": "a"}) == {}


@pytest.mark.parametrize(
    ("stored", "approve"),
    [
        ({}, "a"),
        ({"key_map": {"a": "y"}}, "y"),
        ({"key_map": {"a": "y", "gone": "w"}}, "y"),
        ({"key_map": {"a": "n"}}, "a"),  # clashes with what is usual for another action
        ({"key_map": {"a": 7}}, "a"),
        ({"key_map": "nonsense"}, "a"),
    ],
)
def test_what_is_stored_becomes_a_complete_map(stored: dict[str, object], approve: str) -> None:
    chosen = shortcuts.key_map(stored)
    assert chosen.keys() == USUAL.keys()
    assert chosen["a"] == approve


@settings(
    deadline=None, suppress_health_check=[HealthCheck.too_slow]
)  # the first draw is slow on a busy machine
@given(st.dictionaries(st.sampled_from(sorted(USUAL)), st.sampled_from([*USUAL, "ä", "1", "A", "", "ab"])))
def test_no_stored_choice_ever_makes_two_actions_share_a_key(stored: dict[str, str]) -> None:
    chosen = shortcuts.key_map({"key_map": stored})
    assert len(set(chosen.values())) == len(USUAL)
    assert all(shortcuts.is_key(key) for key in chosen.values())
    assert shortcuts.key_map({"key_map": shortcuts.different(chosen)}) == chosen


@pytest.mark.parametrize(("stored", "way"), [({}, "on"), ({"keys": "alt"}, "alt"), ({"keys": 1}, "on")])
def test_the_way_keys_act_is_one_of_three(stored: dict[str, object], way: str) -> None:
    assert shortcuts.way(stored) == way


TEMPLATES = Path(__file__).resolve().parent.parent.parent / "templates"


def test_pages_mark_only_actions_that_a_person_can_give_another_key() -> None:
    pages = {path: path.read_text() for path in TEMPLATES.rglob("*.html")}
    marked = {key for text in pages.values() for key in re.findall(r'data-key="([^"{]*)"', text)}
    assert marked <= USUAL.keys()
    assert {"a", "e", "r", "q", "n", "s", "g", "v", "m", "z", "/"} <= marked
    assert set(KEYS.values()) <= USUAL.keys(), "the answers of a review after the fact are numbered"
    fixed = [path.name for path, text in pages.items() if re.search(r'<kbd class="key key--hint">[^{]', text)]
    assert fixed == [], "a hint shows the person's own key: {% hint %}"
