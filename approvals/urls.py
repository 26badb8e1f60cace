"""Addresses of the reviewers' pages."""

from django.urls import URLPattern, URLResolver, include, path

app_name = "approvals"
urlpatterns: list[URLPattern | URLResolver] = [
    path("", include("approvals.admin_urls")),
]
