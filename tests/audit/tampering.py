"""A sealed log of real decisions, which every test may damage in its own way.

The decisions are made once; each test finds the rows in its database and a fresh copy of the files."""

import hashlib
import io
import json
import shutil
from collections.abc import Callable, Iterator, Sequence
from contextlib import AbstractContextManager, contextmanager
from dataclasses import dataclass
from pathlib import Path
from tempfile import mkdtemp
from typing import Any

from cryptography.hazmat.primitives.asymmetric.ed25519 import Ed25519PrivateKey

from approvals.models import Verdict
from audit import exporting
from audit.events import system
from audit.models import AuditEvent
from audit.tlog import command, folder, leaves, notes, verify
from audit.tlog.report import Report, Trust
from tests import factories
from tests.audit import authority, sealed
from tests.database import Connection, as_superuser

TABLES = ("audit_auditevent", "audit_auditleaf", "audit_content")
WITNESS = notes.Signer(
    "witness.example/w", Ed25519PrivateKey.from_private_bytes(bytes(range(32, 64))), notes.COSIGNATURE
)
STAMPED_AT, COSIGNED_AT = 0, 1
"""Which of the checkpoints has a timestamp, which a cosignature."""


@dataclass
class Log:
    """`path` is the log's folder, `events` the rows' numbers in the order of their leaves, `checkpoints` the sizes."""

    path: Path
    events: list[int]
    checkpoints: list[int]
    roots: bytes

    def export(self, into: Path, **asked: Any) -> Path:
        exporting.export(log=self.path, into=into, asked=exporting.Asked(**asked), actor=system("test"))
        return into

    def trust(self, **more: Any) -> Trust:
        """What an auditor brings along who got all keys in another way."""
        values = {"keys": (sealed.SIGNER.verifier,), "witnesses": (WITNESS.verifier,), "roots": self.roots}
        return Trust(**{**values, **more})

    def leaf_of(self, kind: str) -> int:
        """The first leaf of an event of this kind."""
        return next(
            number
            for number, data in folder.Folder(self.path, self.checkpoints[-1]).entries()
            if leaves.read(data).kind == kind
        )


@dataclass(frozen=True)
class _Kept:
    """The log as it was made, to be laid out again."""

    path: Path
    tables: dict[str, bytes]
    events: list[int]
    checkpoints: list[int]
    roots: bytes


@contextmanager
def untriggered(
    role: Callable[[], AbstractContextManager[Connection]] = as_superuser,
) -> Iterator[Connection]:
    """Somebody who may do DDL and has switched the triggers off: what only a look from outside can find. They are put
    back as they were."""
    with role() as intruder:
        found = intruder.execute(
            "SELECT tgrelid::regclass::text, tgname, tgenabled FROM pg_trigger"
            " WHERE tgrelid = ANY(%s::regclass[]) AND NOT tgisinternal",
            [list(TABLES)],
        ).fetchall()
        for table, name, _ in found:
            intruder.execute(f'ALTER TABLE {table} DISABLE TRIGGER "{name}"')
        try:
            yield intruder
        finally:
            for table, name, enabled in found:
                always = "ALWAYS" if enabled == b"A" or enabled == "A" else ""
                intruder.execute(f'ALTER TABLE {table} ENABLE {always} TRIGGER "{name}"')


_made: list[_Kept] = []


def make() -> None:
    _made.append(_make())


def forget() -> None:
    kept = _made.pop()
    shutil.rmtree(kept.path.parent)


def _kept() -> _Kept:
    return _made[0]


def original() -> Log:
    """Only to be read."""
    kept = _kept()
    return Log(kept.path, list(kept.events), list(kept.checkpoints), kept.roots)


def exported(into: Path) -> Path:
    """An export of the whole log."""
    shutil.copytree(_kept().path.with_name("export"), into)
    return into


def _make() -> _Kept:
    """Six decisions and all that it took to come to them, sealed in four steps."""
    path = Path(mkdtemp()) / "log"
    desk = factories.desk()
    checkpoints = [sealed.seal(path)]
    for number in range(4):
        desk.approved(arguments={"order_id": f"A-{number}", "amount": 10 + number})
    checkpoints.append(sealed.seal(path))
    desk.decide(desk.propose(), Verdict.REJECT)
    checkpoints.append(sealed.seal(path))
    desk.approved()
    checkpoints.append(sealed.seal(path))
    roots = _anchor(path, checkpoints)
    with as_superuser() as reader:
        tables = {table: _copied(reader, table) for table in TABLES}
    events = list(AuditEvent.objects.order_by("transaction", "id").values_list("pk", flat=True))
    asked = exporting.Asked()
    exporting.export(log=path, into=path.with_name("export"), asked=asked, actor=system("test"))
    return _Kept(path, tables, events, [one.size for one in checkpoints], roots)


def _anchor(path: Path, checkpoints: Sequence[notes.Checkpoint]) -> bytes:
    (path / "timestamps").mkdir()
    (path / "cosignatures").mkdir()
    stamped, cosigned = checkpoints[STAMPED_AT], checkpoints[COSIGNED_AT]
    clock = authority.authority(Path(mkdtemp(prefix="clock")))
    stamp(path, clock, stamped.text)
    (path / f"cosignatures/{cosigned.size}").write_text(
        f"{cosigned.text}\n{WITNESS.line(cosigned.text, time=1_795_000_000)}"
    )
    return clock.root.pem


def stamp(path: Path, clock: authority.Authority, text: str) -> None:
    size = notes.checkpoint(text).size
    (path / f"timestamps/{size}.txt").write_text(text)
    (path / f"timestamps/{size}.tsr").write_bytes(clock.stamp(text.encode()))


def _copied(connection: Connection, table: str) -> bytes:
    with connection.cursor() as cursor, cursor.copy(f"COPY {table} TO STDOUT") as copy:
        return b"".join(bytes(part) for part in copy)


def laid_out(into: Path) -> Log:
    """The log's files in `into`, and its rows in this test's database."""
    kept = _kept()
    with untriggered() as writer:
        for table in TABLES:
            writer.execute(f"DELETE FROM {table}")
            fill(writer, table, kept.tables[table])
        writer.execute("SELECT setval('audit_auditevent_id_seq', (SELECT max(id) FROM audit_auditevent))")
    shutil.copytree(kept.path, into / "log")
    return Log(into / "log", list(kept.events), list(kept.checkpoints), kept.roots)


def fill(connection: Connection, table: str, data: bytes) -> None:
    with connection.cursor() as cursor, cursor.copy(f"COPY {table} FROM STDIN") as copy:
        copy.write(data)


def found(directory: Path, trust: Trust) -> tuple[Report, str]:
    """The report and what a person reads."""
    report = verify.verify(directory, trust)
    out = io.StringIO()
    command.tell(report, 0.0, out)
    return report, out.getvalue()


def rebuilt(path: Path, entries: Sequence[bytes]) -> None:
    """A whole new log of these leaves, signed with the real key: what an insider with everything could do."""
    days = [day.name for day in (path / "checkpoints").iterdir()]
    shutil.rmtree(path)
    root = folder.append(path, 0, list(entries))
    note = sealed.SIGNER.note(notes.Checkpoint(sealed.ORIGIN, len(entries), root).text)
    (path / "checkpoints").mkdir()
    (path / "checkpoints" / days[0]).write_text(note)
    (path / "checkpoint").write_text(note)
    (path / "key").write_text(f"{sealed.SIGNER.verifier}\n")


def entries(path: Path, size: int) -> list[bytes]:
    return [data for _, data in folder.Folder(path, size).entries()]


def changed_content(row: tuple[str, bytes]) -> tuple[str, bytes]:
    """Another content with a commitment that fits it, for an intruder who knows the formats; the salt stays."""
    content, salt = row
    said = json.loads(content)
    said["detail"] = {**(said.get("detail") or {}), "comment": "as if it had been so"}
    text = json.dumps(said, separators=(",", ":"), sort_keys=True, ensure_ascii=False)
    return text, hashlib.sha256(salt + text.encode()).digest()
