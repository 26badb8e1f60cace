"""Append-only audit events. Written by `audit.recording` alone, read through `audit.selectors`."""

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
        ]

    def __str__(self) -> str:
        return f"{self.kind} {self.object_type} {self.object_id}"

    @property
    def data(self) -> dict[str, Any]:
        """The content as a mapping: actor, source, before, after, detail, …"""
        data: dict[str, Any] = msgspec.json.decode(self.content)
        return data
