"""Django's admin, for admins only (see audit/admin.py: what is changed there leaves audit events)."""

from django.contrib import admin
from django.http import HttpRequest


class AuditedAdminSite(admin.AdminSite):
    site_header = "Countersign administration"
    site_title = "Countersign"

    def has_permission(self, request: HttpRequest) -> bool:
        return bool(request.user.is_active and getattr(request.user, "is_superuser", False))
