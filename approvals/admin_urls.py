"""Addresses of the pages for owners and admins that know proposals, queues or policies (included by approvals.urls).

`-` stands where a name would, and can be none."""

from django.urls import path
from django.views.generic import RedirectView

from approvals.views import (
    access,
    access_matrix,
    agents,
    calendars,
    leaving,
    notifications,
    outgoing,
    people,
    policies,
    settings,
    signatures,
    standing,
    webhooks,
)

_WEBHOOK = "agents/<slug:slug>/webhooks/<int:endpoint_id>/"

urlpatterns = [
    path("agents/", agents.agent_list, name="agent_list"),
    path("agents/<slug:slug>/", agents.agent, name="agent"),
    path("agents/<slug:slug>/suspend/", agents.agent_suspend, name="agent_suspend"),
    path("agents/<slug:slug>/resume/", agents.agent_resume, name="agent_resume"),
    path("agents/<slug:slug>/go-live/", agents.agent_go_live, name="agent_go_live"),
    path("agents/<slug:slug>/transfer/", agents.agent_transfer, name="agent_transfer"),
    path("agents/<slug:slug>/retire/", agents.agent_retire, name="agent_retire"),
    path("agents/<slug:slug>/mandates/<str:action_type>/", standing.mandate, name="mandate"),
    *(
        path(f"agents/<slug:slug>/mandates/<str:action_type>/{name}/", view, name=f"mandate_{name}")
        for name, view in standing.ACTIONS.items()
    ),
    path("agents/<slug:slug>/webhooks/", webhooks.webhook_list, name="webhook_list"),
    path("agents/<slug:slug>/webhooks/add/", webhooks.webhook_add, name="webhook_add"),
    path(_WEBHOOK, webhooks.webhook, name="webhook"),
    path(f"{_WEBHOOK}edit/", webhooks.webhook_edit, name="webhook_edit"),
    path(f"{_WEBHOOK}rotate/", webhooks.webhook_rotate, name="webhook_rotate"),
    path(f"{_WEBHOOK}pause/", webhooks.webhook_pause, name="webhook_pause"),
    path(f"{_WEBHOOK}resume/", webhooks.webhook_resume, name="webhook_resume"),
    path(f"{_WEBHOOK}remove/", webhooks.webhook_remove, name="webhook_remove"),
    path(f"{_WEBHOOK}test/", webhooks.webhook_test, name="webhook_test"),
    path(f"{_WEBHOOK}redrive/", webhooks.webhook_redrive, name="webhook_redrive"),
    path(f"{_WEBHOOK}messages/<int:delivery_id>/", webhooks.webhook_delivery, name="webhook_delivery"),
    path(f"{_WEBHOOK}messages/<int:delivery_id>/resend/", webhooks.webhook_resend, name="webhook_resend"),
    path("promotions/<int:promotion_id>/confirm/", standing.promotion_confirm, name="promotion_confirm"),
    path("promotions/<int:promotion_id>/decline/", standing.promotion_decline, name="promotion_decline"),
    path("setup/signatures/", signatures.signature_list, name="signature_list"),
    path("setup/signatures/<int:signature_id>/sign/", signatures.signature_sign, name="signature_sign"),
    path(
        "setup/signatures/<int:signature_id>/decline/", signatures.signature_decline, name="signature_decline"
    ),
    path("setup/", RedirectView.as_view(pattern_name="approvals:policy_list"), name="setup"),
    path("setup/policies/", policies.policy_list, name="policy_list"),
    path("setup/policies/-/add/", policies.policy_add, name="policy_add"),
    path("setup/policies/<slug:domain>/", policies.policy, name="policy"),
    path("setup/policies/<slug:domain>/publish/", policies.policy_publish, name="policy_publish"),
    path("setup/queues/", settings.queue_list, name="queue_settings_list"),
    path("setup/queues/-/add/", settings.queue_add, name="queue_add"),
    path("setup/queues/<slug:slug>/", settings.queue, name="queue_settings"),
    path("setup/queues/<slug:slug>/edit/", settings.queue_edit, name="queue_edit"),
    path("setup/queues/<slug:slug>/reviewers/add/", settings.reviewer_add, name="reviewer_add"),
    path(
        "setup/queues/<slug:slug>/reviewers/<str:kind>/<int:holder_id>/remove/",
        settings.reviewer_remove,
        name="reviewer_remove",
    ),
    path("setup/calendars/", calendars.calendar_list, name="calendar_list"),
    path("setup/calendars/-/add/", calendars.calendar_add, name="calendar_add"),
    path("setup/calendars/<int:calendar_id>/", calendars.calendar_edit, name="calendar_edit"),
    path("setup/undelivered/", notifications.undelivered, name="undelivered"),
    path("setup/undelivered/retry/", notifications.undelivered_retry, name="undelivered_retry"),
    path("setup/outgoing/", outgoing.network_list, name="network_list"),
    path("setup/outgoing/allow/", outgoing.network_allow, name="network_allow"),
    path("setup/outgoing/<int:network_id>/close/", outgoing.network_close, name="network_close"),
    path("outcomes/unknown/", settings.unknown_outcomes, name="unknown_outcomes"),
    path("outcomes/<uuid:proposal_id>/settle/", settings.outcome_settle, name="outcome_settle"),
    path("permissions/", access_matrix.access_matrix, name="access_matrix"),
    path("permissions/history/", access.access_history, name="access_history"),
    path("permissions/assignments/<int:assignment_id>/end/", access_matrix.role_end, name="role_end"),
    path("permissions/<str:scope>/<str:scope_id>/", access.access_of, name="access_of"),
    path("permissions/<str:kind>/<int:holder_id>/give/", access_matrix.role_give, name="role_give"),
    path(
        "permissions/<str:kind>/<int:holder_id>/<str:scope>/<str:scope_id>/",
        access_matrix.access_cell,
        name="access_cell",
    ),
    path("people/<int:person_id>/access/", access.person_access, name="person_access"),
    path("people/<int:person_id>/", people.person, name="person"),
    path("people/<int:person_id>/deactivate/", leaving.person_deactivate, name="person_deactivate"),
    path("objects/<str:object_type>/<str:object_id>/", settings.object_page, name="object"),
]
