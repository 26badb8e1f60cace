"""What an exception says of an action that was begun: a table, with what other libraries raise in it."""

import asyncio

import httpx
import pytest

from countersign import endings


class Timeout(OSError):
    """As `requests` has it, which this package does not need."""


class ReadTimeout(Timeout):
    """No answer in time."""


class ProviderError(Exception):
    """A payment provider's library wraps whatever happened."""


class Declined(ProviderError):
    """It has answered: no."""


def caused(error: Exception, by: BaseException) -> Exception:
    error.__cause__ = by
    return error


def within(error: Exception, before: BaseException) -> Exception:
    """Raised while the other was handled."""
    error.__context__ = before
    return error


def settled(error: Exception) -> Exception:
    """Raised `from None`."""
    error.__suppress_context__ = True
    return error


OPEN = {
    "cancelled": asyncio.CancelledError(),
    "interrupted": KeyboardInterrupt(),
    "exit": SystemExit(1),
    "timeout": TimeoutError(),
    "httpx timeout": httpx.ReadTimeout("late"),
    "httpx cut off": httpx.RemoteProtocolError("closed"),
    "requests timeout": ReadTimeout("late"),
    "reset": ConnectionResetError(),
    "wrapped": caused(ProviderError("no answer"), httpx.ReadTimeout("late")),
    "wrapped twice": caused(ProviderError(""), caused(RuntimeError(""), BrokenPipeError())),
    "wrapped without a word": within(ProviderError("no answer"), ConnectionResetError()),
    "a second try failed": within(ValueError("no such order"), TimeoutError()),
}
CLOSED = {
    "value": ValueError("no such order"),
    "declined": Declined("insufficient funds"),
    "refused": ConnectionRefusedError(),
    "httpx never connected": httpx.ConnectError("nobody there"),
    "httpx answered": httpx.HTTPStatusError(
        "409", request=httpx.Request("POST", "http://a"), response=httpx.Response(409)
    ),
    "a timeout that was settled": settled(within(ValueError("it was not booked"), TimeoutError())),
}


@pytest.mark.parametrize("name", OPEN)
def test_what_leaves_it_open_is_unknown(name: str) -> None:
    assert endings.status(OPEN[name]) == "unknown"


@pytest.mark.parametrize("name", CLOSED)
def test_what_ended_by_itself_has_failed(name: str) -> None:
    assert endings.status(CLOSED[name]) == "failed"


def test_the_caller_knows_of_more() -> None:
    assert endings.status(Declined("?"), (ProviderError,)) == "unknown"
    assert endings.status(caused(RuntimeError(), Declined("?")), (Declined,)) == "unknown"
    assert endings.status(ValueError(), (ProviderError,)) == "failed"


def test_a_circle_of_causes_ends() -> None:
    one, other = RuntimeError("a"), RuntimeError("b")
    one.__cause__, other.__cause__ = other, one
    assert endings.status(one) == "failed"


def test_a_group_is_as_open_as_one_of_its_members() -> None:
    class Group(Exception):
        exceptions = (ValueError(), TimeoutError())

    assert endings.status(Group()) == "unknown"


def test_what_is_reported_is_short() -> None:
    assert endings.said(ValueError("x" * 600)) == {"error": "ValueError", "message": "x" * 500}
