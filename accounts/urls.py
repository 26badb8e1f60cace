"""Addresses of the pages about people and teams. A person's own page is in approvals, which knows queues and agents."""

from django.urls import path

from accounts import views, views_directory, views_links, views_security, views_time

app_name = "accounts"
urlpatterns = [
    path("people/", views.person_list, name="people"),
    path("people/invite/", views.person_invite, name="person_invite"),
    path("people/<int:person_id>/issue-link/", views.person_issue_link, name="person_issue_link"),
    path("people/<int:person_id>/reactivate/", views.person_reactivate, name="person_reactivate"),
    path(
        "people/<int:person_id>/sessions/end/",
        views_security.person_sessions_end,
        name="person_sessions_end",
    ),
    path(
        "people/<int:person_id>/factors/take/",
        views_security.person_factors_take,
        name="person_factors_take",
    ),
    path("people/<int:person_id>/accounts/", views_links.account_links, name="account_links"),
    path(
        "people/<int:person_id>/accounts/<int:link_id>/untie/",
        views_links.account_unlink,
        name="account_unlink",
    ),
    path("preferences/", views.preferences, name="preferences"),
    path("absence/", views_time.absence, name="absence"),
    path("absences/", views_time.absence_list, name="absence_list"),
    path("absences/<int:absence_id>/end/", views_time.absence_end, name="absence_end"),
    path("directory/", views_directory.page, name="directory"),
    path("directory/tokens/issue/", views_directory.token_issue, name="directory_token_issue"),
    path(
        "directory/tokens/<int:token_id>/revoke/", views_directory.token_revoke, name="directory_token_revoke"
    ),
    path("directory/teams/connect/", views_directory.team_connect, name="directory_team_connect"),
    path(
        "directory/teams/<int:team_id>/disconnect/",
        views_directory.team_disconnect,
        name="directory_team_disconnect",
    ),
    path("password/<str:link>/", views.password_set, name="password_set"),
    path("teams/", views.team_list, name="teams"),
    path("teams/<int:team_id>/", views.team, name="team"),
    path("teams/<int:team_id>/add/", views.team_add, name="team_add"),
    path("teams/<int:team_id>/members/<int:person_id>/remove/", views.team_remove, name="team_remove"),
]
