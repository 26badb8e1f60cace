"""Addresses of the pages about audit."""

from django.urls import path

from audit.views import events, explorer, exports, log

app_name = "audit"
urlpatterns = [
    path("audit/", explorer.explorer, name="explorer"),
    path("audit/log/", log.log_page, name="log"),
    path("audit/export/", exports.export, name="export"),
    path("audit/events/<int:event_id>/", events.event, name="event"),
    path("audit/events/<int:event_id>/proof/", exports.proof, name="proof"),
]
