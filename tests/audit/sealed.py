"""A log's files over the events of this test, made without waiting for anybody's transaction."""

import time
from pathlib import Path

from cryptography.hazmat.primitives.asymmetric.ed25519 import Ed25519PrivateKey
from django.db.models import Max

from audit import proofs, search
from audit.models import AuditEvent, AuditLeaf
from audit.tlog import folder, merkle, notes
from tests.database import as_owner

ORIGIN = "log.example/test"
SIGNER = notes.Signer(ORIGIN, Ed25519PrivateKey.from_private_bytes(bytes(range(32))))


def seal(path: Path, *, upto: int | None = None) -> notes.Checkpoint:
    """Put the events that have no leaf into the log in `path`, and publish its checkpoint."""
    size = AuditLeaf.objects.count()
    known = AuditLeaf.objects.values_list("event", flat=True)
    events = AuditEvent.objects.exclude(pk__in=known).order_by("transaction", "id")
    if upto is not None:
        events = events.filter(pk__lte=upto)
    entries = [(event.pk, proofs.leaf_of(event).data) for event in events]
    root = folder.append(path, size, [data for _, data in entries])
    with as_owner() as owner:
        for number, (event, data) in enumerate(entries, size):
            owner.execute(
                "INSERT INTO audit_auditleaf (number, event, hash) VALUES (%s, %s, %s)",
                [number, event, merkle.leaf_hash(data)],
            )
    made = notes.Checkpoint(ORIGIN, size + len(entries), root)
    note = SIGNER.note(made.text)
    folder.write(path / "key", f"{SIGNER.verifier}\n".encode())
    folder.write(path / "checkpoint", note.encode())
    kept = path / "checkpoints" / "2026-11-22"
    kept.parent.mkdir(exist_ok=True)
    with kept.open("a") as file:
        file.write(note)
    return made


def settled() -> None:
    """Return once an export would hold everything that was written so far.

    Tests that run beside this one share the server, and a transaction of theirs holds the horizon back meanwhile."""
    written = AuditEvent.objects.aggregate(latest=Max("transaction"))["latest"] or 0
    deadline = time.monotonic() + 100
    while search.horizon() <= written and time.monotonic() < deadline:
        time.sleep(0.05)
