"""PostgreSQL and Valkey from wheels, for whoever has set no DATABASE_URL or REDIS_URL.

Every process that uses them holds a shared lock on one file, which the kernel releases even after `kill -9`. Who
started them is therefore not important: whoever leaves as the last one stops them, so that a `manage.py` command
works alone and, beside a running `make run`, never takes the services away from it.

Both are reachable by this user only: PostgreSQL through a socket in a private directory, Valkey on a loopback
port with a password, since not every Redis client can be told of a socket in the same words.
"""

import atexit
import fcntl
import os
import shutil
import tempfile
from collections.abc import Iterator
from contextlib import contextmanager, suppress
from dataclasses import dataclass
from pathlib import Path
from typing import IO

from audit.roles import Role
from config import addresses
from config.embedded.account import account_for
from config.embedded.postgres import Postgres
from config.embedded.valkey import Valkey
from config.problem import Problem


@dataclass(frozen=True)
class Services:
    """Where the two services are; a pid is None where the environment names a server that is not ours.

    Each role has an address of its own, or shares that of the application where the environment names no other."""

    database_urls: dict[Role, str]
    redis_url: str
    postgres_pid: int | None
    valkey_pid: int | None


@dataclass(frozen=True)
class Layout:
    """The places inside one data directory."""

    var: Path

    @property
    def run(self) -> Path:
        return self.var / "run"

    @property
    def log(self) -> Path:
        return self.var / "log"

    def create(self) -> None:
        """Raises Problem, with the remedy, where the directory cannot be made or written."""
        try:
            self.var.mkdir(parents=True, exist_ok=True)
            for directory in (self.run, self.log):
                directory.mkdir(mode=0o700, exist_ok=True)
            with tempfile.TemporaryFile(dir=self.run):
                pass
        except OSError as error:
            raise Problem(
                f"The data directory {self.var} cannot be written ({error.strerror}). "
                "Give it to the user who runs Countersign, or set COUNTERSIGN_VAR to a directory of yours."
            ) from error


__all__ = ["Layout", "Problem", "Services", "ensure", "remove", "stop"]

_memberships: dict[Path, IO[str]] = {}


def ensure(var: Path) -> Services:
    """Start what the environment does not name and is not running yet; the services stay up until this process ends.

    Raises Problem, whose text is a sentence for the person at the terminal.
    """
    var = var.resolve()
    layout = Layout(var)
    database_urls, redis_url = addresses.named(os.environ), os.environ.get("REDIS_URL")
    if database_urls and redis_url:
        return Services(database_urls, redis_url, None, None)
    layout.create()
    postgres_pid = valkey_pid = None
    with starting(var):
        join(var)
        if not database_urls:
            postgres = postgres_in(var)
            postgres_pid = postgres.running()
            if postgres_pid is None:
                postgres_pid = postgres.start().pid
            else:
                postgres.complete()
            database_urls = postgres.urls
        if not redis_url:
            valkey = valkey_in(var)
            valkey_pid = valkey.running() or valkey.start().pid
            redis_url = valkey.url
    return Services(database_urls, redis_url, postgres_pid, valkey_pid)


def stop(var: Path) -> None:
    """Stop both, whoever uses them; does nothing where they do not run."""
    var = var.resolve()
    if not Layout(var).run.is_dir():
        return
    with starting(var):
        _stop_both(var)


def postgres_in(var: Path) -> Postgres:
    data = var / "postgres"
    return Postgres(data=data, log=Layout(var).log / "postgres.log", account=account_for(data))


def valkey_in(var: Path) -> Valkey:
    layout = Layout(var)
    return Valkey(
        state=layout.run / "valkey.json", log=layout.log / "valkey.log", account=account_for(var / "postgres")
    )


@contextmanager
def starting(var: Path) -> Iterator[None]:
    """One process at a time starts or stops services."""
    with (Layout(var).run / "start.lock").open("w") as lock:
        fcntl.flock(lock, fcntl.LOCK_EX)
        yield


def join(var: Path) -> None:
    """Count this process among the users of the services; to be called while `starting` is held."""
    if var in _memberships:
        return
    lock = (Layout(var).run / "users.lock").open("w")
    fcntl.flock(lock, fcntl.LOCK_SH)
    _memberships[var] = lock
    atexit.register(_leave, var, os.getpid())


def used_by_others(var: Path) -> bool:
    """Whether a process other than this one counts as a user; to be called while `starting` is held."""
    lock = _memberships.get(var)
    if lock is None:
        with (Layout(var).run / "users.lock").open("w") as probe:
            return not _exclusive(probe)
    alone = _exclusive(lock)
    fcntl.flock(lock, fcntl.LOCK_SH)
    return not alone


def _leave(var: Path, pid: int) -> None:
    """At exit: the last user stops the services. A forked child, which inherits this hook, is not a user."""
    lock = _memberships.pop(var, None)
    if lock is None or os.getpid() != pid:
        return
    with lock, suppress(OSError), starting(var):
        if _exclusive(lock):
            _stop_both(var)


def _exclusive(lock: IO[str]) -> bool:
    try:
        fcntl.flock(lock, fcntl.LOCK_EX | fcntl.LOCK_NB)
    except BlockingIOError:
        return False
    return True


def _stop_both(var: Path) -> None:
    valkey_in(var).stop()
    postgres_in(var).stop()


def remove(var: Path) -> None:
    """Stop the services and delete the data directory, for tests and benchmarks that made their own."""
    stop(var)
    shutil.rmtree(var, ignore_errors=True)
