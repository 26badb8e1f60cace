"""The table's rows (tests/access/table.py) for addresses without a sign-in: health, keys, agents, the log's files."""

from audit import log_urls

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
    "POST api/v1/import/agent-inbox": "201: AGENTS; 401",
    "GET api/v1/import/agent-inbox/<uuid:proposal_id>": "200: agent; 404: ~agent; 401",
    "POST api/v1/import/humanlayer/function_calls": "201: AGENTS; 401",
    "GET api/v1/import/humanlayer/function_calls/<str:call_id>": "200: agent; 404: ~agent; 401",
    "POST api/v1/import/humanlayer/agent/function_calls/<str:call_id>/respond": "422: AGENTS; 401",
    "POST api/v1/import/humanlayer/contact_requests": "422: AGENTS; 401",
    "POST api/v1/import/humanlayer/human_contacts": "422: AGENTS; 401",
    "GET api/v1/import/authzen/tasks/<uuid:proposal_id>": "200: agent; 404: ~agent; 401",
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
}
