"""Typed bodies of the import addresses, as the two products document them; also the source of the OpenAPI document.

Agent Inbox: the interrupt schema in langchain-ai/agent-inbox's README (commit 0d34d69). HumanLayer: the API reference
in humanlayer/humanlayer (docs/api-reference, commit 743f6a7) and what its last client with an API, 0.7.9, sends."""

from typing import Annotated, Any

from msgspec import Meta, Struct

from approvals.requests import Text

MOST = 50
"""Interrupts in one request."""
MOST_KEY = 190
"""Characters of a request's idempotency key: an interrupt's place in its list is added to it."""
CALL_ID = "^[A-Za-z0-9._:@~=+-]+$"
"""It is a part of an address, and HumanLayer's client does not quote it."""
Name = Annotated[str, Meta(min_length=1, max_length=80)]


class ActionRequest(Struct, forbid_unknown_fields=True):
    """The action type by its name, and its arguments."""

    action: Name
    args: dict[str, Any]


class HumanInterruptConfig(Struct, forbid_unknown_fields=True):
    """Which answers the graph can take. It has to take a yes (`allow_accept` or `allow_edit`) and a no (`allow_ignore`
    or `allow_respond`)."""

    allow_ignore: bool = False
    allow_respond: bool = False
    allow_edit: bool = False
    allow_accept: bool = False


class HumanInterrupt(Struct, forbid_unknown_fields=True):
    """One interrupt as a graph gives it to Agent Inbox. `description` becomes the proposal's summary."""

    action_request: ActionRequest
    config: HumanInterruptConfig
    description: Text | None = None


class ResponseOption(Struct, forbid_unknown_fields=True):
    """One way to say no. A reviewer's reason code of the same name is answered as `reject_option_name`."""

    name: Annotated[str, Meta(min_length=1, max_length=200)]
    title: Annotated[str, Meta(max_length=2000)] | None = None
    description: Annotated[str, Meta(max_length=2000)] | None = None
    prompt_fill: Annotated[str, Meta(max_length=2000)] | None = None
    interactive: bool = False


class FunctionCallSpec(Struct, forbid_unknown_fields=True):
    """The action type by its name (`fn`), and its arguments. `channel` is kept and given back; it routes nothing."""

    fn: Name
    kwargs: dict[str, Any]
    channel: dict[str, Any] | None = None
    reject_options: Annotated[list[ResponseOption], Meta(max_length=50)] | None = None
    state: dict[str, Any] | None = None


class FunctionCall(Struct, forbid_unknown_fields=True):
    """One call that HumanLayer's client asks approval for. `status` is for us to say, so it is sent as null or not."""

    run_id: Annotated[str, Meta(min_length=1, max_length=200)]
    call_id: Annotated[str, Meta(min_length=1, max_length=180, pattern=CALL_ID)]
    spec: FunctionCallSpec
    status: None = None
