"""Django's admin, for admins only (see audit/admin_base.py: what is changed there leaves audit events)."""

from typing import Any

from django.contrib import admin
from django.contrib.auth.views import redirect_to_login
from django.http import HttpRequest, HttpResponse
from django.shortcuts import redirect
from django.urls import reverse

from accounts.exceptions import NotAllowed
from audit.admin_base import AuditedAdmin, ReadOnlyAdmin


class AuditedAdminSite(admin.AdminSite):
    site_header = "Countersign administration"
    site_title = "Countersign"

    def has_permission(self, request: HttpRequest) -> bool:
        return bool(request.user.is_active and getattr(request.user, "is_admin", False))

    def login(self, request: HttpRequest, extra_context: Any = None) -> HttpResponse:
        """There is one door: its attempts are counted and slowed. Who is in and is no admin is refused, and that is
        an event."""
        if request.user.is_authenticated:
            raise NotAllowed("Only admins use the administration.")
        return redirect_to_login(request.GET.get("next", "") or reverse("admin:index"))

    def password_change(  # type: ignore[override]  # no page of its own
        self, request: HttpRequest, extra_context: Any = None
    ) -> HttpResponse:
        """The one page for it, whose change is an event; Django's own would leave none."""
        return redirect("account_change_password")

    def register(self, model_or_iterable: Any, admin_class: Any = None, **options: Any) -> None:
        """What libraries register for themselves (teams, sites' addresses) would change unaudited: it is read-only."""
        if admin_class is None:
            admin_class = ReadOnlyAdmin
        elif not issubclass(admin_class, AuditedAdmin):
            admin_class = type(admin_class.__name__, (ReadOnlyAdmin, admin_class), {})
        super().register(model_or_iterable, admin_class, **options)
