"""Addresses of the reviewers' pages."""

from django.urls import URLPattern, URLResolver, include, path

from approvals.views import (
    activity,
    alike,
    backtests,
    blind,
    comments,
    disputes,
    edit,
    handing,
    history,
    incidents,
    lists,
    monitor,
    notifications,
    probes,
    proposals,
    queues,
    saved_views,
    settle,
    stops,
    trails,
    what_if,
)
from approvals.views import print as print_view

app_name = "approvals"
urlpatterns: list[URLPattern | URLResolver] = [
    path("", queues.home, name="home"),
    path("queues/", queues.queue_list, name="queue_list"),
    path("queues/<slug:slug>/", lists.queue, name="queue"),
    path("queues/<slug:slug>/pulse/", lists.queue_pulse, name="queue_pulse"),
    path("queues/<slug:slug>/alike/", alike.queue_alike, name="queue_alike"),
    path("queues/<slug:slug>/alike/link/", alike.queue_alike_link, name="queue_alike_link"),
    path("queues/<slug:slug>/alike/<uuid:member>/", alike.queue_alike_group, name="queue_alike_group"),
    path("proposals/", lists.proposal_list, name="proposal_list"),
    path("proposals/pulse/", lists.proposal_list_pulse, name="proposal_list_pulse"),
    path("views/", saved_views.view_save, name="view_save"),
    path("views/none/begin/", saved_views.view_begin_none, name="view_begin_none"),
    path("views/<int:view_id>/begin/", saved_views.view_begin, name="view_begin"),
    path("views/<int:view_id>/remove/", saved_views.view_remove, name="view_remove"),
    path("history/", history.own_history, name="history"),
    path("monitor/", monitor.monitor_page, name="monitor"),
    path("monitor/pulse/", monitor.monitor_pulse, name="monitor_pulse"),
    *(
        path(f"monitor/<uuid:proposal_id>/{way}/", monitor.monitor_act, {"way": way}, name=f"monitor_{way}")
        for way in monitor.WAYS
    ),
    path("next/", queues.claim_next, name="claim_next"),
    path("proposals/<uuid:proposal_id>/", proposals.proposal, name="proposal"),
    path("proposals/<uuid:proposal_id>/activity/", activity.proposal_activity, name="proposal_activity"),
    path(
        "proposals/<uuid:proposal_id>/activity/<uuid:activity_id>/",
        activity.proposal_activity_item,
        name="proposal_activity_item",
    ),
    path("proposals/<uuid:proposal_id>/print/", print_view.proposal_print, name="proposal_print"),
    path("proposals/<uuid:proposal_id>/pulse/", proposals.proposal_pulse, name="proposal_pulse"),
    path("proposals/<uuid:proposal_id>/claim/", proposals.proposal_claim, name="proposal_claim"),
    path("proposals/<uuid:proposal_id>/renew/", proposals.proposal_renew, name="proposal_renew"),
    path("proposals/<uuid:proposal_id>/release/", proposals.proposal_release, name="proposal_release"),
    path("proposals/<uuid:proposal_id>/skip/", handing.proposal_skip, name="proposal_skip"),
    path("proposals/<uuid:proposal_id>/assign/", handing.proposal_assign, name="proposal_assign"),
    path("proposals/<uuid:proposal_id>/escalate/", handing.proposal_escalate, name="proposal_escalate"),
    path("proposals/<uuid:proposal_id>/undo/", settle.proposal_undo, name="proposal_undo"),
    path("proposals/<uuid:proposal_id>/comment/", comments.proposal_comment, name="proposal_comment"),
    path("proposals/<uuid:proposal_id>/comments/", comments.proposal_comments, name="proposal_comments"),
    path("proposals/<uuid:proposal_id>/edit/", edit.proposal_edit, name="proposal_edit"),
    path(
        "proposals/<uuid:proposal_id>/edit/preview/", edit.proposal_edit_preview, name="proposal_edit_preview"
    ),
    *(
        path(
            f"proposals/<uuid:proposal_id>/{verdict}/",
            proposals.proposal_decide,
            {"verdict": verdict},
            name=f"proposal_{verdict}",
        )
        for verdict in proposals.VERDICTS
    ),
    path("disputes/", disputes.dispute_list, name="dispute_list"),
    path("proposals/<uuid:proposal_id>/dispute/", disputes.proposal_dispute, name="proposal_dispute"),
    path("incidents/", incidents.incident_list, name="incident_list"),
    path("incidents/report/", incidents.incident_report, name="incident_report"),
    path("incidents/<int:incident_id>/", incidents.incident_page, name="incident"),
    path("incidents/<int:incident_id>/write/", incidents.incident_write, name="incident_write"),
    path("agents/<slug:slug>/mandates/<str:action_type>/what-if/", what_if.what_if, name="what_if"),
    path("backtests/", backtests.backtest_list, name="backtest_list"),
    path("backtests/<int:backtest_id>/", backtests.backtest_page, name="backtest"),
    path("backtests/<int:backtest_id>/progress/", backtests.backtest_progress, name="backtest_progress"),
    path("backtests/<int:backtest_id>/result.json", backtests.backtest_json, name="backtest_json"),
    path("backtests/<int:backtest_id>/remove/", backtests.backtest_remove, name="backtest_remove"),
    path("reviews/", blind.blind_list, name="blind_list"),
    path("reviews/next/", blind.blind_next, name="blind_next"),
    path("reviews/<int:review_id>/", blind.blind_page, name="blind_review"),
    path("reviews/<int:review_id>/judge/", blind.blind_judge, name="blind_judge"),
    path("reviews/<int:review_id>/claim/", blind.blind_claim, name="blind_claim"),
    path("reviews/<int:review_id>/renew/", blind.blind_renew, name="blind_renew"),
    path("reviews/<int:review_id>/release/", blind.blind_release, name="blind_release"),
    path("audit/of/<slug:object_type>/<str:object_id>/", trails.trail, name="trail"),
    path("stops/", stops.stop_list, name="stop_list"),
    path("stops/pull/", stops.stop_pull, name="stop_pull"),
    path("stops/<int:stop_id>/lift/", stops.stop_lift, name="stop_lift"),
    path("notifications/", notifications.notification_list, name="notification_list"),
    path("notifications/bell/", notifications.notification_bell, name="notification_bell"),
    path("notifications/arrived/", notifications.notification_arrived, name="notification_arrived"),
    path("notifications/read/", notifications.notification_read_all, name="notification_read_all"),
    path(
        "notifications/<int:notification_id>/open/", notifications.notification_open, name="notification_open"
    ),
    path(
        "notifications/<int:notification_id>/read/", notifications.notification_read, name="notification_read"
    ),
    path("notifications/settings/", notifications.notification_settings, name="notification_settings"),
    path("notifications/settings/ways/", notifications.notification_ways, name="notification_ways"),
    path(
        "notifications/settings/test/<slug:way>/", notifications.notification_test, name="notification_test"
    ),
    path("notifications/settings/chat/add/", notifications.chat_address_add, name="chat_address_add"),
    path(
        "notifications/settings/chat/<int:address_id>/remove/",
        notifications.chat_address_remove,
        name="chat_address_remove",
    ),
    path("notifications/deliveries/retry/", notifications.deliveries_retry, name="deliveries_retry"),
    path("probes/", probes.probe_library_list, name="probe_library"),
    path("probes/mine/", probes.probe_record, name="probe_record"),
    path("probes/mine/<int:serving_id>/appeal/", probes.probe_appeal_send, name="probe_appeal"),
    path("probes/appeals/", probes.probe_appeals, name="probe_appeals"),
    path("probes/appeals/<int:serving_id>/answer/", probes.probe_answer, name="probe_answer"),
    path("probes/<int:probe_id>/retire/", probes.probe_retire, name="probe_retire"),
    path("probes/<int:probe_id>/restore/", probes.probe_restore, name="probe_restore"),
    path("probes/of/<str:action_type>/", probes.probe_shelf, name="probe_shelf"),
    path("probes/of/<str:action_type>/add/", probes.probe_add, name="probe_add"),
    path("probes/of/<str:action_type>/from/<uuid:proposal_id>/", probes.probe_make, name="probe_make"),
    path("", include("approvals.admin_urls")),
]
