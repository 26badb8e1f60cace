"""Addresses of the reviewers' pages."""

from django.urls import URLPattern, URLResolver, include, path

from approvals.views import comments, edit, handing, history, lists, proposals, queues, saved_views, settle

app_name = "approvals"
urlpatterns: list[URLPattern | URLResolver] = [
    path("", queues.home, name="home"),
    path("queues/", queues.queue_list, name="queue_list"),
    path("queues/<slug:slug>/", lists.queue, name="queue"),
    path("queues/<slug:slug>/pulse/", lists.queue_pulse, name="queue_pulse"),
    path("proposals/", lists.proposal_list, name="proposal_list"),
    path("proposals/pulse/", lists.proposal_list_pulse, name="proposal_list_pulse"),
    path("views/", saved_views.view_save, name="view_save"),
    path("views/none/begin/", saved_views.view_begin_none, name="view_begin_none"),
    path("views/<int:view_id>/begin/", saved_views.view_begin, name="view_begin"),
    path("views/<int:view_id>/remove/", saved_views.view_remove, name="view_remove"),
    path("history/", history.own_history, name="history"),
    path("next/", queues.claim_next, name="claim_next"),
    path("proposals/<uuid:proposal_id>/", proposals.proposal, name="proposal"),
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
    path("", include("approvals.admin_urls")),
]
