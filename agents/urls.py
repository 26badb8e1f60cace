"""Addresses of the pages about agents. The list and an agent's own page are in approvals, which knows proposals.

`-` stands where a slug would, and can be none."""

from django.urls import path

from agents.views import action_types, agents, credentials, mandates, versions

app_name = "agents"
urlpatterns = [
    path("agents/-/register/", agents.agent_register, name="agent_register"),
    path("agents/<slug:slug>/edit/", agents.agent_edit, name="agent_edit"),
    path("agents/<slug:slug>/budget/", agents.agent_budget, name="agent_budget"),
    path("agents/<slug:slug>/managers/add/", agents.manager_add, name="manager_add"),
    path(
        "agents/<slug:slug>/managers/<str:kind>/<int:holder_id>/remove/",
        agents.manager_remove,
        name="manager_remove",
    ),
    path("agents/<slug:slug>/credentials/issue/", credentials.credential_issue, name="credential_issue"),
    path(
        "agents/<slug:slug>/credentials/<int:credential_id>/rotate/",
        credentials.credential_rotate,
        name="credential_rotate",
    ),
    path(
        "agents/<slug:slug>/credentials/<int:credential_id>/revoke/",
        credentials.credential_revoke,
        name="credential_revoke",
    ),
    path(
        "agents/<slug:slug>/credentials/<int:credential_id>/networks/",
        credentials.credential_networks,
        name="credential_networks",
    ),
    path("agents/<slug:slug>/identities/register/", credentials.identity_register, name="identity_register"),
    path("agents/<slug:slug>/mandates/-/add/", mandates.mandate_add, name="mandate_add"),
    path("agents/<slug:slug>/mandates/<str:action_type>/edit/", mandates.mandate_edit, name="mandate_edit"),
    path("agents/<slug:slug>/versions/", versions.version_list, name="version_list"),
    path("agents/<slug:slug>/versions/declare/", versions.version_declare, name="version_declare"),
    path(
        "agents/<slug:slug>/versions/equivalence/", versions.version_equivalence, name="version_equivalence"
    ),
    path(
        "agents/<slug:slug>/versions/answers/<int:signature_id>/",
        versions.version_answer,
        name="version_answer",
    ),
    path("setup/action-types/", action_types.action_type_list, name="action_types"),
    path("setup/action-types/-/add/", action_types.action_type_add, name="action_type_add"),
    path("setup/action-types/<str:name>/", action_types.action_type, name="action_type"),
    path("setup/action-types/<str:name>/edit/", action_types.action_type_edit, name="action_type_edit"),
]
