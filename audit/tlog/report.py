"""What a verification starts from and what it has to say in the end. Pure."""

from dataclasses import dataclass, field
from pathlib import Path

from audit.tlog import notes
from audit.tlog.findings import Findings


@dataclass(frozen=True, slots=True)
class Trust:
    """What the one who verifies brings along. Without `keys` the export's own is used; `roots` is PEM; `older` is a
    checkpoint's file or an older export."""

    keys: tuple[notes.Verifier, ...] = ()
    witnesses: tuple[notes.Verifier, ...] = ()
    roots: bytes | None = None
    older: Path | None = None


@dataclass(slots=True)
class Report:
    """What was found. `unchecked` says in sentences what nobody could check with what was at hand, `remarks` what is
    worth a question and yet no fault; `unfit` counts what was signed about leaves that are missing; `signatures`
    approvals that passkeys signed, at the addresses `origins`, `unsigned` those of high risk that none did."""

    findings: Findings = field(default_factory=Findings)
    unchecked: list[str] = field(default_factory=list)
    remarks: list[str] = field(default_factory=list)
    origin: str = ""
    key: notes.Verifier | None = None
    size: int = 0
    root: bytes = b""
    first: int = 0
    events: int = 0
    pending: int = 0
    earliest: str = ""
    latest: str = ""
    checkpoints: int = 0
    older: int = 0
    stamps: list[tuple[int, str]] = field(default_factory=list)
    authorities: set[str] = field(default_factory=set)
    cosigned: list[tuple[int, str]] = field(default_factory=list)
    witnesses: set[str] = field(default_factory=set)
    contents: int = 0
    gone: int = 0
    unfit: int = 0
    signatures: int = 0
    unsigned: int = 0
    origins: set[str] = field(default_factory=set)

    @property
    def holds(self) -> bool:
        return not self.findings.total
