"""Append-only audit events, their places in the tree, and encrypted content.

Events are written by `audit.recording` alone, leaves by the sealer alone; both are read through `audit.selectors`."""

from typing import Any

import msgspec
from django.db import models
from django.db.models.expressions import RawSQL


class AuditEvent(models.Model):
    """One thing that happened, written in the transaction that made it happen.

    `content` is the exact RFC 8785 text that `commitment` = SHA-256(salt ‖ content) covers; it is text and not
    jsonb, so that the committed bytes are the stored bytes. `transaction` lets a sealer take events below
    `pg_snapshot_xmin`, `recorded_at` is the database's clock."""

    id = models.BigAutoField(primary_key=True)
    transaction = models.BigIntegerField(
        db_default=RawSQL("pg_current_xact_id()::text::bigint", ()), editable=False
    )
    recorded_at = models.DateTimeField(db_default=RawSQL("clock_timestamp()", ()), editable=False)
    kind = models.CharField(max_length=48)
    actor_kind = models.CharField(max_length=8)
    actor_id = models.CharField(max_length=64)
    object_type = models.CharField(max_length=24)
    object_id = models.CharField(max_length=64)
    object_version = models.IntegerField(null=True)
    content = models.TextField()
    salt = models.BinaryField(max_length=32)
    commitment = models.BinaryField(max_length=32)

    class Meta:
        constraints = [
            models.UniqueConstraint(
                fields=["object_type", "object_id", "object_version"],
                condition=models.Q(object_version__isnull=False),
                name="one_audit_event_per_state_change",
            )
        ]
        indexes = [
            models.Index(fields=["object_type", "object_id", "id"], name="audit_by_object"),
            models.Index(fields=["actor_kind", "actor_id", "id"], name="audit_by_actor"),
            models.Index(fields=["transaction", "id"], name="audit_by_transaction"),
            models.Index(fields=["recorded_at", "id"], name="audit_by_time"),
        ]

    def __str__(self) -> str:
        return f"{self.kind} {self.object_type} {self.object_id}"

    words: dict[str, str] | None = None
    """What `audit.content.reveal` has opened of the words that `detail` names, by their names there."""

    @property
    def told(self) -> dict[str, Any]:
        """`data` with the words that were revealed."""
        data = self.data
        return data | {"detail": data["detail"] | self.words} if self.words else data

    @property
    def data(self) -> dict[str, Any]:
        """The content as a mapping: actor, source, before, after, detail, …"""
        data: dict[str, Any] = msgspec.json.decode(self.content)
        return data


class AuditLeaf(models.Model):
    """Where an event stands in the tree: an index to the log's files, which are the truth (DESIGN.md §6).

    `event` is no foreign key: a leaf outlives a row that somebody deleted, and so tells of it. `hash` is the RFC 6962
    hash of the leaf."""

    number = models.BigIntegerField(primary_key=True)
    event = models.BigIntegerField(unique=True)
    hash = models.BinaryField(max_length=32)
    sealed_at = models.DateTimeField(db_default=RawSQL("clock_timestamp()", ()), editable=False)

    def __str__(self) -> str:
        return f"leaf {self.number}: event {self.event}"


class Cosignature(models.Model):
    """A witness's signature under a checkpoint, as it came in; the sealer puts it into the log's folder.

    `line` is the signature line of the C2SP cosignature, `signed_at` the time that it carries."""

    size = models.BigIntegerField()
    root = models.BinaryField(max_length=32)
    witness = models.CharField(max_length=200)
    line = models.TextField()
    signed_at = models.DateTimeField()
    received_at = models.DateTimeField(db_default=RawSQL("clock_timestamp()", ()), editable=False)

    class Meta:
        constraints = [
            models.UniqueConstraint(fields=["witness", "size"], name="one_cosignature_per_checkpoint")
        ]

    def __str__(self) -> str:
        return f"{self.witness} on {self.size}"


class ContentKind(models.TextChoices):
    """What a piece of content is; how long it is kept is decided per kind."""

    PROMPT = "prompt", "Prompts"
    OUTPUT = "output", "Outputs of models"
    TOOL_CALL = "tool_call", "Tool calls"
    TOOL_RESULT = "tool_result", "Tool results"
    CONTEXT = "context", "Conversations sent with a proposal"
    SHEET = "sheet", "What a reviewer was shown"
    WORDS = "words", "What people and agents wrote about a proposal"


class Content(models.Model):
    """A text that may hold personal data, encrypted under its data subject's key, which is not in the database.

    `subject` names the key (`audit.keys`), empty where no subject is known. `commitment` is SHA-256(salt ‖ body); the
    salt is inside `ciphertext`, so that an erased body cannot be guessed at. `ciphertext` goes when the retention
    ends or the key is destroyed; the row, and what was sealed of it, stays."""

    id = models.UUIDField(primary_key=True)
    kind = models.CharField(max_length=16, choices=ContentKind)
    subject = models.CharField(max_length=64, blank=True)
    commitment = models.BinaryField(max_length=32)
    size = models.IntegerField()
    ciphertext = models.BinaryField(null=True)
    created_at = models.DateTimeField()
    gone_at = models.DateTimeField(null=True)
    gone_why = models.CharField(max_length=16, blank=True)

    class Meta:
        indexes = [
            models.Index(fields=["subject"], name="content_by_subject"),
            models.Index(
                fields=["kind", "created_at"],
                condition=models.Q(ciphertext__isnull=False),
                name="content_by_age",
            ),
        ]

    def __str__(self) -> str:
        return f"{self.kind} {self.id}"


class DataSubject(models.Model):
    """Somebody who was erased; `reference` names the key that was destroyed and says nothing else.

    There is no list of those whose data is kept: their references stand at their contents."""

    reference = models.CharField(max_length=64, unique=True)
    created_at = models.DateTimeField()
    erased_at = models.DateTimeField(null=True)

    def __str__(self) -> str:
        return self.reference


class Erasure(models.Model):
    """One erasure from its asking to its end, so that it goes on after whatever interrupts it.

    `subject_type` and `subject_id` are needed to find what tells of him, and are emptied when it is finished.
    `keys` maps each reference that has to go to the id of the key that was there when it was asked: what is written
    afterwards is under another. `counts` says what has gone so far."""

    reference = models.CharField(max_length=64)
    subject_type = models.CharField(max_length=60, blank=True)
    subject_id = models.CharField(max_length=200, blank=True)
    reason = models.TextField()
    asked_by = models.CharField(max_length=200)
    asked_by_id = models.CharField(max_length=64)
    asked_at = models.DateTimeField()
    keys = models.JSONField(default=dict)
    counts = models.JSONField(default=dict)
    finished_at = models.DateTimeField(null=True)

    class Meta:
        constraints = [
            models.UniqueConstraint(
                fields=["reference"], condition=models.Q(finished_at=None), name="one_erasure_at_a_time"
            )
        ]

    def __str__(self) -> str:
        return f"erasure of {self.reference[:12]}"


class Retention(models.Model):
    """How long content of one kind is kept; no row or no days: until its subject is erased."""

    kind = models.CharField(max_length=16, choices=ContentKind, unique=True)
    days = models.PositiveIntegerField(null=True)

    def __str__(self) -> str:
        return f"{self.kind}: {self.days} days"


class LegalHold(models.Model):
    """While it stands, nothing that it names is erased or runs out. An empty `subject` names everybody."""

    subject = models.CharField(max_length=64, blank=True)
    label = models.CharField(max_length=200)
    reason = models.TextField()
    placed_by = models.CharField(max_length=200)
    placed_at = models.DateTimeField()
    lifted_by = models.CharField(max_length=200, blank=True)
    lifted_at = models.DateTimeField(null=True)

    def __str__(self) -> str:
        return self.label


class SealerState(models.Model):
    """What the sealer last said of itself: one row, written by the sealer alone.

    `problem` is empty while it works; while it cannot write the log (a full disk, a tree that contradicts the last
    checkpoint) it says why, and decisions are refused until it can again."""

    id = models.SmallIntegerField(primary_key=True, default=1)
    size = models.BigIntegerField(default=0)
    problem = models.TextField(blank=True)
    since = models.DateTimeField()
    beat_at = models.DateTimeField()

    class Meta:
        constraints = [models.CheckConstraint(condition=models.Q(id=1), name="one_sealer_state")]

    def __str__(self) -> str:
        return self.problem or f"{self.size} sealed"
