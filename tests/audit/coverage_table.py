"""Every address that takes anything but a GET, with the kinds of event that it writes, or why it writes none.

`tests/audit/test_coverage.py` walks the addresses: one that is missing here has to refuse a POST."""

from approvals.states import State
from audit.events import Kind as K

NOTHING = "nothing"


def nothing(why: str) -> tuple[str, str]:
    """No event, and the reason."""
    return (NOTHING, why)


def became(*states: State) -> tuple[str, ...]:
    return tuple(f"proposal.{state}" for state in states)


VOTED = (K.PROPOSAL_VOTED, K.PROPOSAL_HELD)
LOOKS = nothing("it shows, and changes nothing")
OWN_LIST = nothing("a person's own bookmarks: nobody else sees them and no decision depends on them")
SEEN = nothing("that one has looked at one's own notifications changes nothing for anybody")

ROUTES: dict[str, tuple[str, ...]] = {
    # Agents
    "api/v1/activity": (K.ACTIVITY_RECORDED,),
    "v1/traces": (K.ACTIVITY_RECORDED,),
    "api/v1/proposals": became(State.PENDING, State.DENIED, State.SCHEDULED, State.APPROVED),
    "api/v1/proposals/<uuid:proposal_id>/redeem": (*became(State.EXECUTING), K.ACCESS_REFUSED),
    "api/v1/proposals/<uuid:proposal_id>/outcome": became(State.SUCCEEDED, State.FAILED, State.UNKNOWN),
    "api/v1/proposals/<uuid:proposal_id>/withdraw": became(State.WITHDRAWN),
    "api/v1/proposals/<uuid:proposal_id>/revise": became(State.PENDING, State.DENIED),
    "tlog/cosignatures": (K.LOG_COSIGNED,),
    # The company's directory
    "scim/v2/ServiceProviderConfig": LOOKS,
    "scim/v2/ResourceTypes": LOOKS,
    "scim/v2/ResourceTypes/<str:name>": LOOKS,
    "scim/v2/Schemas": LOOKS,
    "scim/v2/Schemas/<str:name>": LOOKS,
    "scim/v2/Users/.search": LOOKS,
    "scim/v2/Groups/.search": LOOKS,
    "scim/v2/Users": (K.PERSON_CREATED, K.PERSON_CHANGED, K.PERSON_REACTIVATED),
    "scim/v2/Users/<str:key>": (
        K.PERSON_CHANGED,
        K.PERSON_DEACTIVATED,
        K.PERSON_REACTIVATED,
        K.PROPOSAL_RELEASED,
        K.TEAM_CHANGED,
    ),
    "scim/v2/Groups": (K.TEAM_CHANGED, K.TEAM_CONNECTED),
    "scim/v2/Groups/<str:key>": (K.TEAM_CHANGED, K.TEAM_CONNECTED),
    "account/oidc/<slug:key>/begin/": nothing("it leads to the provider; what comes back is an event"),
    "account/oidc/<slug:key>/callback/": (
        K.PROVIDER_LINKED,
        K.PROVIDER_VOUCHED,
        K.SIGNED_IN,
        K.SIGN_IN_FAILED,
        K.PERSON_CREATED,
        K.TEAM_CHANGED,
    ),
    "directory/tokens/issue/": (K.DIRECTORY_TOKEN_ISSUED,),
    "directory/tokens/<int:token_id>/revoke/": (K.DIRECTORY_TOKEN_REVOKED,),
    "directory/teams/connect/": (K.TEAM_CONNECTED,),
    "directory/teams/<int:team_id>/disconnect/": (K.TEAM_CONNECTED, K.TEAM_CHANGED),
    # Sign-in
    "welcome/<str:token>/": (K.PERSON_CREATED, K.SIGNED_IN, K.ACCESS_REFUSED),
    "account/login/": (K.SIGNED_IN, K.SIGN_IN_FAILED, K.ACCESS_REFUSED),
    "account/logout/": (K.SIGNED_OUT,),
    "account/password/change/": (K.PASSWORD_SET,),
    "account/reauthenticate/": nothing("it proves again who is signed in; nothing here asks for it"),
    "account/login/code/confirm/": nothing(
        "sign-in by code is not switched on; it leads to the sign-in page"
    ),
    "api/docs": LOOKS,
    "account/inactive/": LOOKS,
    "account/password/reset/done/": LOOKS,
    "account/password/reset/key/done/": LOOKS,
    "admin/login/": nothing("it leads to the one sign-in page; who is in and is no admin is refused"),
    "admin/logout/": (K.SIGNED_OUT,),
    "admin/password_change/": nothing("it leads to the one page that changes a password"),
    "password/<str:link>/": (K.PASSWORD_SET, K.SIGNED_IN, K.ACCESS_REFUSED),
    # Reviewers
    "proposals/<uuid:proposal_id>/challenge/": nothing("it asks a passkey, and decides nothing"),
    "queues/<slug:slug>/alike/<uuid:member>/": VOTED,
    "views/": OWN_LIST,
    "views/none/begin/": OWN_LIST,
    "views/<int:view_id>/begin/": OWN_LIST,
    "views/<int:view_id>/remove/": OWN_LIST,
    "monitor/<uuid:proposal_id>/veto/": VOTED,
    "monitor/<uuid:proposal_id>/recall/": became(State.REVOKED),
    "monitor/<uuid:proposal_id>/rollback/": (K.ROLLBACK_ASKED,),
    "monitor/<uuid:proposal_id>/pause/": (K.AGENT_SUSPENDED,),
    "next/": (K.PROPOSAL_CLAIMED, K.PROPOSAL_RELEASED),
    "proposals/<uuid:proposal_id>/claim/": (K.PROPOSAL_CLAIMED,),
    "proposals/<uuid:proposal_id>/renew/": (K.PROPOSAL_CLAIMED,),
    "proposals/<uuid:proposal_id>/release/": (K.PROPOSAL_RELEASED,),
    "proposals/<uuid:proposal_id>/skip/": (K.PROPOSAL_SKIPPED,),
    "proposals/<uuid:proposal_id>/assign/": (K.PROPOSAL_ASSIGNED,),
    "proposals/<uuid:proposal_id>/escalate/": (K.PROPOSAL_ESCALATED,),
    "proposals/<uuid:proposal_id>/undo/": (K.PROPOSAL_UNDONE,),
    "proposals/<uuid:proposal_id>/comment/": (K.PROPOSAL_COMMENTED,),
    "proposals/<uuid:proposal_id>/edit/": (*VOTED, K.PROPOSAL_EDITED),
    "proposals/<uuid:proposal_id>/edit/preview/": LOOKS,
    "proposals/<uuid:proposal_id>/approve/": VOTED,
    "proposals/<uuid:proposal_id>/reject/": VOTED,
    "proposals/<uuid:proposal_id>/return/": VOTED,
    "proposals/<uuid:proposal_id>/veto/": VOTED,
    "proposals/<uuid:proposal_id>/dispute/": (K.DISPUTE_RAISED,),
    "incidents/report/": (K.INCIDENT_REPORTED,),
    "incidents/<int:incident_id>/write/": (K.INCIDENT_CHANGED, K.INCIDENT_CLOSED),
    "backtests/": (K.BACKTEST_UPLOADED,),
    "backtests/<int:backtest_id>/remove/": (K.BACKTEST_REMOVED,),
    "reviews/next/": (K.REVIEW_CLAIMED, K.REVIEW_RELEASED),
    "reviews/<int:review_id>/judge/": (K.REVIEW_JUDGED,),
    "reviews/<int:review_id>/claim/": (K.REVIEW_CLAIMED,),
    "reviews/<int:review_id>/renew/": (K.REVIEW_CLAIMED,),
    "reviews/<int:review_id>/release/": (K.REVIEW_RELEASED,),
    "stops/pull/": (K.STOP_PULLED,),
    "stops/<int:stop_id>/lift/": (K.STOP_LIFTED,),
    "outcomes/<uuid:proposal_id>/settle/": became(State.SUCCEEDED, State.FAILED),
    # Notifications
    "notifications/read/": SEEN,
    "notifications/<int:notification_id>/open/": SEEN,
    "notifications/<int:notification_id>/read/": SEEN,
    "notifications/settings/": (K.PREFERENCES_SAVED,),
    "notifications/settings/test/<slug:way>/": nothing("a message to oneself that says nothing"),
    "notifications/settings/chat/add/": (K.CHAT_ADDRESS_CHANGED,),
    "notifications/settings/chat/<int:address_id>/remove/": (K.CHAT_ADDRESS_CHANGED,),
    "notifications/deliveries/retry/": (K.DELIVERIES_RETRIED,),
    "setup/undelivered/retry/": (K.DELIVERIES_RETRIED,),
    # Probes
    "probes/mine/<int:serving_id>/appeal/": (K.PROBE_APPEALED,),
    "probes/appeals/<int:serving_id>/answer/": (K.PROBE_ANSWERED,),
    "probes/<int:probe_id>/retire/": (K.PROBE_RETIRED,),
    "probes/<int:probe_id>/restore/": (K.PROBE_RESTORED,),
    "probes/of/<str:action_type>/add/": (K.PROBE_ADDED,),
    "probes/of/<str:action_type>/from/<uuid:proposal_id>/": (K.PROBE_ADDED,),
    # Content and log
    "audit/subjects/": (K.LOG_READ,),
    "audit/subjects/erase/": (K.ERASURE_ASKED, K.SUBJECT_ERASED),
    "audit/holds/": (K.HOLD_PLACED,),
    "audit/holds/<int:hold_id>/lift/": (K.HOLD_LIFTED,),
    "audit/retention/save/": (K.RETENTION_SAVED,),
    "audit/export/": (K.LOG_EXPORTED,),
    "audit/events/<int:event_id>/proof/": (K.LOG_EXPORTED,),
    # Agents, mandates, tiers, credentials
    "agents/<slug:slug>/go-live/": (K.AGENT_WENT_LIVE,),
    "agents/<slug:slug>/transfer/": (K.AGENT_CHANGED, K.AGENT_OWNER_FOUND),
    "agents/<slug:slug>/suspend/": (K.AGENT_SUSPENDED,),
    "agents/<slug:slug>/resume/": (K.AGENT_RESUMED,),
    "agents/<slug:slug>/retire/": (K.AGENT_RETIRED,),
    "agents/<slug:slug>/mandates/<str:action_type>/tier/": (K.TIER_CHANGED,),
    "agents/<slug:slug>/mandates/<str:action_type>/ceiling/": (K.CEILING_CHANGED,),
    "agents/<slug:slug>/mandates/<str:action_type>/thresholds/": (K.THRESHOLDS_CHANGED,),
    "agents/<slug:slug>/mandates/<str:action_type>/automatic/": (K.AUTOMATIC_CHANGED,),
    "agents/<slug:slug>/mandates/<str:action_type>/reset/": (K.EVIDENCE_RESET,),
    "agents/<slug:slug>/mandates/<str:action_type>/earning/": (K.EARNING_ASKED, K.EARNING_WITHDRAWN),
    "promotions/<int:promotion_id>/confirm/": (K.PROMOTION_CLOSED, K.TIER_CHANGED),
    "promotions/<int:promotion_id>/decline/": (K.PROMOTION_CLOSED,),
    "setup/signatures/<int:signature_id>/sign/": (K.EARNING_SIGNED, K.EQUIVALENCE_SIGNED),
    "setup/signatures/<int:signature_id>/decline/": (K.EARNING_DECLINED, K.EQUIVALENCE_DECLINED),
    "agents/-/register/": (K.AGENT_REGISTERED,),
    "agents/<slug:slug>/edit/": (K.AGENT_CHANGED,),
    "agents/<slug:slug>/budget/": (K.BUDGET_SAVED,),
    "agents/<slug:slug>/managers/add/": (K.OWNERS_ASSIGNED,),
    "agents/<slug:slug>/managers/<str:kind>/<int:holder_id>/remove/": (K.OWNERS_ASSIGNED,),
    "agents/<slug:slug>/credentials/issue/": (K.CREDENTIAL_ISSUED,),
    "agents/<slug:slug>/credentials/<int:credential_id>/rotate/": (K.CREDENTIAL_ROTATED,),
    "agents/<slug:slug>/credentials/<int:credential_id>/revoke/": (K.CREDENTIAL_REVOKED,),
    "agents/<slug:slug>/credentials/<int:credential_id>/networks/": (K.CREDENTIAL_CHANGED,),
    "agents/<slug:slug>/identities/register/": (K.IDENTITY_REGISTERED,),
    "agents/<slug:slug>/mandates/-/add/": (K.MANDATE_SAVED,),
    "agents/<slug:slug>/mandates/<str:action_type>/edit/": (K.MANDATE_SAVED,),
    "agents/<slug:slug>/versions/declare/": (K.AGENT_VERSION_BEGUN,),
    "agents/<slug:slug>/versions/equivalence/": (K.EQUIVALENCE_ASKED,),
    "agents/<slug:slug>/versions/answers/<int:signature_id>/": (
        K.EQUIVALENCE_SIGNED,
        K.EQUIVALENCE_DECLINED,
    ),
    # Access
    "access/requests/ask/": (K.ACCESS_ASKED, K.ACCESS_EXPIRED),
    "access/requests/<int:request_id>/withdraw/": (K.ACCESS_WITHDRAWN,),
    "access/requests/<int:request_id>/approve/": (K.ACCESS_ANSWERED, K.ROLE_GIVEN, K.CHANGE_ASKED),
    "access/requests/<int:request_id>/decline/": (K.ACCESS_ANSWERED,),
    "access/reviews/begin/": (K.ACCESS_REVIEW_BEGUN,),
    "access/reviews/<int:review_id>/keep/": (K.ACCESS_REVIEW_ANSWERED,),
    "access/reviews/<int:review_id>/items/<int:item_id>/drop/": (
        K.ACCESS_REVIEW_ANSWERED,
        K.ROLE_ENDED,
        K.MANDATE_SAVED,
        K.SESSIONS_ENDED,
    ),
    "access/changes/level/": (K.SECOND_PERSON_CHANGED, K.CHANGE_ASKED),
    "access/changes/<int:change_id>/approve/": (
        *(K.CHANGE_ANSWERED, K.POLICY_PUBLISHED, K.ROLE_GIVEN, K.CEILING_CHANGED, K.MANDATE_SAVED),
        *(K.STOP_LIFTED, K.SECOND_PERSON_CHANGED, K.ACCESS_ANSWERED),
    ),
    "access/changes/<int:change_id>/decline/": (K.CHANGE_ANSWERED,),
    "access/changes/<int:change_id>/withdraw/": (K.CHANGE_WITHDRAWN,),
    # Set-up
    "setup/": nothing("it leads to the first page of the set-up"),
    "setup/policies/-/add/": (K.POLICY_PUBLISHED,),
    "setup/policies/<slug:domain>/publish/": (K.POLICY_PUBLISHED,),
    "setup/queues/-/add/": (K.QUEUE_SAVED,),
    "setup/queues/<slug:slug>/edit/": (K.QUEUE_SAVED,),
    "setup/queues/<slug:slug>/reviewers/add/": (K.REVIEWERS_ASSIGNED,),
    "setup/queues/<slug:slug>/reviewers/<str:kind>/<int:holder_id>/remove/": (K.REVIEWERS_ASSIGNED,),
    "setup/calendars/-/add/": (K.CALENDAR_SAVED,),
    "setup/calendars/<int:calendar_id>/": (K.CALENDAR_SAVED,),
    "setup/action-types/-/add/": (K.ACTION_TYPE_SAVED,),
    "setup/action-types/<str:name>/edit/": (K.ACTION_TYPE_SAVED,),
    # People
    "people/<int:person_id>/": (K.PERSON_CHANGED, K.ROLE_GIVEN, K.ROLE_ENDED),
    "people/<int:person_id>/deactivate/": (K.PERSON_DEACTIVATED, K.AGENT_CHANGED, K.AGENT_OWNER_LEFT),
    "people/<int:person_id>/issue-link/": (K.PERSON_LINKED,),
    "people/<int:person_id>/reactivate/": (K.PERSON_REACTIVATED,),
    "people/<int:person_id>/accounts/": (K.ACCOUNTS_LINKED,),
    "people/<int:person_id>/accounts/<int:link_id>/untie/": (K.ACCOUNTS_LINKED,),
    "permissions/<str:kind>/<int:holder_id>/<str:scope>/<str:scope_id>/": (K.ROLE_GIVEN,),
    "permissions/<str:kind>/<int:holder_id>/give/": (K.ROLE_GIVEN,),
    "permissions/assignments/<int:assignment_id>/end/": (K.ROLE_ENDED,),
    "people/invite/": (K.PERSON_CREATED, K.ROLE_GIVEN),
    "preferences/": (K.PREFERENCES_SAVED,),
    "absence/": (K.ABSENCE_SAVED,),
    "absences/": (K.ABSENCE_SAVED,),
    "absences/<int:absence_id>/end/": (K.ABSENCE_ENDED,),
    "teams/": (K.TEAM_CHANGED,),
    "teams/<int:team_id>/add/": (K.TEAM_CHANGED,),
    "teams/<int:team_id>/members/<int:person_id>/remove/": (K.TEAM_CHANGED,),
}

CLOSED = r"^account/(?:email|confirm-email|password/reset|password/set|signup)/"
"""One view answers all of these with a page that says that it is closed."""

COMMANDS: dict[str, tuple[str, ...]] = {
    "issue_credential": (K.CREDENTIAL_ISSUED,),
    "load_blueprint": (K.BLUEPRINT_LOADED,),
    "rotate_signing_key": (K.SIGNING_KEY_ROTATED,),
    "stop": (K.STOP_PULLED, K.STOP_LIFTED),
    "rebuild_evidence": (K.EVIDENCE_MISMATCH,),
    "seal": (K.LOG_RESTORED,),
    "second_person": (K.SECOND_PERSON_CHANGED,),
    "backtest": nothing("it reads a file and prints"),
    "encrypt_contexts": (K.CONTENT_ENCRYPTED,),
    "audit_export": (K.LOG_EXPORTED,),
    "audit_verify": nothing("it reads files"),
    "audit_verifier": nothing("it writes one file outside"),
    "audit_witness": nothing("it runs on a customer's machine; its cosignature is log.cosigned"),
    "database_roles": nothing("it is run as the owner of the database, before there is anybody"),
    "rotate_content_keys": nothing("files outside the database; nothing kept or erased changes by it"),
    "demo_agents": nothing("it speaks to the API, whose events are the agents'"),
    "demo_seed": nothing("it writes a made-up past into an empty installation, with its events"),
    "doctor": nothing("it looks"),
    "migrate": nothing("it runs before there is anybody"),
    "prepare": nothing("it runs before there is anybody"),
    "replay": nothing("it speaks to the API and the pages, whose events are theirs"),
    "run": nothing("it starts processes"),
}

TASKS: dict[str, tuple[str, ...]] = {
    "approvals.tasks.tick": (
        *became(State.EXPIRED, State.LAPSED, State.APPROVED, State.UNKNOWN),
        *(K.PROPOSAL_RELEASED, K.PROPOSAL_VOTED, K.PROPOSAL_DROPPED, K.PROPOSAL_ESCALATED),
        *(K.PROPOSAL_STEP_SKIPPED, K.PROPOSAL_REMINDED, K.REVIEW_OVERDUE, K.STOP_LIFTED),
    ),
    "approvals.tasks.deliver": nothing(
        "a message on its way is no change of state; its row says how it fared"
    ),
    "approvals.tasks.probe": (K.PROBE_SERVED, K.PROBE_DECIDED),
    "approvals.tasks.assess": (K.PROMOTION_PROPOSED, K.TIER_CHANGED),
    "approvals.tasks.watch_log": (K.LOG_STALLED,),
    "approvals.tasks.watch_log_thoroughly": (K.LOG_STALLED, K.LOG_EVENTS_GONE),
    "approvals.tasks.rebuild_evidence": (K.EVIDENCE_MISMATCH,),
    "approvals.tasks.expire_content": (K.CONTENT_EXPIRED,),
    "approvals.tasks.access": (K.ACCESS_EXPIRED, K.CHANGE_EXPIRED, K.ACCESS_REVIEW_ENDED, K.ROLE_ENDED),
    "approvals.tasks.backtests": nothing("it works off an upload, whose event was written then"),
    "accounts.tasks.end_roles": (K.ROLE_ENDED, K.SESSIONS_ENDED),
    "accounts.tasks.clear_sessions": nothing("sessions that ended by themselves"),
}
