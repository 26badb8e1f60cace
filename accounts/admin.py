"""People in Django's admin: their particulars may be mended there, audited; roles, teams and passwords have pages."""

from django.contrib import admin
from django.http import HttpRequest

from accounts.models import User
from audit.admin_base import AuditedAdmin


@admin.register(User)
class UserAdmin(AuditedAdmin):
    list_display = ("email", "name", "is_active", "is_admin", "last_login")
    search_fields = ("email", "name")
    fields = (
        "email",
        "name",
        "time_zone",
        "is_active",
        "is_admin",
        "date_joined",
        "last_login",
        "groups",
    )
    readonly_fields = ("email", "is_active", "is_admin", "date_joined", "last_login", "groups")

    def has_add_permission(self, request: HttpRequest, obj: object = None) -> bool:
        return False

    def has_delete_permission(self, request: HttpRequest, obj: object = None) -> bool:
        return False
