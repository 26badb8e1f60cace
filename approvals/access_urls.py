"""Addresses of the pages on which access is asked for, reviewed and changed by two (included by approvals.urls)."""

from django.urls import path

from approvals.views import access_requests, access_reviews, pending_changes

urlpatterns = [
    path("access/requests/", access_requests.request_list, name="access_requests"),
    path("access/requests/ask/", access_requests.request_ask, name="access_request_ask"),
    path(
        "access/requests/<int:request_id>/withdraw/",
        access_requests.request_withdraw,
        name="access_request_withdraw",
    ),
    path(
        "access/requests/<int:request_id>/approve/",
        access_requests.request_approve,
        name="access_request_approve",
    ),
    path(
        "access/requests/<int:request_id>/decline/",
        access_requests.request_decline,
        name="access_request_decline",
    ),
    path("access/reviews/", access_reviews.review_list, name="access_reviews"),
    path("access/reviews/begin/", access_reviews.review_begin, name="access_review_begin"),
    path("access/reviews/<int:review_id>/", access_reviews.review, name="access_review"),
    path("access/reviews/<int:review_id>/keep/", access_reviews.review_keep, name="access_review_keep"),
    path(
        "access/reviews/<int:review_id>/items/<int:item_id>/drop/",
        access_reviews.review_drop,
        name="access_review_drop",
    ),
    path("access/changes/", pending_changes.change_list, name="pending_changes"),
    path("access/changes/level/", pending_changes.level_set, name="second_person_level"),
    path("access/changes/<int:change_id>/approve/", pending_changes.change_approve, name="change_approve"),
    path("access/changes/<int:change_id>/decline/", pending_changes.change_decline, name="change_decline"),
    path("access/changes/<int:change_id>/withdraw/", pending_changes.change_withdraw, name="change_withdraw"),
]
