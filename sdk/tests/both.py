"""One way to call both clients, so that each scenario is written once and run with either."""

from __future__ import annotations

import asyncio
import inspect
import threading
from collections.abc import AsyncIterator, Callable, Iterator
from typing import Any

from countersign import AsyncCountersign, Countersign, requires_approval

KINDS = ("sync", "async")


class Caller:
    """A client whose calls are plain ones: the async client's are run to their end in a loop of its own."""

    def __init__(self, kind: str, url: str, token: str, **settings: Any) -> None:
        self._loop = asyncio.new_event_loop() if kind == "async" else None
        self.client: Any = (AsyncCountersign if self._loop else Countersign)(
            url, token, **{"timeout": 60.0, **settings}
        )

    def __enter__(self) -> Caller:
        return self

    def __exit__(self, *error: object) -> None:
        self.done(self.client.close())
        if self._loop is not None:
            self._loop.close()

    def __getattr__(self, name: str) -> Callable[..., Any]:
        return lambda *args, **kwargs: self.done(getattr(self.client, name)(*args, **kwargs))

    def done(self, value: Any) -> Any:
        """What a call gives in the end; of a stream, an iterator."""
        if self._loop is None:
            return value
        if isinstance(value, AsyncIterator):
            return self._each(value)
        return self._loop.run_until_complete(value)

    def approving(self, function: Callable[..., Any], action_type: str, **terms: Any) -> Callable[..., Any]:
        """The function under `@requires_approval`, made a coroutine function for the async client."""
        if self._loop is None:
            return requires_approval(action_type, client=self.client, **terms)(function)

        async def asynchronous(*args: Any, **kwargs: Any) -> Any:
            return function(*args, **kwargs)

        asynchronous.__signature__ = inspect.signature(function)  # type: ignore[attr-defined]  # as functools.wraps does it
        asynchronous.__annotations__ = function.__annotations__
        guarded = requires_approval(action_type, client=self.client, **terms)(asynchronous)
        return lambda *args, **kwargs: self.done(guarded(*args, **kwargs))

    def _each(self, values: AsyncIterator[Any]) -> Iterator[Any]:
        assert self._loop is not None
        try:
            while True:
                try:
                    yield self._loop.run_until_complete(values.__anext__())
                except StopAsyncIteration:
                    return
        finally:
            self._loop.run_until_complete(values.aclose())  # type: ignore[attr-defined]  # a generator has it


def beside(work: Callable[[], Any]) -> Callable[[], Any]:
    """Begin the work in a thread; what is returned waits for its end and gives, or raises, what the work did."""
    found: list[Any] = []
    raised: list[BaseException] = []

    def run() -> None:
        try:
            found.append(work())
        except BaseException as error:  # noqa: BLE001  raised again where it is waited for
            raised.append(error)

    thread = threading.Thread(target=run, daemon=True)
    thread.start()

    def ended() -> Any:
        thread.join(100)
        assert not thread.is_alive(), "it did not end"
        if raised:
            raise raised[0]
        return found[0]

    return ended
