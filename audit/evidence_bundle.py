"""A selection of events with everything by which somebody else can check them, as one file.

The script in it needs a shell, `sha256sum`, `openssl`, `xxd` and `jq`; nothing in it is ours but the order of steps."""

import io
import json
import zipfile
from dataclasses import dataclass
from datetime import datetime
from pathlib import Path

import msgspec

from audit import exporting, log_reader, proofs
from audit.models import AuditEvent
from audit.proofs import Proof, Seal

MOST = 300
"""Events in one bundle: what somebody may read on paper."""
SCRIPT = Path(__file__).parent / "verify_selection.sh"
README = """Evidence from the audit log of Countersign

bundle.html      the events and their proofs, to read or to print
events.jsonl     the events, one per line: exact content, salt, commitment, number of the leaf
proofs.json      the inclusion proof of each event against the checkpoint
checkpoint       the signed statement of how many leaves the log has and what they hash to
key              the log's public key. Compare it with one that you have from somewhere else
verify.sh        checks all of it: sh verify.sh [the key that you trust]

A row of events.jsonl whose leaf is null was not sealed when this file was made, so there is no proof of it.
"""


@dataclass(frozen=True, slots=True)
class Evidence:
    """One event, where it stands, and its proof."""

    event: AuditEvent
    seal: Seal
    proof: Proof


def gather(events: list[AuditEvent], log: log_reader.OpenLog | None, now: datetime) -> list[Evidence]:
    seals = proofs.seals(events, now)
    found = []
    for event in events:
        seal = seals[event.pk]
        found.append(Evidence(event, seal, proofs.prove(event, seal.number, log)))
    return found


def zipped(evidence: list[Evidence], log: log_reader.OpenLog | None, page: str, at: datetime) -> bytes:
    """The file; `page` is the same evidence as HTML."""
    files = {
        "README.txt": README,
        "bundle.html": page,
        "events.jsonl": "".join(line(one.event, one.seal.number) for one in evidence),
        "proofs.json": json.dumps(_proofs(evidence, log), indent=1, ensure_ascii=False) + "\n",
        "verify.sh": SCRIPT.read_text(),
    }
    if log is not None:
        files |= {"checkpoint": log.note, "key": f"{log.vkey}\n"}
    out = io.BytesIO()
    with zipfile.ZipFile(out, "w", zipfile.ZIP_DEFLATED) as archive:
        for name, text in files.items():
            archive.writestr(zipfile.ZipInfo(name, at.timetuple()[:6]), text.encode())
    return out.getvalue()


def line(event: AuditEvent, leaf: int | None) -> str:
    """One line of JSON lines, as `manage.py audit_export` writes it."""
    return msgspec.json.encode(exporting.line(event, leaf)).decode() + "\n"


def _proofs(evidence: list[Evidence], log: log_reader.OpenLog | None) -> dict[str, object]:
    return {
        "size": log.checkpoint.size if log else None,
        "root": log.root if log else None,
        "proofs": [
            {
                "event": one.event.pk,
                "leaf": one.proof.number,
                "entry": one.proof.leaf.decode(),
                "path": [{"side": side, "hash": other.hex()} for side, other in one.proof.path],
                "missing": one.proof.missing,
            }
            for one in evidence
        ],
    }
