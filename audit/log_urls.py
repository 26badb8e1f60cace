"""Addresses of the log's files, as C2SP tlog-tiles lays them out. A pattern takes what the log writes, nothing else."""

from django.urls import path, re_path

from audit import views_log

_NUMBER = r"(?:x[0-9]{3}/){0,6}[0-9]{3}"
_WIDTH = r"[1-9][0-9]?|1[0-9]{2}|2[0-4][0-9]|25[0-5]"
_LEVEL = r"[0-9]|[1-5][0-9]|6[0-3]|entries"
_SIZE = r"0|[1-9][0-9]{0,17}"

app_name = "tlog"
urlpatterns = [
    path("checkpoint", views_log.checkpoint, name="checkpoint"),
    path("key", views_log.key, name="key"),
    re_path(rf"\Atile/(?P<name>(?:{_LEVEL})/{_NUMBER}(?:\.p/(?:{_WIDTH}))?)\Z", views_log.tile, name="tile"),
    re_path(r"\Acheckpoints/(?P<name>[0-9]{4}-[0-9]{2}-[0-9]{2})\Z", views_log.day, name="day"),
    re_path(rf"\Atimestamps/(?P<name>(?:{_SIZE})\.(?:tsr|txt))\Z", views_log.timestamp, name="timestamp"),
    re_path(rf"\Acosignatures/(?P<name>{_SIZE})\Z", views_log.cosignature, name="cosignature"),
    path("cosignatures", views_log.cosign, name="cosign"),
    re_path(r"", views_log.nothing),
]
