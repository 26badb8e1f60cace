"""Who is answered what, on every address: the one table of it. Read a row as

    "POST agents/<slug:slug>/suspend/": "302: MANAGES; 403: LOOKS; 404",

whoever manages the agent is led on, who only looks at it is refused, and for everybody else who is signed in there is
no such agent. `login` leads to the page where people sign in; whoever is not signed in is answered that on every page,
unless the row says otherwise. Addresses for agents and machines know no sign-in, so there the last answer is for
everybody. `~reviewer` is a reviewer of another queue, `~owner` the owner of another agent, and so on; `gone` is a
reviewer who was deactivated, with his old session; `~agent` the token of another agent.

A new address fails tests/access/test_every_address.py, which says the line it would take: judge every answer in it by
what issue and design say before it is put here."""

from audit import log_urls

GROUPS: dict[str, str] = {
    "OUTSIDE": "anon gone agent ~agent",
    "AGENTS": "agent ~agent",
    "REVIEWS": "reviewer senior",
    "MANAGES": "owner manager admin",
    "LOOKS": "reader auditor",
    "WATCHES": "owner manager reader auditor admin",
    "SEES": "reviewer senior owner manager reader auditor admin",
    "READS": "auditor admin",
}
SCOPED = (
    *("nobody", "reviewer", "~reviewer", "senior", "~senior", "owner", "~owner", "manager", "~manager"),
    *("editor", "~editor", "prober", "~prober", "reader", "~reader"),
)
"""Roles that see a part: nothing of the other part may stand in what they are answered."""
_LEAD_BACK = (
    *(f"monitor/<uuid:proposal_id>/{name}/" for name in ("veto", "recall", "rollback", "pause")),
    *(f"proposals/<uuid:proposal_id>/{name}/" for name in ("approve", "reject", "return", "veto", "dispute")),
    *(f"proposals/<uuid:proposal_id>/{name}/" for name in ("claim", "release", "skip", "assign", "escalate")),
    *(f"proposals/<uuid:proposal_id>/{name}/" for name in ("undo", "comment")),
    *(f"reviews/<int:review_id>/{name}/" for name in ("judge", "claim", "renew", "release")),
    *("reviews/next/", "incidents/<int:incident_id>/write/"),
)
"""A GET on an address that takes a form leads to the page where the form is; whether he may see it, that page says."""
_CLOSED = (
    *("signup/", "email/", "confirm-email/", "password/set/", "password/reset/", "password/reset/done/"),
    *("password/reset/key/done/", r"^confirm-email/(?P<key>[-:\w]+)/$"),
    r"^password/reset/key/(?P<uidb36>[0-9A-Za-z]+)-(?P<key>.+)/$",
)
"""Parts of the sign-in library that are not switched on."""

_LOG_FILES = tuple(
    str(pattern.pattern) for pattern in log_urls.urlpatterns if str(pattern.pattern).startswith("\\A")
)

ROWS: dict[str, str] = {
    # Health, and what is public
    "GET healthz": "200: OUTSIDE; 200",
    "GET readyz": "200: OUTSIDE; 200",
    "GET favicon.ico": "302: OUTSIDE; 302",
    "GET .well-known/jwks.json": "200",
    "GET api/v1/openapi.json": "200",
    "GET api/docs": "200: OUTSIDE; 200",
    # Agents: a proposal is its own agent's; for another it does not exist
    "GET api/v1/me": "200: AGENTS; 401",
    "POST api/v1/activity": "200: AGENTS; 401",
    "GET api/v1/proposals": "200: AGENTS; 401",
    # ~agent has no mandate for it: what it proposes is recorded and denied
    "POST api/v1/proposals": "201: AGENTS; 401",
    "POST api/v1/proposals/batch": "200: AGENTS; 401",
    "GET api/v1/events": "200: AGENTS; 401",
    "GET api/v1/proposals/<uuid:proposal_id>": "200: agent; 404: ~agent; 401",
    "POST api/v1/proposals/<uuid:proposal_id>/redeem": "200: agent; 404: ~agent; 401",
    "POST api/v1/proposals/<uuid:proposal_id>/outcome": "409: agent; 404: ~agent; 401",
    "POST api/v1/proposals/<uuid:proposal_id>/withdraw": "200: agent; 404: ~agent; 401",
    "POST api/v1/proposals/<uuid:proposal_id>/revise": "409: agent; 404: ~agent; 401",
    "POST v1/traces": "200: AGENTS; 401",
    # The log is public to read (nothing is sealed in this world); a cosignature is checked by its signature
    "GET tlog/checkpoint": "404",
    "GET tlog/key": "404",
    **{f"GET tlog/{name}": "404" for name in _LOG_FILES},
    "POST tlog/cosignatures": "422",
    "GET tlog/": "404",
    "POST tlog/": "404",
    # Sign-in
    "GET welcome/<str:token>/": "403: OUTSIDE; 403",
    "POST welcome/<str:token>/": "403: OUTSIDE; 403",
    "GET account/login/": "200: OUTSIDE; 302",
    "POST account/login/": "200: OUTSIDE; 302",
    "GET account/logout/": "200",
    "POST account/logout/": "login",
    "GET account/inactive/": "200: OUTSIDE; 200",
    "GET account/reauthenticate/": "200",
    "POST account/reauthenticate/": "422",
    "GET account/password/change/": "200",
    "POST account/password/change/": "200",
    **{f"{method} account/{name}": "404: OUTSIDE; 404" for method in ("GET", "POST") for name in _CLOSED},
    r"GET ^account/(?:email|confirm-email|password/reset|password/set|signup)/": "404: OUTSIDE; 404",
    r"POST ^account/(?:email|confirm-email|password/reset|password/set|signup)/": "404: OUTSIDE; 404",
    "GET account/login/code/confirm/": "302",
    "POST account/login/code/confirm/": "302",
    # No identity provider is set up here
    "POST account/oidc/<slug:key>/begin/": "404: OUTSIDE; 404",
    "GET account/oidc/<slug:key>/callback/": "404: OUTSIDE; 404",
    # Passkeys and second factors: whoever is signed in changes his own, once he has shown again who he is (302)
    "POST account/passkey/": "login",
    "POST account/passkey/options/": "200: OUTSIDE; 200",
    "GET account/second/": "302",
    "POST account/second/": "302",
    "POST account/second/options/": "302",
    "POST account/reauthenticate/options/": "200",
    "GET account/session/": "200: OUTSIDE; 200",
    "POST account/session/stay/": "302",
    "GET account/session/again/": "200",
    "GET account/security/": "200",
    **{
        f"{method} account/security/{name}": "302"
        for method in ("GET", "POST")
        for name in (
            *("app/", "passkeys/add/", "passkeys/options/", "codes/"),
            *("passkeys/<int:factor_id>/rename/", "factors/<int:factor_id>/remove/"),
        )
    },
    "POST account/security/sessions/end/": "302",
    "GET account/security/sessions/<int:session_id>/end/": "405",
    "POST account/security/sessions/<int:session_id>/end/": "404",
    "GET password/<str:link>/": "200: OUTSIDE; 200",
    "POST password/<str:link>/": "200: OUTSIDE; 200",
    # One's own
    "GET preferences/": "200",
    "POST preferences/": "422",
    "GET absence/": "200",
    "POST absence/": "200",
    # Queues and lists: the page is everybody's, what stands in it is what he may see
    "GET ": "302: OUTSIDE; 302",
    "GET queues/": "200",
    "GET queues/<slug:slug>/": "200: REVIEWS LOOKS; 404",
    "GET queues/<slug:slug>/pulse/": "204: REVIEWS LOOKS; 404",
    "GET queues/<slug:slug>/alike/": "200: REVIEWS LOOKS; 404",
    "GET queues/<slug:slug>/alike/link/": "200: REVIEWS LOOKS; 404",
    "GET queues/<slug:slug>/alike/<uuid:member>/": "302: REVIEWS LOOKS; 404",
    # (nothing is chosen in it; each vote is asked for its own permission)
    "POST queues/<slug:slug>/alike/<uuid:member>/": "302: REVIEWS LOOKS; 404",
    "GET proposals/": "200",
    "GET proposals/pulse/": "204",
    "POST views/": "302",
    "GET views/": "302",
    "GET views/none/begin/": "302",
    "POST views/none/begin/": "302",
    "GET views/<int:view_id>/begin/": "302",
    "POST views/<int:view_id>/begin/": "302",
    "GET views/<int:view_id>/remove/": "302",
    "POST views/<int:view_id>/remove/": "302",
    "GET history/": "200",
    "GET next/": "302",
    "POST next/": "302: reviewer ~reviewer senior ~senior; 409",
    **{f"GET {name}": "302" for name in _LEAD_BACK},
    # A proposal: its queue's reviewers, its agent's people, auditors; for others it does not exist
    "GET proposals/<uuid:proposal_id>/": "200: SEES; 404",
    "GET proposals/<uuid:proposal_id>/print/": "200: SEES; 404",
    "GET proposals/<uuid:proposal_id>/as-decided/": "200: SEES; 404",
    "GET proposals/<uuid:proposal_id>/pulse/": "200: SEES; 404",
    "GET proposals/<uuid:proposal_id>/comments/": "204: SEES; 404",
    "POST proposals/<uuid:proposal_id>/comment/": "302: REVIEWS MANAGES; 403: LOOKS; 404",
    # What its agent said on the way to it: reviewers of what may be a probe wait for it until it is decided, and the
    # page says so; its people and auditors do not judge
    "GET proposals/<uuid:proposal_id>/activity/": "200: SEES; 404",
    "GET proposals/<uuid:proposal_id>/activity/<uuid:activity_id>/": "200: WATCHES; 404",
    # Deciding: reviewers of its queue and nobody for being more; who only sees it is refused
    "GET proposals/<uuid:proposal_id>/edit/": "200: SEES; 404",
    "POST proposals/<uuid:proposal_id>/edit/": "409: REVIEWS; 403: WATCHES; 404",
    "POST proposals/<uuid:proposal_id>/edit/preview/": "200: SEES; 404",
    "POST proposals/<uuid:proposal_id>/challenge/": "200: REVIEWS; 403: WATCHES; 404",
    "POST proposals/<uuid:proposal_id>/approve/": "302: REVIEWS; 403: WATCHES; 404",
    "POST proposals/<uuid:proposal_id>/reject/": "302: REVIEWS; 403: WATCHES; 404",
    "POST proposals/<uuid:proposal_id>/return/": "302: REVIEWS; 403: WATCHES; 404",
    "POST proposals/<uuid:proposal_id>/veto/": "302: REVIEWS; 403: WATCHES; 404",
    "POST proposals/<uuid:proposal_id>/claim/": "302: REVIEWS; 403: WATCHES; 404",
    "POST proposals/<uuid:proposal_id>/renew/": "200: REVIEWS; 403: WATCHES; 404",
    "POST proposals/<uuid:proposal_id>/release/": "302: SEES; 404",
    "POST proposals/<uuid:proposal_id>/skip/": "302: REVIEWS; 403: WATCHES; 404",
    "POST proposals/<uuid:proposal_id>/assign/": "302: REVIEWS; 403: WATCHES; 404",
    # (its queue hands on to no other)
    "POST proposals/<uuid:proposal_id>/escalate/": "409: REVIEWS; 403: WATCHES; 404",
    "POST proposals/<uuid:proposal_id>/undo/": "409: SEES; 404",
    "POST proposals/<uuid:proposal_id>/dispute/": "302: REVIEWS MANAGES; 403: LOOKS; 404",
    # Watching: the agent's people take back what they may not approve
    "GET monitor/": "200",
    "GET monitor/pulse/": "204: nobody editor ~editor prober ~prober; 200",
    "POST monitor/<uuid:proposal_id>/veto/": "302: REVIEWS; 403: WATCHES; 404",
    "POST monitor/<uuid:proposal_id>/recall/": "302: REVIEWS MANAGES; 403: LOOKS; 404",
    # (no action type undoes it)
    "POST monitor/<uuid:proposal_id>/rollback/": "409: REVIEWS MANAGES; 403: LOOKS; 404",
    "POST monitor/<uuid:proposal_id>/pause/": "302: MANAGES; 403: REVIEWS LOOKS; 404",
    "GET outcomes/unknown/": "200",
    "POST outcomes/<uuid:proposal_id>/settle/": "302: REVIEWS MANAGES; 403: LOOKS; 404",
    # Leads to the page of what an event names, which says whether he may see it; names nothing that he may not
    "GET objects/<str:object_type>/<str:object_id>/": "302",
    # Stops: whoever sees it going wrong pulls, whoever answers for it lifts. The pulled one is ~agent's. What somebody
    # may not pull is none of his choices, and neither is what does not exist (422); so with incidents' proposals
    "GET stops/": "200",
    "POST stops/pull/": "302: REVIEWS MANAGES; 422",
    "POST stops/<int:stop_id>/lift/": "302: ~owner ~manager admin; 403: ~reviewer ~senior auditor; 404",
    # Reviews after the fact, disputes, incidents
    "GET disputes/": "200",
    "GET reviews/": "200",
    "POST reviews/next/": "302",
    "GET reviews/<int:review_id>/": "200: REVIEWS; 404",
    "POST reviews/<int:review_id>/judge/": "302: REVIEWS; 404",
    "POST reviews/<int:review_id>/claim/": "302: REVIEWS; 404",
    "POST reviews/<int:review_id>/renew/": "200: REVIEWS; 404",
    "POST reviews/<int:review_id>/release/": "302",
    "GET incidents/": "200",
    "GET incidents/report/": "200",
    "POST incidents/report/": "302: SEES; 422",
    "GET incidents/<int:incident_id>/": "200: SEES; 404",
    "POST incidents/<int:incident_id>/write/": "302: owner admin; 403: REVIEWS manager LOOKS; 404",
    # Notifications are one's own
    "GET notifications/": "200",
    "GET notifications/bell/": "200",
    "GET notifications/arrived/": "200",
    "POST notifications/read/": "302",
    "POST notifications/<int:notification_id>/open/": "302",
    "POST notifications/<int:notification_id>/read/": "302",
    "GET notifications/settings/": "200",
    "POST notifications/settings/": "200",
    "GET notifications/settings/ways/": "200",
    "POST notifications/settings/test/<slug:way>/": "302",
    "POST notifications/settings/chat/add/": "422",
    "POST notifications/settings/chat/<int:address_id>/remove/": "302",
    "POST notifications/deliveries/retry/": "302",
    # Probes: authors of the domain and admins; nobody else learns that there is one
    "GET probes/": "200: prober ~prober admin; 403",
    "GET probes/of/<str:action_type>/": "200: prober admin; 403",
    "GET probes/of/<str:action_type>/add/": "200: prober admin; 403",
    "POST probes/of/<str:action_type>/add/": "200: prober admin; 403",
    "GET probes/of/<str:action_type>/from/<uuid:proposal_id>/": "200: prober admin; 403",
    "POST probes/of/<str:action_type>/from/<uuid:proposal_id>/": "200: prober admin; 403",
    "POST probes/<int:probe_id>/retire/": "302: prober admin; 403",
    "POST probes/<int:probe_id>/restore/": "302: prober admin; 403",
    "GET probes/mine/": "200",
    "POST probes/mine/<int:serving_id>/appeal/": "404",
    "GET probes/appeals/": "200: senior ~senior admin; 403",
    "POST probes/appeals/<int:serving_id>/answer/": "302: senior; 404: ~senior; 403",
    # Agents: their people manage, auditors look, for others there is no such agent
    "GET agents/": "200",
    "GET agents/<slug:slug>/": "200: WATCHES; 404",
    "POST agents/<slug:slug>/suspend/": "302: MANAGES; 403: LOOKS; 404",
    "POST agents/<slug:slug>/resume/": "302: MANAGES; 403: LOOKS; 404",
    "POST agents/<slug:slug>/retire/": "302: MANAGES; 403: LOOKS; 404",
    "GET agents/-/register/": "200",
    "POST agents/-/register/": "302",
    "GET agents/<slug:slug>/edit/": "200: MANAGES; 403: LOOKS; 404",
    "POST agents/<slug:slug>/edit/": "200: MANAGES; 403: LOOKS; 404",
    "POST agents/<slug:slug>/budget/": "422: MANAGES; 403: LOOKS; 404",
    "POST agents/<slug:slug>/managers/add/": "302: owner admin; 403: manager LOOKS; 404",
    "POST agents/<slug:slug>/managers/<str:kind>/<int:holder_id>/remove/": "302: owner admin; 403: manager LOOKS; 404",
    "GET agents/<slug:slug>/credentials/issue/": "200: MANAGES; 403: LOOKS; 404",
    "POST agents/<slug:slug>/credentials/issue/": "200: MANAGES; 403: LOOKS; 404",
    "GET agents/<slug:slug>/credentials/<int:credential_id>/rotate/": "200: MANAGES; 403: LOOKS; 404",
    "POST agents/<slug:slug>/credentials/<int:credential_id>/rotate/": "200: MANAGES; 403: LOOKS; 404",
    "POST agents/<slug:slug>/credentials/<int:credential_id>/revoke/": "302: MANAGES; 403: LOOKS; 404",
    "GET agents/<slug:slug>/credentials/<int:credential_id>/networks/": "200: MANAGES; 403: LOOKS; 404",
    "POST agents/<slug:slug>/credentials/<int:credential_id>/networks/": "200: MANAGES; 403: LOOKS; 404",
    "GET agents/<slug:slug>/identities/register/": "200: MANAGES; 403: LOOKS; 404",
    "POST agents/<slug:slug>/identities/register/": "200: MANAGES; 403: LOOKS; 404",
    # Webhooks: another agent's endpoint does not exist (the world has one on each side)
    "GET agents/<slug:slug>/webhooks/": "200: MANAGES; 403: LOOKS; 404",
    **{
        f"{method} agents/<slug:slug>/webhooks/{name}": f"{status}: MANAGES; 403: LOOKS; 404"
        for method, name, status in (
            ("GET", "add/", 200),
            ("POST", "add/", 200),
            ("GET", "<int:endpoint_id>/", 200),
            ("GET", "<int:endpoint_id>/edit/", 200),
            ("POST", "<int:endpoint_id>/edit/", 200),
            ("GET", "<int:endpoint_id>/rotate/", 200),
            ("POST", "<int:endpoint_id>/rotate/", 200),
            ("POST", "<int:endpoint_id>/pause/", 302),
            ("POST", "<int:endpoint_id>/resume/", 302),
            ("POST", "<int:endpoint_id>/remove/", 302),
            ("POST", "<int:endpoint_id>/test/", 302),
            ("POST", "<int:endpoint_id>/redrive/", 302),
            ("GET", "<int:endpoint_id>/messages/<int:delivery_id>/", 200),
            ("POST", "<int:endpoint_id>/messages/<int:delivery_id>/resend/", 302),
        )
    },
    "POST agents/<slug:slug>/go-live/": "409: MANAGES; 403: LOOKS; 404",
    # A new owner for an agent whose own has left: an admin names him
    "POST agents/<slug:slug>/transfer/": "422: admin; 403: owner manager LOOKS; 404",
    "GET agents/<slug:slug>/versions/": "200: WATCHES; 404",
    "POST agents/<slug:slug>/versions/declare/": "422: MANAGES; 403: LOOKS; 404",
    "POST agents/<slug:slug>/versions/equivalence/": "422: MANAGES; 403: LOOKS; 404",
    "POST agents/<slug:slug>/versions/answers/<int:signature_id>/": "404: admin; 403: owner manager LOOKS; 404",
    # Mandates and tiers
    "GET agents/<slug:slug>/mandates/<str:action_type>/": "200: WATCHES; 404",
    "GET agents/<slug:slug>/mandates/<str:action_type>/what-if/": "200: WATCHES; 404",
    **{
        row: answers
        for name in ("tier", "ceiling", "thresholds", "automatic", "reset", "earning")
        for row, answers in (
            (f"GET agents/<slug:slug>/mandates/<str:action_type>/{name}/", "200: MANAGES; 403: LOOKS; 404"),
            (f"POST agents/<slug:slug>/mandates/<str:action_type>/{name}/", "422: MANAGES; 403: LOOKS; 404"),
        )
    },
    "GET agents/<slug:slug>/mandates/-/add/": "200: MANAGES; 403: LOOKS; 404",
    "POST agents/<slug:slug>/mandates/-/add/": "200: MANAGES; 403: LOOKS; 404",
    "GET agents/<slug:slug>/mandates/<str:action_type>/edit/": "200: MANAGES; 403: LOOKS; 404",
    "POST agents/<slug:slug>/mandates/<str:action_type>/edit/": "200: MANAGES; 403: LOOKS; 404",
    "GET promotions/<int:promotion_id>/confirm/": "404",
    "POST promotions/<int:promotion_id>/confirm/": "404",
    "GET promotions/<int:promotion_id>/decline/": "404",
    "POST promotions/<int:promotion_id>/decline/": "404",
    "GET setup/signatures/": "200: admin; 403",
    "POST setup/signatures/<int:signature_id>/sign/": "302: admin; 403",
    "POST setup/signatures/<int:signature_id>/decline/": "302: admin; 403",
    # Backtests are one's own; owners, managers, auditors and admins may make some
    "GET backtests/": "200: owner ~owner manager ~manager reader ~reader READS; 403",
    "POST backtests/": "422: owner ~owner manager ~manager reader ~reader READS; 403",
    **{
        f"GET backtests/<int:backtest_id>/{name}": "200: owner; 404: ~owner manager ~manager reader ~reader READS; 403"
        for name in ("", "progress/", "result.json")
    },
    "POST backtests/<int:backtest_id>/remove/": "302: owner; 404",
    # Set-up: everybody reads the rules of the house; editors write the policies of their domain, admins the rest
    "GET setup/": "302: OUTSIDE; 302",
    "POST setup/": "302: OUTSIDE; 302",
    "GET setup/policies/": "200",
    "GET setup/policies/<slug:domain>/": "200",
    # (a policy for a domain that has none is nobody's domain yet)
    "GET setup/policies/-/add/": "200: admin; 403",
    "POST setup/policies/-/add/": "200: admin; 403",
    "GET setup/policies/<slug:domain>/publish/": "200: editor admin; 403",
    "POST setup/policies/<slug:domain>/publish/": "200: editor admin; 403",
    "GET setup/queues/": "200",
    "GET setup/queues/<slug:slug>/": "200",
    "GET setup/queues/-/add/": "200: admin; 403",
    "POST setup/queues/-/add/": "200: admin; 403",
    "GET setup/queues/<slug:slug>/edit/": "200: admin; 403",
    "POST setup/queues/<slug:slug>/edit/": "200: admin; 403",
    "POST setup/queues/<slug:slug>/reviewers/add/": "302: admin; 403",
    "POST setup/queues/<slug:slug>/reviewers/<str:kind>/<int:holder_id>/remove/": "302: admin; 403",
    "GET setup/calendars/": "200",
    "GET setup/calendars/-/add/": "200: admin; 403",
    "POST setup/calendars/-/add/": "200: admin; 403",
    "GET setup/calendars/<int:calendar_id>/": "200: admin; 403",
    "POST setup/calendars/<int:calendar_id>/": "200: admin; 403",
    "GET setup/undelivered/": "200: admin; 403",
    "POST setup/undelivered/retry/": "302: admin; 403",
    "GET setup/outgoing/": "200: admin; 403",
    "POST setup/outgoing/allow/": "422: admin; 403",
    "POST setup/outgoing/<int:network_id>/close/": "302: admin; 403",
    "GET setup/action-types/": "200",
    "GET setup/action-types/<str:name>/": "200",
    "GET setup/action-types/-/add/": "200: admin; 403",
    "POST setup/action-types/-/add/": "200: admin; 403",
    "GET setup/action-types/<str:name>/edit/": "200: admin; 403",
    "POST setup/action-types/<str:name>/edit/": "200: admin; 403",
    # People and teams: admins change, auditors of everything look
    "GET people/": "200: READS; 403",
    "GET people/<int:person_id>/": "200: READS; 403",
    "POST people/<int:person_id>/": "422: admin; 403",
    "GET people/invite/": "200: admin; 403",
    "POST people/invite/": "200: admin; 403",
    "POST people/<int:person_id>/deactivate/": "302: admin; 403",
    "POST people/<int:person_id>/issue-link/": "200: admin; 403",
    "POST people/<int:person_id>/reactivate/": "409: admin; 403",
    # Roles: who has which and why; admins give and take (422: an empty form)
    "GET permissions/": "200: READS; 403",
    "GET permissions/history/": "200: READS; 403",
    "GET permissions/<str:scope>/<str:scope_id>/": "200: READS; 403",
    "GET permissions/<str:kind>/<int:holder_id>/<str:scope>/<str:scope_id>/": "200: READS; 403",
    "GET permissions/<str:kind>/<int:holder_id>/give/": "200: admin; 403",
    "POST permissions/<str:kind>/<int:holder_id>/give/": "422: admin; 403",
    "POST permissions/<str:kind>/<int:holder_id>/<str:scope>/<str:scope_id>/": "422: admin; 403",
    "POST permissions/assignments/<int:assignment_id>/end/": "302: admin; 403",
    "GET people/<int:person_id>/access/": "200: READS; 403",
    "GET people/<int:person_id>/deactivate/": "200: admin; 403",
    "POST people/<int:person_id>/sessions/end/": "302: admin; 403",
    "POST people/<int:person_id>/factors/take/": "409: admin; 403",
    "GET people/<int:person_id>/accounts/": "200: READS; 403",
    "POST people/<int:person_id>/accounts/": "200: admin; 403",
    "POST people/<int:person_id>/accounts/<int:link_id>/untie/": "422: admin; 403",
    # Asking for a role is everybody's; one that `nobody` has asked for is answered by somebody else
    "GET access/requests/": "200",
    "POST access/requests/ask/": "422",
    "POST access/requests/<int:request_id>/withdraw/": "302: nobody; 404",
    "POST access/requests/<int:request_id>/approve/": "302: admin; 403: nobody; 404",
    "POST access/requests/<int:request_id>/decline/": "302: admin; 403: nobody; 404",
    # Access reviews and changes that wait for a second person; none is under way here
    "GET access/reviews/": "200",
    "POST access/reviews/begin/": "422: admin; 403",
    "GET access/reviews/<int:review_id>/": "404",
    "POST access/reviews/<int:review_id>/keep/": "404",
    "POST access/reviews/<int:review_id>/items/<int:item_id>/drop/": "404",
    "GET access/changes/": "200",
    "POST access/changes/level/": "422: admin; 403",
    "POST access/changes/<int:change_id>/approve/": "404",
    "POST access/changes/<int:change_id>/decline/": "404",
    "POST access/changes/<int:change_id>/withdraw/": "404",
    # The company's directory: only its own tokens pass /scim/v2; admins issue them
    **{
        f"{method} scim/v2/{name}": "401"
        for method, names in (
            (
                "GET",
                (
                    *("ServiceProviderConfig", "ResourceTypes", "ResourceTypes/<str:name>", "Schemas"),
                    *("Schemas/<str:name>", "Users", "Users/<str:key>", "Groups", "Groups/<str:key>"),
                    *("Users/.search", "Groups/.search", r"^(?P<rest>.*)$"),
                ),
            ),
            ("POST", ("Users", "Groups", "Users/.search", "Groups/.search")),
            ("PUT", ("Users/<str:key>", "Groups/<str:key>")),
            ("PATCH", ("Users/<str:key>", "Groups/<str:key>")),
            ("DELETE", ("Users/<str:key>", "Groups/<str:key>")),
        )
        for name in names
    },
    "GET directory/": "200: READS; 403",
    "POST directory/tokens/issue/": "422: admin; 403",
    "POST directory/tokens/<int:token_id>/revoke/": "404: admin; 403",
    "POST directory/teams/connect/": "422: admin; 403",
    "POST directory/teams/<int:team_id>/disconnect/": "404: admin; 403",
    "GET teams/": "200: READS; 403",
    "POST teams/": "200: admin; 403",
    "GET teams/<int:team_id>/": "200: READS; 403",
    "POST teams/<int:team_id>/add/": "302: admin; 403",
    "POST teams/<int:team_id>/members/<int:person_id>/remove/": "302: admin; 403",
    "GET absences/": "200: READS; 403",
    "POST absences/": "200: admin; 403",
    "POST absences/<int:absence_id>/end/": "302: reviewer admin; 403",
    # Audit: auditors of everything and admins read; what changes the keeping of content is the admins'
    "GET audit/": "200: READS; 403",
    "GET audit/log/": "200: READS; 403",
    "GET audit/events/<int:event_id>/": "200: READS; 403",
    "POST audit/events/<int:event_id>/proof/": "200: READS; 403",
    "POST audit/export/": "302: READS; 403",
    "GET audit/of/<slug:object_type>/<str:object_id>/": "200: READS; 403",
    "GET audit/subjects/": "200: READS; 403",
    "POST audit/subjects/": "200: READS; 403",
    "POST audit/subjects/erase/": "409: admin; 403",
    "POST audit/holds/": "302: admin; 403",
    "POST audit/holds/<int:hold_id>/lift/": "302: admin; 403",
    "GET audit/retention/": "200: READS; 403",
    "POST audit/retention/save/": "302: admin; 403",
    # Django's administration: admins; `*` stands for every model. What it changes, tests/audit/test_admin.py holds
    "GET admin/": "200: admin; login",
    "POST admin/": "200: admin; login",
    "GET admin/login/": "403",
    "POST admin/login/": "403",
    "GET admin/logout/": "405: admin; 302: OUTSIDE; 302",
    "POST admin/logout/": "200: admin; 302: OUTSIDE; 302",
    "GET admin/password_change/": "302: admin; login",
    "POST admin/password_change/": "302: admin; login",
    "GET admin/autocomplete/": "403: admin; login",
    "GET admin/jsi18n/": "200: admin; login",
    "GET admin/r/<path:content_type_id>/<path:object_id>/": "404: admin; login",
    "POST admin/r/<path:content_type_id>/<path:object_id>/": "404: admin; login",
    "GET admin/(?P<url>.*)$": "404: admin; login",
    "POST admin/(?P<url>.*)$": "404: admin; login",
    "GET admin/<app_label>/": "200: admin; login",
    "POST admin/<app_label>/": "200: admin; login",
    "GET admin/*/*/": "200: admin; login",
}
