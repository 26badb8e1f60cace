"""All addresses."""

from django.contrib import admin
from django.urls import include, path, re_path

from accounts import oidc_views
from accounts.scim import urls as scim
from accounts.views import closed
from agents import strict_json
from approvals import api, api_traces
from approvals.services import deactivate
from config import views

urlpatterns = [
    path("healthz", views.healthz),
    path("readyz", views.readyz),
    path("favicon.ico", views.favicon),
    path(".well-known/jwks.json", api.jwks),
    path("api/", include("approvals.api_urls")),
    path("tlog/", include("audit.log_urls")),
    path("v1/traces", api_traces.traces),
    path("scim/v2/", include(scim.addresses(parse=strict_json.loads, shut_out=deactivate.by_directory))),
    path("welcome/<str:token>/", views.welcome, name="welcome"),
    re_path(r"^account/(?:email|confirm-email|password/reset|password/set|signup)/", closed),
    path("account/oidc/<slug:key>/begin/", oidc_views.begin, name="oidc_begin"),
    path("account/oidc/<slug:key>/callback/", oidc_views.callback, name="oidc_callback"),
    path("account/", include("accounts.urls_sign_in")),
    path("account/", include("allauth.account.urls")),
    path("admin/", admin.site.urls),
    path("", include("approvals.urls")),
    path("", include("agents.urls")),
    path("", include("audit.urls")),
    path("", include("accounts.urls")),
]
handler400 = "config.views.bad_request"
handler404 = "config.views.not_found"
handler429 = "accounts.sign_in.too_many"  # allauth's
handler500 = "config.views.server_error"
