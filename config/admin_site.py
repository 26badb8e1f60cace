"""Django's admin, for admins only (see audit/admin_base.py: what is changed there leaves audit events)."""

from typing import Any

from django.contrib import admin
from django.http import HttpRequest

from audit.admin_base import AuditedAdmin, ReadOnlyAdmin


class AuditedAdminSite(admin.AdminSite):
    site_header = "Countersign administration"
    site_title = "Countersign"

    def has_permission(self, request: HttpRequest) -> bool:
        return bool(request.user.is_active and getattr(request.user, "is_superuser", False))

    def register(self, model_or_iterable: Any, admin_class: Any = None, **options: Any) -> None:
        """What libraries register for themselves (teams, sites' addresses) would change unaudited: it is read-only."""
        if admin_class is None:
            admin_class = ReadOnlyAdmin
        elif not issubclass(admin_class, AuditedAdmin):
            admin_class = type(admin_class.__name__, (ReadOnlyAdmin, admin_class), {})
        super().register(model_or_iterable, admin_class, **options)
