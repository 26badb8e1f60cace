"""Agents and all around them in Django's admin: read-only, since changes have to be checked and bump the authority."""

from django.contrib import admin

from agents.models import ActionType, Agent, Credential, Evidence, Mandate, TierChange
from audit.admin_base import ReadOnlyAdmin


@admin.register(Agent)
class AgentAdmin(ReadOnlyAdmin):
    list_display = ("slug", "name", "owner", "team", "version", "state")
    list_select_related = ("owner", "team")


@admin.register(Credential)
class CredentialAdmin(ReadOnlyAdmin):
    list_display = ("key_id", "agent", "registered_by", "expires_at", "revoked_at", "last_used_at")
    list_select_related = ("agent", "registered_by")
    exclude = ("token_hash",)


@admin.register(ActionType)
class ActionTypeAdmin(ReadOnlyAdmin):
    list_display = ("name", "label", "domain", "risk", "version")


@admin.register(Mandate)
class MandateAdmin(ReadOnlyAdmin):
    list_display = ("agent", "action_type", "tier", "ceiling", "active")
    list_select_related = ("agent", "action_type")


@admin.register(TierChange)
class TierChangeAdmin(ReadOnlyAdmin):
    list_display = ("mandate", "before", "after", "changed_by", "changed_at")
    list_select_related = ("mandate__agent", "mandate__action_type", "changed_by")


@admin.register(Evidence)
class EvidenceAdmin(ReadOnlyAdmin):
    list_display = ("agent", "action_type", "verdict", "loss", "probability", "judged_at")
    list_select_related = ("agent", "action_type")
    ordering = ("-id",)
    show_full_result_count = False
