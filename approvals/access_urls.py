"""Addresses of the pages on which access is asked for, reviewed and changed by two (included by approvals.urls)."""

from django.urls import path

from approvals.views import access_requests

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
]
