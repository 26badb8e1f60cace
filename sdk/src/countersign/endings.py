"""What an exception says of an action that was begun: that it failed, or that nobody knows. Pure.

A wrong `failed` lets somebody pay a second time; a wrong `unknown` costs a person a look. So only what surely ended by
itself is `failed`."""

from __future__ import annotations

from collections.abc import Iterator
from typing import TypeAlias

import httpx

Errors: TypeAlias = tuple[type[BaseException], ...]
_CUT_OFF: Errors = (
    TimeoutError,
    ConnectionAbortedError,
    ConnectionResetError,
    BrokenPipeError,
    httpx.ReadError,
    httpx.WriteError,
    httpx.RemoteProtocolError,
)
"""The request may have arrived, though no answer came back."""
_NAMES = ("Timeout", "TimeoutError", "TimeoutException")
"""With which other libraries' classes end, such as `requests.Timeout` and `httpx.ReadTimeout`."""


def status(error: BaseException, unsure: Errors = ()) -> str:
    """`unknown` for what stopped the run from outside (cancelled, interrupted), timed out or lost its connection, or is
    in `unsure`, also where another error was raised while that was handled (a library's own, or a second try's); else
    `failed`."""
    return "unknown" if any(_leaves_open(one, unsure) for one in _with_causes(error)) else "failed"


def said(error: BaseException) -> dict[str, str]:
    """What is reported as its result."""
    return {"error": type(error).__name__, "message": str(error)[:500]}


def _leaves_open(error: BaseException, unsure: Errors) -> bool:
    if not isinstance(error, Exception) or isinstance(error, (*_CUT_OFF, *unsure)):
        return True
    return any(kind.__name__.endswith(_NAMES) for kind in type(error).__mro__)


def _with_causes(error: BaseException) -> Iterator[BaseException]:
    """The error and what it came of, each once; of a group its members too. `raise … from None` hides what was before,
    as in a traceback."""
    seen: set[int] = set()
    waiting: list[BaseException | None] = [error]
    while waiting:
        one = waiting.pop()
        if one is None or id(one) in seen:
            continue
        seen.add(id(one))
        yield one
        waiting += [one.__cause__, None if one.__suppress_context__ else one.__context__]
        inner = getattr(one, "exceptions", ())  # ExceptionGroup, which Python 3.10 does not have
        waiting.extend(each for each in inner if isinstance(each, BaseException))
