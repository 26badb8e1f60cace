"""Domain errors of agents, credentials, action types and mandates."""

from accounts.exceptions import Conflict, DomainError, Invalid


class BadCredential(DomainError):
    """No, a wrong, an expired or a revoked credential."""

    code = "bad_credential"
    status = 401
    title = "Not authenticated"


class AgentNotLive(Conflict):
    """The agent is suspended or retired."""

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
