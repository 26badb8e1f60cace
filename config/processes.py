"""Facts about operating-system processes, shared by the embedded services and the supervisor."""

import ctypes
import os
import signal
import sys
import time
from collections.abc import Callable, Sequence
from contextlib import suppress
from pathlib import Path

import psutil

_PR_SET_PDEATHSIG = 1
_LIBC = ctypes.CDLL(None) if sys.platform == "linux" else None


def alive(pid: int, *, created: float | None = None) -> bool:
    """Whether the process runs; a zombie does not, nor does a later process that was given the same pid."""
    try:
        process = psutil.Process(pid)
        if created is not None and abs(process.create_time() - created) > 1:
            return False
        return bool(process.status() != psutil.STATUS_ZOMBIE)
    except psutil.NoSuchProcess:
        return False


def created_at(pid: int) -> float | None:
    """Seconds since the epoch, which together with the pid names one process for good; None when it is gone."""
    try:
        return float(psutil.Process(pid).create_time())
    except psutil.NoSuchProcess:
        return None


def working_directory(pid: int) -> Path | None:
    """None when the process is gone or belongs to somebody whose processes we may not look into."""
    try:
        return Path(psutil.Process(pid).cwd())
    except psutil.Error:
        return None


def stop(pid: int, escalation: Sequence[tuple[signal.Signals, float]]) -> None:
    """Send each signal and wait its number of seconds, until the process is gone.

    A process whose parent does not collect it (the first one of a container often does not) stays a zombie for long;
    for us it is gone.
    """
    created = created_at(pid)
    if created is None:
        return
    for number, seconds in escalation:
        deadline = time.monotonic() + seconds
        with suppress(psutil.Error):
            psutil.Process(pid).send_signal(number)
        while time.monotonic() < deadline:
            if not alive(pid, created=created):
                return
            time.sleep(0.01)


def die_with_parent(number: signal.Signals) -> Callable[[], None] | None:
    """A `preexec_fn` by which Linux sends the child `number` when its parent ends, however that happens.

    Elsewhere there is no such thing: what a killed supervisor leaves behind is ended by the next start.
    The kernel watches the thread that forked, so children have to be started from the main thread.
    """
    if _LIBC is None:
        return None
    libc, parent = _LIBC, os.getpid()

    def arm() -> None:
        libc.prctl(_PR_SET_PDEATHSIG, int(number), 0, 0, 0)
        if os.getppid() != parent:
            os._exit(1)

    return arm
