"""Proposals and all around them in Django's admin: read-only, since only use cases may change them."""

from django.contrib import admin

from approvals.models import (
    Claim,
    Decision,
    Grant,
    Outcome,
    Policy,
    PolicyVersion,
    Proposal,
    Queue,
    Revision,
    SigningKey,
    Vote,
)
from audit.admin_base import ReadOnlyAdmin


@admin.register(Queue)
class QueueAdmin(ReadOnlyAdmin):
    list_display = ("slug", "name", "domain", "quorum", "due_minutes")


@admin.register(Policy)
class PolicyAdmin(ReadOnlyAdmin):
    list_display = ("domain", "name", "current")
    list_select_related = ("current__policy",)


@admin.register(PolicyVersion)
class PolicyVersionAdmin(ReadOnlyAdmin):
    list_display = ("policy", "number", "published_by", "published_at", "note")
    list_select_related = ("policy", "published_by")


@admin.register(Proposal)
class ProposalAdmin(ReadOnlyAdmin):
    list_display = ("id", "title", "agent", "state", "tier", "queue", "created_at")
    list_select_related = ("agent", "queue")
    list_filter = ("state", "tier")
    exclude = ("request_digest",)
    ordering = ("-id",)
    show_full_result_count = False


@admin.register(Revision)
class RevisionAdmin(ReadOnlyAdmin):
    list_display = ("proposal_id", "number", "digest", "editor", "created_at")
    list_select_related = ("editor",)
    fields = ("proposal", "number", "digest", "editor", "reply", "created_at", "arguments")
    readonly_fields = ("arguments",)
    ordering = ("-id",)
    show_full_result_count = False


@admin.register(Claim)
class ClaimAdmin(ReadOnlyAdmin):
    list_display = ("proposal_id", "reviewer", "claimed_at", "ended_at", "ended_by")
    list_select_related = ("reviewer",)
    ordering = ("-id",)
    show_full_result_count = False


@admin.register(Vote)
class VoteAdmin(ReadOnlyAdmin):
    list_display = ("proposal_id", "reviewer", "verdict", "reason", "voted_at")
    list_select_related = ("reviewer",)
    ordering = ("-id",)
    show_full_result_count = False


@admin.register(Decision)
class DecisionAdmin(ReadOnlyAdmin):
    list_display = ("proposal_id", "verdict", "label", "reason", "decided_at")
    ordering = ("-id",)
    show_full_result_count = False


@admin.register(Grant)
class GrantAdmin(ReadOnlyAdmin):
    """Without the token: a grant is for the agent, not for who reads along."""

    list_display = ("id", "proposal_id", "issued_at", "expires_at", "redeemed_at", "revoked_at")
    exclude = ("token",)
    ordering = ("-issued_at",)
    show_full_result_count = False


@admin.register(Outcome)
class OutcomeAdmin(ReadOnlyAdmin):
    list_display = ("proposal_id", "status", "external_id", "settled_by", "reported_at")
    list_select_related = ("settled_by",)
    ordering = ("-id",)
    show_full_result_count = False


@admin.register(SigningKey)
class SigningKeyAdmin(ReadOnlyAdmin):
    list_display = ("kid", "created_at", "retired_at")
    exclude = ("sealed_private",)
