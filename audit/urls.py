"""Addresses of the pages about audit."""

from django.urls import path

from audit import views

app_name = "audit"
urlpatterns = [
    path("audit/", views.explorer, name="explorer"),
    path("audit/events/<int:event_id>/", views.event, name="event"),
]
