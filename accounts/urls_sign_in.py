"""Addresses of signing in and of one's own security, below /account/. They stand before django-allauth's and bear the
names by which it knows its own."""

from django.urls import path

from accounts import views_security, views_sign_in

urlpatterns = [
    path("passkey/", views_sign_in.passkey_sign_in, name="mfa_login_webauthn"),
    path("passkey/options/", views_sign_in.passkey_options, name="passkey_options"),
    path("second/", views_sign_in.second_step, name="mfa_authenticate"),
    path("second/options/", views_sign_in.second_step_options, name="second_step_options"),
    path("reauthenticate/", views_sign_in.step_up, name="account_reauthenticate"),
    path("reauthenticate/options/", views_sign_in.step_up_options, name="step_up_options"),
    path("session/", views_sign_in.session_state, name="session_state"),
    path("session/stay/", views_sign_in.session_stay, name="session_stay"),
    path("session/again/", views_sign_in.signed_in_again, name="signed_in_again"),
    path("security/", views_security.security, name="mfa_index"),
    path("security/app/", views_security.app_add, name="mfa_activate_totp"),
    path("security/passkeys/add/", views_security.passkey_add, name="mfa_add_webauthn"),
    path("security/passkeys/options/", views_security.passkey_add_options, name="passkey_add_options"),
    path("security/passkeys/<int:factor_id>/rename/", views_security.passkey_rename, name="passkey_rename"),
    path("security/factors/<int:factor_id>/remove/", views_security.factor_remove, name="factor_remove"),
    path("security/codes/", views_security.recovery_codes, name="mfa_view_recovery_codes"),
    path("security/sessions/end/", views_security.sessions_end, name="sessions_end"),
    path("security/sessions/<int:session_id>/end/", views_security.session_end, name="session_end"),
    path("password/change/", views_security.password_change, name="account_change_password"),
]
