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
