"""What is kept and how long, as its pages show it: about one data subject, and by kind. Read only."""

from collections.abc import Mapping
from dataclasses import dataclass
from datetime import datetime

from django.db.models import Count

from approvals import redaction
from approvals.models import Proposal
from approvals.redaction import Subject
from audit import ending
from audit.ending import Due, Kept
from audit.models import Content, ContentKind, DataSubject, Erasure, LegalHold

Days = Mapping[ContentKind, int | None]
_LATEST = 50
_WORDS = {
    "contents": ("text", "texts"),
    "proposals": ("proposal", "proposals"),
    "comments": ("comment", "comments"),
}


@dataclass(frozen=True, slots=True)
class About:
    """One subject. `undecided` forbids an erasure, `holds` too; `erased_at` is when he last was."""

    reference: str
    kept: list[Kept]
    proposals: int
    undecided: list[Proposal]
    holds: list[LegalHold]
    erased_at: datetime | None
    is_under_way: bool

    @property
    def is_known(self) -> bool:
        return bool(self.kept or self.proposals)

    @property
    def may_be_erased(self) -> bool:
        left = any(one.count for one in self.kept) or self.proposals
        return bool(left and not self.undecided and not self.holds and not self.is_under_way)


def about(subject: Subject) -> About:
    """Everything that stands under his reference and those of the traces that led to his proposals."""
    reference = subject.reference
    erased = DataSubject.objects.filter(reference=reference).first()
    return About(
        reference=reference,
        kept=ending.kept([reference, *redaction.traces(subject)]),
        proposals=redaction.proposals_of(subject).count(),
        undecided=redaction.undecided(subject),
        holds=ending.holds_over(reference),
        erased_at=None if erased is None else erased.erased_at,
        is_under_way=Erasure.objects.filter(reference=reference, finished_at=None).exists(),
    )


def holds() -> list[LegalHold]:
    """Those that stand, the oldest first."""
    return list(ending.standing_holds())


def erasures() -> list[Erasure]:
    """The latest, without names."""
    return list(Erasure.objects.defer("subject_type", "subject_id").order_by("-pk")[:_LATEST])


def sentence(counts: Mapping[str, int]) -> str:
    """`3 texts and 2 proposals.` of what an erasure has taken."""
    parts = [
        f"{counts[name]} {one if counts[name] == 1 else many}"
        for name, (one, many) in _WORDS.items()
        if counts.get(name)
    ]
    return f"{', '.join(parts)} went." if parts else "Nothing was left to take."


def retention() -> dict[ContentKind, int | None]:
    return ending.retention()


@dataclass(frozen=True, slots=True)
class KindRow:
    """One kind of content: how much there is, and what so many days would take. `due` is None where it stays."""

    kind: ContentKind
    count: int
    days: int | None
    due: Due | None


def kinds(days: Days, *, now: datetime) -> list[KindRow]:
    """Every kind, in order."""
    there = dict(
        Content.objects.filter(ciphertext__isnull=False)
        .values("kind")
        .annotate(count=Count("pk"))
        .values_list("kind", "count")
    )
    held = redaction.held()
    return [
        KindRow(
            kind,
            there.get(kind.value, 0),
            many,
            None if many is None else ending.due(kind, many, now=now, held=held),
        )
        for kind, many in days.items()
    ]


def is_everything_held() -> bool:
    return ending.standing_holds().filter(subject=ending.EVERYBODY).exists()
