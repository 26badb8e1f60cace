"""A subject is the same however it is written; what differs for the eye is another."""

import pytest

from approvals import subjects


@pytest.mark.parametrize(
    "written",
    [
        "c-17",
        "C-17",
        " c-17 ",
        "c 17",
        "c\u00a017",
        "C\u201117",
        "c\u200b-17",
        "\uff43-\uff11\uff17",
        "с-17",
        "#c-17.",
        "ç-17",
    ],
    ids=ascii,
)
def test_a_subject_is_the_same_however_it_is_written(written: str) -> None:
    assert subjects.key(written) == subjects.key("c-17")


@pytest.mark.parametrize("other", ["c-18", "c-71", "d-17", "c-170", "17", "", "c-1"])
def test_another_subject_is_another(other: str) -> None:
    assert subjects.key(other) != subjects.key("c-17")


@pytest.mark.parametrize("nothing", ["", " ", "--", "\u200b", "\x00", "…"], ids=ascii)
def test_what_names_nothing_is_nobody(nothing: str) -> None:
    assert subjects.key(nothing) == ""
    assert subjects.words("customer", nothing) == ""


def test_words_are_short_and_hide_nothing() -> None:
    assert subjects.words("customer", "c-17") == "customer c-17"
    assert subjects.words("", "c-17") == "c-17"
    long = subjects.words("customer", "a" * 200)
    assert (len(long), long[-1]) == (60, "…")
    assert subjects.words("customer", "a\u202eb") == "customer a\ufffdb"
