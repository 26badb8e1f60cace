"""The sealer as a process: one leader at a time, a second one that waits, and what it says of itself.

Who leads holds the lock in the sealer's directory (so two processes never write the same files) and a session lock in
PostgreSQL (so two directories never seal the same events). Both end with the process, however it ends. A leader that
cannot go on says so in the database, steps aside for a while and tries again. No Django in here."""

import logging
import threading
import time
from collections.abc import Callable
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import psycopg

from audit.sealer_database import Database
from audit.sealer_files import Refused, SealerFiles
from audit.sealing import BATCH, Sealer
from audit.tlog.folder import Damaged
from audit.tlog.leaves import BadLeaf

log = logging.getLogger(__name__)

POLL = 0.5
"""Seconds between two looks for new events."""
PAUSE = 1.0
"""Seconds after a batch that was not full: so many checkpoints a second at most while little happens."""
ASIDE = 2.0
"""Seconds that a leader with a problem leaves the locks to others."""
SAY_EVERY = 3.0
BESIDE_EVERY = 5.0

Connect = Callable[[], psycopg.Connection[Any]]


@dataclass
class Process:
    """`beside` is called every few seconds in a thread of its own while this process leads: anchors, whose servers may
    be slow. Nothing that it raises stops the sealing."""

    connect: Connect
    files: SealerFiles
    log: Path
    origin: str
    stop: threading.Event
    beside: Callable[[], object] | None = None
    pauses: float = 1.0
    """Factor on all pauses; tests are in a hurry."""
    _problem: str | None = None
    _said_at: float = float("-inf")
    _said: tuple[int, str] | None = None
    _leads: threading.Event = field(default_factory=threading.Event)

    def run(self) -> None:
        """Until `stop` is set."""
        if self.beside is not None:
            threading.Thread(target=self._run_beside, name="beside", daemon=True).start()
        while not self.stop.is_set():
            self._attempt()

    def _attempt(self) -> None:
        try:
            with self.files.locked() as is_mine:
                if is_mine:
                    with self.connect() as connection:
                        connection.autocommit = True
                        self._lead(Database(connection))
        except psycopg.Error as error:
            self._tell(_of_database(error))
        except OSError as error:
            self._tell(_words(error))
        finally:
            self._leads.clear()
        self._rest(ASIDE if self._problem else POLL)

    def _lead(self, database: Database) -> None:
        """Returns when somebody else leads, when there is a problem, or at the end."""
        if not database.lead():
            return
        sealer = Sealer(database=database, files=self.files, log=self.log, origin=self.origin)
        self._said = None
        try:
            sealer.recover()
            self._tell("")
            log.info("sealer_leads from %d leaves", sealer.size)
            self._leads.set()
            while not self.stop.is_set():
                sealed = sealer.step()
                self._say(database, sealer.size, "")
                if sealed < BATCH:
                    self._rest(PAUSE if sealed else POLL)
        except (Refused, Damaged, BadLeaf, OSError) as error:
            self._tell(_words(error))
            self._say(database, sealer.size, _words(error))
        except psycopg.Error:
            raise
        except Exception as error:
            log.exception("sealer_failed")
            self._tell(_unforeseen(error))
            self._say(database, sealer.size, _unforeseen(error))

    def _tell(self, problem: str) -> None:
        """One line in the log per change, not one per attempt."""
        if problem and problem != self._problem:
            log.error(problem)
        elif self._problem and not problem:
            log.warning("sealer_goes_on")
        self._problem = problem

    def _say(self, database: Database, size: int, problem: str) -> None:
        """To the database, where web and worker read it."""
        now = time.monotonic()
        if self._said == (size, problem) and now - self._said_at < SAY_EVERY:
            return
        database.say(size=size, problem=problem)
        self._said, self._said_at = (size, problem), now

    def _run_beside(self) -> None:
        assert self.beside is not None
        while not self.stop.is_set():
            if self._leads.is_set():
                try:
                    self.beside()
                except Exception:  # an anchor's failure is not the log's
                    log.exception("anchoring_failed")
            self._rest(BESIDE_EVERY)

    def _rest(self, seconds: float) -> None:
        self.stop.wait(seconds * self.pauses)


def _words(error: Exception) -> str:
    if isinstance(error, OSError):
        return f"The log cannot be written: {error.strerror or error} ({error.filename or 'no file'})"
    if isinstance(error, Damaged):
        return (
            f"The log's files are damaged: {error}. Bring them back, or make them again from the database: "
            "manage.py seal --rebuild-files"
        )
    return str(error)


def _unforeseen(error: Exception) -> str:
    """A fault of ours, or files that nobody would have thought of: no decision is provable until somebody looks."""
    return f"The sealer failed ({type(error).__name__}: {' '.join(str(error).split())[:200]}). Its log says where."


def _of_database(error: psycopg.Error) -> str:
    verb = "does not answer" if isinstance(error, psycopg.OperationalError) else "refuses"
    return f"The database {verb} the sealer: {' '.join(str(error).split())[:300]}"
