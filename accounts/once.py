"""Rights are asked about many times while a page is made; within a request that only reads, each is read once."""

from collections.abc import Callable, Iterator
from contextlib import contextmanager
from contextvars import ContextVar
from typing import Any, TypeVar

_T = TypeVar("_T")
_read: ContextVar[dict[tuple[str, object], Any] | None] = ContextVar("rights_read", default=None)


@contextmanager
def reading_once() -> Iterator[None]:
    """Within it, the same question about the same person's rights is asked of the database once.

    Only for answering a request that changes nothing: what changes something reads authority when it is used (I10)."""
    token = _read.set({})
    try:
        yield
    finally:
        _read.reset(token)


def once(question: str, about: object, answer: Callable[[], _T]) -> _T:
    """What is known by now, or what `answer` finds."""
    known = _read.get()
    if known is None:
        return answer()
    if (question, about) not in known:
        known[question, about] = answer()
    found: _T = known[question, about]
    return found
