"""A PostgreSQL server and a log of a test's own: sealing waits for the oldest transaction of the whole server, so a
neighbour's must not be there."""

import os
import signal
import subprocess
import sys
import tempfile
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from itertools import count
from pathlib import Path
from typing import Any

import psycopg
import pytest

from audit import chain, roles
from audit.sealer_database import Database
from audit.sealer_files import SealerFiles
from audit.sealing import Sealer
from audit.tlog import merkle, notes
from audit.tlog.folder import Folder
from audit.tlog.leaves import Leaf, read
from config import processes
from config.embedded import Layout, postgres_in
from config.embedded.postgres import SUPERUSER, Postgres

ROOT = Path(__file__).resolve().parent.parent
ORIGIN = "test.example/log"
Connection = psycopg.Connection[tuple[Any, ...]]
_numbers = count(1)


@contextmanager
def serving() -> Iterator[Postgres]:
    """Durable, unlike the tests' own: what was committed has to survive a kill. Migrated for the log alone.

    Not in pytest's directory, which each start of pytest closes to PostgreSQL's account."""
    with (
        pytest.MonkeyPatch.context() as patch,
        tempfile.TemporaryDirectory(prefix="countersign-sealing-", ignore_cleanup_errors=True) as directory,
    ):
        patch.delenv("COUNTERSIGN_EMBEDDED_FAST", raising=False)
        var = Path(directory)
        var.chmod(0o755)
        Layout(var).create()
        server = postgres_in(var)
        try:
            server.start()
            subprocess.run(
                [sys.executable, "manage.py", "migrate", "audit", "--verbosity=0", "--skip-checks"],
                cwd=ROOT,
                env={**environment(server), "DATABASE_URL": server.urls["owner"]},
                check=True,
            )
            yield server
        finally:
            _end(server)


def environment(server: Postgres) -> dict[str, str]:
    """For processes that use this server, as the application."""
    kept = {name: value for name, value in os.environ.items() if not name.startswith("DATABASE_")}
    return {
        **kept,
        "DJANGO_SETTINGS_MODULE": "config.settings",
        **{roles.VARIABLES[role]: url for role, url in server.urls.items()},
        "REDIS_URL": "redis://127.0.0.1:1/0",
        "COUNTERSIGN_VAR": str(server.data.parent),
    }


@dataclass
class Log:
    """A database of its own with a folder and a sealer's directory of their own. `urls` are those of the roles."""

    urls: dict[roles.Role, str]
    administrator: str
    files: SealerFiles
    path: Path

    @contextmanager
    def sealer(self) -> Iterator[Sealer]:
        """A sealer that has recovered, on a session of its own."""
        with self.as_sealer() as connection:
            one = Sealer(database=Database(connection), files=self.files, log=self.path, origin=ORIGIN)
            one.recover()
            yield one

    def seal(self) -> int:
        """Start, seal what there is, end."""
        with self.sealer() as one:
            while one.step():
                pass
            return one.size

    def connected(self) -> Connection:
        """As the application; each statement commits by itself."""
        return _connected(self.urls["app"])

    def as_sealer(self) -> Connection:
        return _connected(self.urls["sealer"])

    @contextmanager
    def as_intruder(self) -> Iterator[Connection]:
        """The server's administrator, who has taken the triggers off."""
        with _connected(self.administrator) as connection:
            for table in ("audit_auditevent", "audit_auditleaf"):
                connection.execute(f"ALTER TABLE {table} DISABLE TRIGGER ALL")
            yield connection

    def write(self, connection: Connection | None = None, *, times: int = 1) -> list[int]:
        """Events as `audit.recording` writes them; on this connection, else committed together at once."""
        if connection is None:
            with self.connected() as own, own.transaction():
                return self.write(own, times=times)
        return [_insert(connection) for _ in range(times)]

    def checkpoints(self) -> list[notes.Checkpoint]:
        """Every one that was kept, oldest first, its signature checked."""
        key = notes.verifier((self.path / "key").read_text())
        found = []
        for day in sorted((self.path / "checkpoints").iterdir()):
            whole = day.read_text().split(f"\n\n— {key.name} ")
            text = whole[0]
            for rest in whole[1:]:
                signature, _, following = rest.partition("\n")
                found.append(notes.opened(f"{text}\n\n— {key.name} {signature}\n", key))
                text = following
            assert text == "", "something is torn"
        return found

    def published(self) -> notes.Checkpoint:
        key = notes.verifier((self.path / "key").read_text())
        return notes.opened((self.path / "checkpoint").read_text(), key)

    def leaves(self) -> list[Leaf]:
        """Of the published checkpoint."""
        return [read(data) for _, data in Folder(self.path, self.published().size).entries()]

    def check(self) -> list[int]:
        """What always holds; returns the events in the order of their leaves."""
        newest = self.published()
        tree = Folder(self.path, newest.size)
        entries = list(tree.entries())
        assert [number for number, _ in entries] == list(range(newest.size))
        assert tree.root() == newest.root
        assert all(merkle.leaf_hash(data) == tree.node(0, number) for number, data in entries)
        history = self.checkpoints()
        assert history[-1] == newest
        assert [one.size for one in history] == sorted({one.size for one in history})
        for one in history:
            assert tree.root(one.size) == one.root, f"the checkpoint of {one.size} is of another tree"
        assert self.files.last() == (self.path / "checkpoint").read_text()
        with self.connected() as connection:
            index = connection.execute(
                "SELECT number, event, hash FROM audit_auditleaf ORDER BY number"
            ).fetchall()
        lost = self.files.restore()
        assert [
            (number, event, bytes(hashed)) for number, event, hashed in index if not lost.has_lost(number)
        ] == [
            (number, read(data).event, merkle.leaf_hash(data))
            for number, data in entries
            if not lost.has_lost(number)
        ]
        return [read(data).event for _, data in entries]

    def events(self) -> list[int]:
        with self.connected() as connection:
            rows = connection.execute("SELECT id FROM audit_auditevent ORDER BY transaction, id").fetchall()
        return [event for (event,) in rows]


def _insert(connection: Connection) -> int:
    number = next(_numbers)
    content, salt = (
        chain.canonical({"kind": "person.signed_in", "detail": {"number": number}}),
        chain.new_salt(),
    )
    row = connection.execute(
        "INSERT INTO audit_auditevent"
        " (kind, actor_kind, actor_id, object_type, object_id, content, salt, commitment)"
        " VALUES ('person.signed_in', 'human', '1', 'person', %s, %s, %s, %s) RETURNING id",
        [str(number), content.decode(), salt, chain.commitment(salt, content)],
    ).fetchone()
    assert row is not None
    return int(row[0])


def _connected(url: str) -> Connection:
    return psycopg.connect(url, autocommit=True, options="-c timezone=UTC")


def own_log(server: Postgres, directory: Path) -> Log:
    """On the server's own database, to which `environment` leads other processes."""
    return Log(server.urls, server.url_of(SUPERUSER), SealerFiles(directory / "sealer"), directory / "log")


def fresh_log(server: Postgres, directory: Path) -> Log:
    """The same with nothing in it."""
    made = own_log(server, directory)
    with made.as_intruder() as connection:
        connection.execute("TRUNCATE audit_auditevent, audit_auditleaf, audit_sealerstate RESTART IDENTITY")
    return made


def _end(server: Postgres) -> None:
    """At once: nobody needs this data again."""
    if (pid := server.running()) is not None:
        processes.stop(pid, [(signal.SIGQUIT, 10.0), (signal.SIGKILL, 5.0)])
    server.stop()
