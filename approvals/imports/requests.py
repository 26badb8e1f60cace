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
Long = Annotated[str, Meta(max_length=2000)]
Name = Annotated[str, Meta(min_length=1, max_length=80)]


class ActionRequest(Struct, forbid_unknown_fields=True):
    """The action type by its name, and its arguments."""

    action: Annotated[Name, Meta(description="the action type's name")]
    args: Annotated[dict[str, Any], Meta(description="checked against the type's schema")]


class HumanInterruptConfig(Struct, forbid_unknown_fields=True):
    """Which answers the graph can take. It has to take a yes (`allow_accept` or `allow_edit`) and a no (`allow_ignore`
    or `allow_respond`)."""

    allow_ignore: Annotated[bool, Meta(description="the graph goes on without the action")] = False
    allow_respond: Annotated[bool, Meta(description="the graph takes words instead of a yes")] = False
    allow_edit: Annotated[bool, Meta(description="the graph takes other arguments")] = False
    allow_accept: Annotated[bool, Meta(description="the graph takes a plain yes")] = False


class HumanInterrupt(Struct, forbid_unknown_fields=True):
    """One interrupt as a graph gives it to Agent Inbox. `description` becomes the proposal's summary."""

    action_request: Annotated[ActionRequest, Meta(description="what the graph wants to do")]
    config: Annotated[HumanInterruptConfig, Meta(description="which answers it can take")]
    description: Annotated[Text | None, Meta(description="for the reviewer; shown as the agent's words")] = (
        None
    )


class ResponseOption(Struct, forbid_unknown_fields=True):
    """One way to say no. A reviewer's reason code of the same name is answered as `reject_option_name`."""

    name: Annotated[str, Meta(min_length=1, max_length=200, description="the reason code that it stands for")]
    title: Annotated[Long | None, Meta(description="kept and given back")] = None
    description: Annotated[Long | None, Meta(description="kept and given back")] = None
    prompt_fill: Annotated[Long | None, Meta(description="kept and given back")] = None
    interactive: Annotated[bool, Meta(description="kept and given back")] = False


class FunctionCallSpec(Struct, forbid_unknown_fields=True):
    """The action type by its name (`fn`), and its arguments. `channel` is kept and given back; it routes nothing."""

    fn: Annotated[Name, Meta(description="the action type's name")]
    kwargs: Annotated[dict[str, Any], Meta(description="its arguments, checked against the type's schema")]
    channel: Annotated[dict[str, Any] | None, Meta(description="kept and given back; it routes nothing")] = (
        None
    )
    reject_options: Annotated[
        Annotated[list[ResponseOption], Meta(max_length=50)] | None, Meta(description="the ways to say no")
    ] = None
    state: Annotated[dict[str, Any] | None, Meta(description="your own; kept and given back")] = None


class FunctionCall(Struct, forbid_unknown_fields=True):
    """One call that HumanLayer's client asks approval for. `status` is for us to say, so it is sent as null or not."""

    run_id: Annotated[
        str, Meta(min_length=1, max_length=200, description="the run's id; it becomes the trace's")
    ]
    call_id: Annotated[
        str, Meta(min_length=1, max_length=180, pattern=CALL_ID, description="the idempotency key")
    ]
    spec: Annotated[FunctionCallSpec, Meta(description="what is to be called")]
    status: Annotated[None, Meta(description="for us to say")] = None
