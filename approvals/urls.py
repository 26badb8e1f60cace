"""Addresses of the reviewers' pages."""

from django.urls import URLPattern

app_name = "approvals"
urlpatterns: list[URLPattern] = []
