"""Domain errors of agents, credentials, action types and mandates."""

from accounts.exceptions import Conflict, DomainError, Invalid


class BadCredential(DomainError):
    """No, a wrong, an expired or a revoked credential, or one that is used from a network it may not be used from.

    The answer is the same for all of them; `noted` is what the audit log says instead."""

    code = "bad_credential"
    status = 401
    title = "Not authenticated"

    def __init__(self, detail: str, *, noted: str = "", **extra: object) -> None:
        super().__init__(detail, **extra)
        self.noted = noted


class BadToken(BadCredential):
    """An issuer's token that is not taken; the code says why, so that who runs the agent can mend it."""

    def __init__(self, code: str, detail: str) -> None:
        super().__init__(detail)
        self.code = code


class IssuerUnavailable(BadCredential):
    """The token may be good, but the issuer's keys cannot be had right now."""

    code = "issuer_unavailable"
    status = 503
    title = "The token cannot be checked right now"


class AgentNotLive(Conflict):
    """The agent is in preparation, suspended or retired."""

    code = "agent_not_live"
    title = "The agent may not act"


class SchemaRefused(Invalid):
    """The JSON Schema of an action type is not acceptable."""

    code = "schema_refused"
    title = "The schema is not acceptable"


class ArgumentsInvalid(Invalid):
    """The arguments do not fit the action type's schema; `errors` has one entry per fault."""

    code = "arguments_invalid"
    title = "The arguments do not fit the action type"


class KeysAway(DomainError):
    """The keys of content cannot be read or written right now; nothing of the request was stored."""

    code = "keys_away"
    status = 503
    title = "It cannot be encrypted right now"


class TooManyAtOnce(DomainError):
    """As much activity is being recorded as may be beside the proposals; send the same again a moment later."""

    code = "too_many_at_once"
    status = 429
    title = "Too much at once"
