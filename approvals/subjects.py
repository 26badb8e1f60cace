"""Whom or what an action is about, as limits compare it. Pure.

The subject is the agent's own word. Written in another case, with other spaces, hyphens or look-alike letters it is
the same subject, whatever kind it says it is of: two that are told apart wrongly would let a large action be split,
two that are taken for one cost a person a look."""

import unicodedata

from approvals.reading import lookalikes

MOST = 200
_SHOWN = 60


def key(subject_id: str) -> str:
    """What is compared; empty where nothing is named, which limits take for anybody.

    What separates goes before look-alikes are sought: `c-17` and `c17` must not differ by a letter that only the
    neighbours `c1` make."""
    plain = unicodedata.normalize("NFKD", subject_id.casefold())
    return _letters(lookalikes.skeleton(_letters(plain, kept="|")))[:MOST]


def _letters(text: str, kept: str = "") -> str:
    return "".join(character for character in text if character.isalnum() or character in kept)


def words(subject_type: str, subject_id: str) -> str:
    """`customer c-17`, shortened and without what cannot be seen, to stand in a sentence; empty where none is named."""
    text = " ".join(f"{subject_type} {subject_id}".split()) if key(subject_id) else ""
    text = "".join(
        character if character.isprintable() else "\N{REPLACEMENT CHARACTER}" for character in text
    )
    return text if len(text) <= _SHOWN else f"{text[: _SHOWN - 1]}…"
