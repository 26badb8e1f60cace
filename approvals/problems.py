"""Every problem an agent can be answered with: the one list of codes, which is what clients act upon. Pure.

The OpenAPI document and its page are made of it; tests hold it against what the code raises and against docs/api.md.
A code never changes its meaning within a version of the API; new ones may be added."""

from dataclasses import dataclass


@dataclass(frozen=True, slots=True)
class Problem:
    """What a code says: HTTP status, title as it is sent, what has happened, and what to do about it.

    `waits`: the same request is good a moment later, and a Retry-After header says when."""

    status: int
    title: str
    meaning: str
    remedy: str
    waits: bool = False


_TOKEN = "Not authenticated"  # noqa: S105 - a title, not a password
PROBLEMS: dict[str, Problem] = {
    "agent_not_live": Problem(
        409,
        "The agent may not act",
        "The agent is in preparation, suspended or retired.",
        "Do not act. Its owner can bring it back; until then its proposals are denied.",
    ),
    "arguments_invalid": Problem(
        422,
        "The arguments do not fit the action type",
        "The arguments break the action type's schema, the action type does not exist, or the parent is not one's own.",
        "Mend what `errors` names; nothing was stored, so the same key is good for the mended request.",
    ),
    "bad_credential": Problem(
        401,
        _TOKEN,
        "The credential is missing, malformed, unknown, expired or revoked, or it may not be used from here.",
        "Send `Authorization: Bearer <token>` with a good token; the agent's owner issues one.",
    ),
    "bad_request": Problem(
        400,
        "The request cannot be read",
        "The body is not strict JSON, or the Idempotency-Key header is missing or not printable.",
        "Mend the request; `detail` says where the fault is. The same bytes are refused again.",
    ),
    "body_too_large": Problem(
        413,
        "The body is too large",
        "The body, or one item of a batch, has more bytes than are taken.",
        "Send less: 256 KiB for a proposal, 1 MiB for activity, 2 MiB for a batch.",
    ),
    "cursor_gone": Problem(
        410,
        "That is too long ago",
        "What happened since this event cannot be told: it is older than 7 days, or the database was restored.",
        "List your proposals to see how they stand, then listen without Last-Event-ID.",
    ),
    "digest_mismatch": Problem(
        409,
        "Not the approved arguments",
        "The arguments at hand are not the approved ones: a reviewer may have edited them.",
        "Read the proposal again, act on its `arguments`, and redeem its `digest`.",
    ),
    "fields_invalid": Problem(
        422,
        "A field is not acceptable",
        "A field or parameter is unknown, missing or of the wrong kind.",
        "Mend what `errors` names by JSON Pointer, or by the parameter's name.",
    ),
    "grant_refused": Problem(
        409,
        "The grant is not valid",
        "There is no grant, or it was redeemed, has expired, was taken back, or is of another proposal.",
        "Do not act. Propose the action again if it is still wanted.",
    ),
    "idempotency_key_reused": Problem(
        422,
        "The idempotency key was used for another request",
        "An earlier request with this key had another body.",
        "Use a new key for another action; `proposal` names the one that the key stands for.",
    ),
    "import_unsupported": Problem(
        422,
        "This cannot be imported",
        "Another product's request asks for what has no counterpart here, such as a question without an action.",
        "`detail` says what to do in its place; docs/connect has a page about each product.",
    ),
    "invalid": Problem(
        422,
        "A value is not acceptable",
        "A value has the right form and cannot be used, such as a time beyond year 9999.",
        "Mend what `errors` names.",
    ),
    "issuer_unavailable": Problem(
        503,
        "The token cannot be checked right now",
        "The token may be good; its issuer's keys cannot be had at the moment.",
        "Send the same request again.",
        waits=True,
    ),
    "keys_away": Problem(
        503,
        "It cannot be encrypted right now",
        "Conversations and words are stored encrypted, and the keys cannot be used at the moment. Nothing was stored.",
        "Send the same request again.",
        waits=True,
    ),
    "limit_reached": Problem(
        409,
        "A limit is reached",
        "Running this now would go beyond a limit of the mandate or the agent's budget.",
        "Do not act. `GET /api/v1/me` says what is left; propose it again when there is room.",
    ),
    "log_unavailable": Problem(
        503,
        "The audit log cannot be written",
        "Nothing is redeemed while it could not be proved afterwards.",
        "Do not act. Send the same request again.",
        waits=True,
    ),
    "method_not_allowed": Problem(
        405,
        "Method not allowed",
        "The address exists and does not take this method.",
        "Use one that the Allow header names.",
    ),
    "not_found": Problem(
        404,
        "Not found",
        "There is no such address, or no such proposal of this agent.",
        "Look the address or the id up; another agent's proposals do not exist for you.",
    ),
    "origin_refused": Problem(
        403,
        "Not from there",
        "At `/mcp`: a browser's page of another site asks, or the host name asked for is not one of the installation.",
        "Ask at the installation's own address, and not from a page of another site.",
    ),
    "policy_refused": Problem(
        422,
        "The policy does not allow it",
        "A rule denies the revised arguments; `rule` names it.",
        "Revise with other arguments, or withdraw.",
    ),
    "request_in_flight": Problem(
        409,
        "The same request is in flight",
        "A request with this idempotency key is still being answered, or permissions are just being changed.",
        "Send the same request again.",
        waits=True,
    ),
    "server_error": Problem(
        500,
        "A fault of ours",
        "Something went wrong here.",
        "Send the same request again; it counts once. If it persists, tell the operators.",
    ),
    "stopped": Problem(
        409,
        "It is stopped",
        "A person has pulled a stop over this agent or action type.",
        "Do not act. Wait until the stop is lifted, then propose it again.",
    ),
    "token_algorithm": Problem(
        401,
        _TOKEN,
        "The issuer's token is signed by an algorithm that is not taken.",
        "Have the issuer sign with one that `detail` names.",
    ),
    "token_audience": Problem(
        401,
        _TOKEN,
        "The issuer's token is for somebody else.",
        "Ask the issuer for the audience in `detail`.",
    ),
    "token_expired": Problem(401, _TOKEN, "The issuer's token has expired.", "Ask the issuer for a new one."),
    "token_issuer": Problem(
        401,
        _TOKEN,
        "The token's issuer is not trusted.",
        "The agent's owner registers the issuer, or you use another token.",
    ),
    "token_key_unknown": Problem(
        401,
        _TOKEN,
        "The issuer's token names no key, or one that the issuer does not publish.",
        "Ask the issuer for a new token.",
    ),
    "token_malformed": Problem(
        401,
        _TOKEN,
        "The token is not a JWT with the claims it needs.",
        "Send the token as the issuer gave it.",
    ),
    "token_no_identity": Problem(
        401,
        _TOKEN,
        "The issuer's token is good, and no agent's identity fits it.",
        "The agent's owner compares audience, subject and claims with the identity that is registered.",
    ),
    "token_not_yet_valid": Problem(
        401, _TOKEN, "The issuer's token is not valid yet.", "Compare the clocks of issuer and agent."
    ),
    "token_signature": Problem(
        401, _TOKEN, "The signature of the issuer's token does not hold.", "Ask the issuer for a new token."
    ),
    "token_too_large": Problem(
        401, _TOKEN, "The issuer's token has more bytes than are taken.", "Leave claims out of it."
    ),
    "token_too_long_lived": Problem(
        401,
        _TOKEN,
        "The issuer's token is valid for longer than one may be.",
        "Have the issuer shorten its tokens' life.",
    ),
    "too_many_at_once": Problem(
        429,
        "Too much at once",
        "As many requests of this agent are waiting, or as much activity is being recorded, as may.",
        "Send the same again.",
        waits=True,
    ),
    "too_many_open": Problem(
        429,
        "Too much is open",
        "As many of the agent's proposals are open as may be; nothing of this one was stored.",
        "Withdraw what is not wanted any more, answer what was returned, or wait for decisions.",
        waits=True,
    ),
    "too_many_requests": Problem(
        429,
        "Too many requests",
        "The agent asks more often than it may.",
        "Send the same again.",
        waits=True,
    ),
    "too_many_streams": Problem(
        429,
        "Too many streams",
        "The agent has as many event streams open as it may.",
        "One stream tells of all its proposals: share it, or close the others.",
        waits=True,
    ),
    "unavailable": Problem(
        503,
        "Not available right now",
        "The database cannot be reached.",
        "Send the same request again; it counts once.",
        waits=True,
    ),
    "unsupported_media_type": Problem(
        415,
        "The body has an unsupported encoding",
        "The body is compressed, or in an encoding that this address does not take.",
        "Send JSON, uncompressed.",
    ),
    "wrong_state": Problem(
        409,
        "Not possible in this state",
        "The proposal is in a state in which this cannot be done.",
        "Read the proposal again and go on from what it is now.",
    ),
}

ANYWHERE = frozenset(
    {code for code, problem in PROBLEMS.items() if problem.status == 401}
    | {"too_many_requests", "too_many_at_once", "issuer_unavailable", "unavailable", "server_error"}
)
"""What every address may answer to who needs a credential."""
BODY = frozenset({"bad_request", "body_too_large", "unsupported_media_type", "fields_invalid"})
"""What every address that takes a body may answer."""


def by_status(codes: frozenset[str]) -> dict[int, list[str]]:
    """The codes under their HTTP statuses, both in order."""
    statuses = sorted({PROBLEMS[code].status for code in codes})
    return {status: sorted(code for code in codes if PROBLEMS[code].status == status) for status in statuses}
