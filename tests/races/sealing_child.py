"""Sealers one after the other: as soon as one is killed, the next is forked from a process that has all imported.

    python -m tests.races.sealing_child URL SEALER_DIR LOG_DIR ORIGIN

Prints the process number of each, and ends with its parent's end of standard input."""

import os
import signal
import sys
import threading
from pathlib import Path

import psycopg

from audit.sealer_files import SealerFiles
from audit.sealer_process import Process

HURRY = 0.06
"""Of the usual pauses."""


def main(url: str, sealer: Path, log: Path, origin: str) -> None:
    child = 0

    def end() -> None:
        sys.stdin.read()
        os.kill(child, signal.SIGTERM)
        os._exit(0)

    threading.Thread(target=end, daemon=True).start()
    while True:
        child = os.fork()
        if not child:
            _seal(url, sealer, log, origin)
        print(child, flush=True)
        os.waitpid(child, 0)


def _seal(url: str, sealer: Path, log: Path, origin: str) -> None:
    """One sealer, as `manage.py seal` runs it."""
    stop = threading.Event()
    signal.signal(signal.SIGTERM, lambda *_: stop.set())
    try:
        Process(
            connect=lambda: psycopg.connect(url, autocommit=True, options="-c timezone=UTC"),
            files=SealerFiles(sealer),
            log=log,
            origin=origin,
            stop=stop,
            pauses=HURRY,
        ).run()
    finally:
        os._exit(0)


if __name__ == "__main__":
    main(sys.argv[1], Path(sys.argv[2]), Path(sys.argv[3]), sys.argv[4])
