"""What the supervisor and the doctor say: a line per step, with colour and a second thought only on a terminal."""

import os
import sys
import time
from collections.abc import Iterator
from contextlib import contextmanager

_STYLES = {"green": "32", "red": "31", "yellow": "33", "bold": "1", "dim": "2"}


def _styled(text: str, style: str) -> str:
    return f"\033[{_STYLES[style]}m{text}\033[0m" if is_colourful() else text


def is_terminal() -> bool:
    return sys.stdout.isatty()


def is_colourful() -> bool:
    return is_terminal() and "NO_COLOR" not in os.environ and os.environ.get("TERM") != "dumb"


def good(text: str) -> None:
    print(f"{_styled('✓', 'green')} {text}", flush=True)


def bad(text: str) -> None:
    print(f"{_styled('✗', 'red')} {text}", file=sys.stderr, flush=True)


def notice(text: str) -> None:
    print(f"{_styled('!', 'yellow')} {text}", flush=True)


def headline(text: str) -> None:
    print(_styled(text, "bold"), flush=True)


@contextmanager
def step(text: str) -> Iterator[None]:
    """Say what is being done, and on success how long it took; a terminal keeps one line for both."""
    started = time.monotonic()
    if is_terminal():
        print(f"{_styled('·', 'dim')} {text} …", end="", flush=True)
    try:
        yield
    except BaseException:
        if is_terminal():
            print(flush=True)
        raise
    seconds = f"{time.monotonic() - started:.1f} s"
    if is_terminal():
        print("\r\033[K", end="")
    good(f"{text} {_styled(seconds, 'dim')}")
