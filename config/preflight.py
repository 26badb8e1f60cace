"""What has to be in order before Countersign can start; asked by `make run` and, all of it, by `manage.py doctor`.

Each check returns what it found, or raises a Problem that names the remedy.
"""

import errno
import fcntl
import os
import platform
import shutil
import socket
import sys
from collections.abc import Callable
from contextlib import suppress
from dataclasses import dataclass, field
from pathlib import Path
from typing import IO
from urllib.parse import urlsplit

import psutil

from config import addresses, environment, mail
from config.embedded import Layout
from config.embedded.postgres import NAMES
from config.problem import Problem

ROOT = Path(__file__).resolve().parent.parent
NEEDED_BYTES = 500_000_000  # a new database takes a tenth of it; the rest is room to write
_POSTGRES = 150000
_REDIS = 6


@dataclass(frozen=True)
class Installation:
    """What the environment says, read once."""

    var: Path = field(
        default_factory=lambda: Path(os.environ.get("COUNTERSIGN_VAR") or ROOT / "var").absolute().resolve()
    )
    host: str = field(default_factory=lambda: os.environ.get("HOST") or "127.0.0.1")
    port_text: str = field(default_factory=lambda: os.environ.get("PORT") or "8000")
    database_url: str = field(default_factory=lambda: os.environ.get("DATABASE_URL", ""))
    other_databases: dict[str, str] = field(
        default_factory=lambda: {
            variable: os.environ[variable]
            for variable in addresses.VARIABLES.values()
            if variable != "DATABASE_URL" and os.environ.get(variable)
        }
    )
    """The addresses of roles beside web's and worker's, by the variable that names each."""
    redis_url: str = field(default_factory=lambda: os.environ.get("REDIS_URL", ""))
    web_processes_text: str = field(default_factory=lambda: os.environ.get("WEB_PROCESSES") or "1")

    @property
    def port(self) -> int:
        if not self.port_text.isdecimal() or not 0 < int(self.port_text) < 65536:
            raise Problem(
                f"PORT={self.port_text} is no port. Choose a number from 1024 to 65535: make run PORT=8000"
            )
        return int(self.port_text)

    @property
    def web_processes(self) -> int:
        if not self.web_processes_text.isdecimal() or not 0 < int(self.web_processes_text) <= 64:
            raise Problem(f"WEB_PROCESSES={self.web_processes_text} is no number from 1 to 64.")
        return int(self.web_processes_text)

    @property
    def local_host(self) -> str:
        """The address under which this machine reaches its own server."""
        return {"0.0.0.0": "127.0.0.1", "::": "::1"}.get(self.host, self.host)  # noqa: S104 compared, not bound

    @property
    def address(self) -> str:
        """The public address, as the settings have it too."""
        return os.environ.get("COUNTERSIGN_URL", "").rstrip("/") or self._url_of(self.host)

    @property
    def local_address(self) -> str:
        """How programs on this machine reach the server."""
        return self._url_of(self.local_host)

    def _url_of(self, host: str) -> str:
        return f"http://[{host}]:{self.port}" if ":" in host else f"http://{host}:{self.port}"

    @property
    def lock_file(self) -> Path:
        return Layout(self.var).run / "supervisor.lock"


def python(_: Installation) -> str:
    if sys.version_info < (3, 11):  # noqa: UP036  somebody may start it without make
        raise Problem(f"Countersign needs Python 3.11 or later; this is {platform.python_version()}.")
    if sys.platform not in ("linux", "darwin"):
        raise Problem(f"Countersign runs on Linux and macOS, not on {sys.platform}. On Windows, use WSL 2.")
    return f"Python {platform.python_version()} on {platform.system()}"


def packages(_: Installation) -> str:
    """An environment that `make` did not make is its maker's business."""
    venv = Path(sys.prefix)
    if (venv / ".unfinished").exists():
        raise Problem(f"The environment {venv} is half-made. `make run` makes it anew.")
    stamped = [kind for kind in environment.KINDS if (venv / f".installed-{kind}").exists()]
    if not stamped:
        return f"Packages in {venv}, which make did not install"
    if not any(environment.matches(kind, venv) for kind in stamped):
        raise Problem(
            f"The packages in {venv} are not those of the lock file. `make run` brings them up to date."
        )
    return f"Packages in {venv} as locked"


def data_directory(installation: Installation) -> str:
    Layout(installation.var).create()
    return f"Data directory {installation.var}"


def room(installation: Installation) -> str:
    existing = next(path for path in (installation.var, *installation.var.parents) if path.exists())
    free = shutil.disk_usage(existing).free
    if free < NEEDED_BYTES:
        raise Problem(
            f"Only {free // 1_000_000} MB are free on the disk of {installation.var}, and Countersign wants "
            f"{NEEDED_BYTES // 1_000_000} MB. Free some space, or set COUNTERSIGN_VAR to another disk."
        )
    return f"{free / 1e9:.1f} GB free on its disk"


def supervisor(installation: Installation) -> str:
    """Raises when a `make run` is at work here; a lock file that a killed one left behind holds nothing."""
    with take_lock(installation):
        return "No other make run on it"


def port(installation: Installation) -> str:
    listen(installation).close()
    return f"Port {installation.port} of {installation.host} is free"


def database(installation: Installation) -> str:
    """Also the other roles' addresses, where they have addresses of their own."""
    if not installation.database_url:
        for variable in installation.other_databases:
            raise Problem(f"{variable} is set, but DATABASE_URL, the address of web and worker, is not.")
        return "PostgreSQL 18, embedded"
    version = _reach("DATABASE_URL", installation.database_url)
    for variable, url in installation.other_databases.items():
        _reach(variable, url)
    return f"PostgreSQL {version} at {_without_password(installation.database_url)}"


def _reach(variable: str, url: str) -> int:
    """The major version of the server at an address."""
    import psycopg  # here, since a start with the embedded server does not need it: it costs memory all the time

    where = _without_password(url)
    try:
        with psycopg.connect(url, connect_timeout=5) as connection:
            version = connection.info.server_version
    except psycopg.Error as error:
        raise Problem(
            f"{variable}: {where} cannot be reached ({_first_line(error)}). "
            "Start that server or correct the address; without DATABASE_URL an embedded PostgreSQL is used."
        ) from error
    if version < _POSTGRES:
        raise Problem(f"{variable}: {where} is PostgreSQL {version // 10000}. Countersign needs 15 or later.")
    return version // 10000


def append_only(installation: Installation) -> str:
    """Whether what web and worker may do in the database keeps the audit log from them; asked, not believed."""
    if not installation.database_url:
        return f"The audit log only grows under web and worker (role {NAMES.app})"
    import psycopg  # here, for the same reason

    from audit import roles

    where = _without_password(installation.database_url)
    try:
        with psycopg.connect(installation.database_url, connect_timeout=5) as connection:
            found = roles.weaknesses(connection)
            me = connection.info.user
    except psycopg.Error as error:
        raise Problem(f"DATABASE_URL: {where} could not be asked ({_first_line(error)}).") from error
    if found:
        more = f" (and {len(found) - 1} more)" if len(found) > 1 else ""
        raise Problem(
            f"The audit log is not kept from the web processes: {found[0]}{more}. Run `manage.py database_roles`, "
            "and set DATABASE_URL and DATABASE_OWNER_URL as it says; docs/operations.md, Database roles."
        )
    return f"The audit log only grows under web and worker (role {me})"


def broker(installation: Installation) -> str:
    if not installation.redis_url:
        return "Valkey 9, embedded"
    import redis  # here, for the same reason

    where = _without_password(installation.redis_url)
    try:
        with redis.Redis.from_url(
            installation.redis_url, socket_connect_timeout=5, socket_timeout=5
        ) as client:
            version = str(client.info("server")["redis_version"])
    except (redis.RedisError, OSError, ValueError) as error:
        raise Problem(
            f"REDIS_URL: {where} cannot be reached ({_first_line(error)}). "
            "Start that server or correct the address; without REDIS_URL an embedded Valkey is used."
        ) from error
    if int(version.split(".")[0]) < _REDIS:
        raise Problem(f"REDIS_URL: {where} is Redis {version}. Countersign needs 6 or later.")
    return f"Redis {version} at {where}"


def outgoing_mail(installation: Installation) -> str:
    """What the variables say; a mail server that is away keeps nothing from starting."""
    found = mail.from_environment(os.environ, public_url=installation.address)
    if not found.is_set_up:
        return f"E-mail is not set up (EMAIL_URL); messages go to files in {installation.var / 'mail'}"
    return f"E-mail by {found.host}:{found.port} from {found.sender}"


BEFORE_LOCK: tuple[Callable[[Installation], str], ...] = (
    python,
    packages,
    data_directory,
    room,
    outgoing_mail,
)
SERVERS: tuple[Callable[[Installation], str], ...] = (database, broker)
EVERYTHING = (*BEFORE_LOCK, supervisor, port, *SERVERS, append_only)


def take_lock(installation: Installation) -> IO[str]:
    """The lock of the one supervisor of this data directory, held until the file is closed."""
    lock = installation.lock_file.open("a+", encoding="utf-8")
    try:
        fcntl.flock(lock, fcntl.LOCK_EX | fcntl.LOCK_NB)
    except BlockingIOError:
        lock.seek(0)
        pid = lock.read().strip() or "unknown"
        lock.close()
        raise Problem(
            f"Another `make run` (process {pid}) uses {installation.var}. Stop it with Ctrl-C or `kill {pid}`, "
            "or give this one a directory of its own: make run COUNTERSIGN_VAR=/some/where PORT=8001"
        ) from None
    return lock


def listen(installation: Installation) -> socket.socket:
    """The listening socket. The supervisor keeps it, so that a crash of web makes callers wait, not fail."""
    host, number = installation.host, installation.port
    try:
        family, kind, _, _, place = socket.getaddrinfo(host, number, type=socket.SOCK_STREAM)[0]
        listener = socket.socket(family, kind)
    except OSError as error:
        raise Problem(f"HOST={host} is no address. Use 127.0.0.1 (this machine) or 0.0.0.0 (all).") from error
    try:
        listener.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
        listener.bind(place)
        listener.listen(2048)
    except OSError as error:
        listener.close()
        raise Problem(_why_not_listening(host, number, error)) from error
    return listener


def _why_not_listening(host: str, number: int, error: OSError) -> str:
    if error.errno == errno.EADDRINUSE:
        return (
            f"Port {number} is in use{_by_whom(number)}. "
            f"Stop that, or choose another port: make run PORT={_free_port_after(number)}"
        )
    if error.errno == errno.EACCES:
        return f"Port {number} is only for root. Choose one from 1024 up: make run PORT=8000"
    return f"HOST={host} is no address of this machine. Use 127.0.0.1 (this machine) or 0.0.0.0 (all)."


def _by_whom(number: int) -> str:
    with suppress(psutil.Error, OSError):
        for connection in psutil.net_connections("tcp"):
            if connection.status == psutil.CONN_LISTEN and connection.laddr.port == number and connection.pid:
                return f" by {psutil.Process(connection.pid).name()} (process {connection.pid})"
    return ""


def _free_port_after(number: int) -> int:
    for candidate in range(number + 1, min(number + 100, 65536)):
        with socket.socket() as probe, suppress(OSError):
            probe.bind(("127.0.0.1", candidate))
            return candidate
    return 8000


def _without_password(url: str) -> str:
    parts = urlsplit(url)
    if parts.password is None:
        return url
    return parts._replace(netloc=parts.netloc.replace(f":{parts.password}@", ":…@", 1)).geturl()


def _first_line(error: BaseException) -> str:
    return (str(error).strip().splitlines() or [type(error).__name__])[0].rstrip(".")
