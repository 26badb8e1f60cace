"""Readings of waiting agents, gathered: who asks while a reading is under way is read together with the next ones.

Alone, an agent is read at once. Where thousands ask in the same moments (all of them have just come, or the process is
about to stop) a reading of many costs a handful of statements instead of a handful for each of them."""

import asyncio
from collections import deque
from collections.abc import Callable, Sequence
from typing import Generic, TypeVar

from config import doors

MOST = 50
"""Together. More would keep an answer that is asked for meanwhile waiting for too long."""
AT_ONCE = 2
"""Of the threads that read (config/doors.py), so that another kind of reading finds one free."""
_A = TypeVar("_A")
_R = TypeVar("_R")


class Readings(Generic[_A, _R]):
    """What is asked for and has not been read yet. `several` reads in a reader thread; it gives a result or an error
    for each, in their order."""

    def __init__(self, several: Callable[[Sequence[_A]], Sequence[_R | Exception]]) -> None:
        self._several = several
        self._asked: deque[tuple[_A, asyncio.Future[_R]]] = deque()
        self._workers: set[asyncio.Task[None]] = set()
        self._busy = 0

    async def one(self, asked: _A) -> _R:
        """Its result, or its error raised."""
        future: asyncio.Future[_R] = asyncio.get_running_loop().create_future()
        self._asked.append((asked, future))
        if self._busy < AT_ONCE:
            self._busy += 1
            worker = asyncio.create_task(self._work())
            self._workers.add(worker)  # the loop itself holds tasks weakly
            worker.add_done_callback(self._workers.discard)
        return await future

    async def _work(self) -> None:
        try:
            await self._read_all()
        finally:
            self._busy -= 1

    async def _read_all(self) -> None:
        while self._asked:
            batch = [self._asked.popleft() for _ in range(min(MOST, len(self._asked)))]
            batch = [
                (asked, future) for asked, future in batch if not future.done()
            ]  # some have gone meanwhile
            results: Sequence[_R | Exception]
            try:
                results = await doors.read(self._several, [asked for asked, _ in batch])
            except Exception as error:  # noqa: BLE001 - whatever it is, who waits for it has to hear of it
                results = [error] * len(batch)
            for (_, future), result in zip(batch, results, strict=True):
                if future.done():
                    continue
                if isinstance(result, Exception):
                    future.set_exception(result)
                else:
                    future.set_result(result)
