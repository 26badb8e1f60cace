"""How much activity is recorded at once in one process, so that telling never stands in the way of asking.

A web process has few threads (config/bridge.py). Proposals, grants and outcomes share them with what agents tell; of
that at most `AT_ONCE` requests are worked on, and the next is told to come back: exporters do so by themselves."""

from collections.abc import Iterator
from contextlib import contextmanager
from threading import BoundedSemaphore

from agents.exceptions import TooManyAtOnce

AT_ONCE = 2
RETRY_AFTER = 1
"""Seconds."""
_places = BoundedSemaphore(AT_ONCE)


@contextmanager
def beside_proposals() -> Iterator[None]:
    """Raises `TooManyAtOnce` where no place is free."""
    if not _places.acquire(blocking=False):
        raise TooManyAtOnce(
            f"Send the same again in {RETRY_AFTER} s: other activity is being recorded.",
            retry_after=RETRY_AFTER,
        )
    try:
        yield
    finally:
        _places.release()
