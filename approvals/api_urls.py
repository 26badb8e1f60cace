"""Addresses of the agents' API."""

from django.urls import path

from approvals import api, api_activity, api_batch, api_events, openapi, openapi_page

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
    path("v1/openapi.json", openapi.document_view, name="openapi"),
    path("docs", openapi_page.docs_view, name="api-docs"),
]
