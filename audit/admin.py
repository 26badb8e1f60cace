"""Audit events in Django's admin: read-only."""

from django.contrib import admin

from audit.admin_base import ReadOnlyAdmin
from audit.models import AuditEvent


@admin.register(AuditEvent)
class AuditEventAdmin(ReadOnlyAdmin):
    list_display = ("id", "recorded_at", "kind", "actor_kind", "actor_id", "object_type", "object_id")
    list_filter = ("actor_kind", "object_type")
    ordering = ("-id",)
    show_full_result_count = False
