"""Addresses of the agents' API."""

from django.urls import path

from approvals import api, api_activity, api_batch, api_events, api_imports, openapi, openapi_page

urlpatterns = [
    path("v1/me", api.me),
    path("v1/activity", api_activity.activity),
    path("v1/proposals", api.proposals),
    path("v1/proposals/batch", api_batch.batch),
    path("v1/proposals/<uuid:proposal_id>", api.proposal),
    path("v1/proposals/<uuid:proposal_id>/redeem", api.redeem),
    path("v1/proposals/<uuid:proposal_id>/outcome", api.outcome),
    path("v1/proposals/<uuid:proposal_id>/withdraw", api.withdraw),
    path("v1/proposals/<uuid:proposal_id>/revise", api.revise),
    path("v1/events", api_events.events),
    path("v1/import/agent-inbox", api_imports.agent_inbox_interrupts),
    path("v1/import/agent-inbox/<uuid:proposal_id>", api_imports.agent_inbox_answer),
    path("v1/import/humanlayer/function_calls", api_imports.function_calls),
    path("v1/import/humanlayer/function_calls/<str:call_id>", api_imports.function_call),
    path("v1/import/humanlayer/agent/function_calls/<str:call_id>/respond", api_imports.agents_own_response),
    path("v1/import/humanlayer/contact_requests", api_imports.human_contacts),
    path("v1/import/humanlayer/human_contacts", api_imports.human_contacts),
    path("v1/import/authzen/tasks/<uuid:proposal_id>", api_imports.authzen_task),
    path("v1/openapi.json", openapi.document_view, name="openapi"),
    path("docs", openapi_page.docs_view, name="api-docs"),
]
