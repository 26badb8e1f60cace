from django.apps import AppConfig
from django.contrib.admin.apps import AdminConfig


class CountersignConfig(AppConfig):
    name = "config"
    label = "countersign"


class CountersignAdminConfig(AdminConfig):
    """Django's admin for the rare and raw; what it changes is audited (audit/admin.py)."""

    default_site = "config.admin_site.AuditedAdminSite"
