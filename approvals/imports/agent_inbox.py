"""Agent Inbox's interrupts and responses (langchain-ai/agent-inbox, README at commit 0d34d69). Pure.

A response is always of a type that the interrupt's config allows. An interrupt that would leave a reviewer without a
yes or without a no is refused when it comes in; a verdict that the config has no type for is told as a no."""

import json
from typing import Any

import msgspec

from approvals.exceptions import ImportUnsupported
from approvals.imports.requests import HumanInterrupt, HumanInterruptConfig
from approvals.imports.verdicts import May, Verdict
from approvals.requests import ProposeRequest, Turn

NAME = "agent_inbox"
POINTERS = {"/action_type": "/action_request/action", "/arguments": "/action_request/args"}
"""Where the fields of a proposal stand in an interrupt."""
_NO_EDIT = (
    "The agent's program takes no changed arguments (allow_edit is false): an edit is told to it as words, and nothing "
    "runs. Where the arguments are wrong, reject or return it and say what would be right."
)


def asked(interrupt: HumanInterrupt, *, at: str = "") -> ProposeRequest:
    """The proposal that an interrupt stands for; `at` points to it within the body. Raises `ImportUnsupported`."""
    config = interrupt.config
    if not (config.allow_accept or config.allow_edit):
        raise _unsupported(at, "nothing could be approved: set allow_accept or allow_edit")
    if not (config.allow_ignore or config.allow_respond):
        raise _unsupported(at, "nothing could be refused: set allow_respond or allow_ignore")
    note = [] if config.allow_edit else [Turn(role="system", name="agent-inbox", content=_NO_EDIT)]
    return ProposeRequest(
        action_type=interrupt.action_request.action,
        arguments=interrupt.action_request.args,
        summary=interrupt.description or "",
        context=note,
        metadata={NAME: {"config": msgspec.to_builtins(config)}},
    )


def _unsupported(at: str, message: str) -> ImportUnsupported:
    return ImportUnsupported(
        "An interrupt has to take a yes and a no.", errors=[{"field": f"{at}/config", "message": message}]
    )


def config_of(told: dict[str, Any]) -> HumanInterruptConfig | None:
    """The config as it was imported; None for a proposal that came another way."""
    try:
        return msgspec.convert(told[NAME]["config"], HumanInterruptConfig)
    except (KeyError, TypeError, msgspec.ValidationError):
        return None


def response(verdict: Verdict, config: HumanInterruptConfig, shown: dict[str, Any]) -> dict[str, Any] | None:
    """The HumanResponse; None until it is decided."""
    if verdict.may is May.WAIT:
        return None
    if verdict.may is May.LEAVE:
        return _no(verdict.words, config)
    if verdict.is_changed and not config.allow_edit:
        return _no(_changed(verdict, shown), config)
    kind = "accept" if config.allow_accept and not verdict.is_changed else "edit"
    return {"type": kind, "args": {"action": shown["action_type"], "args": shown["arguments"]}}


def _no(words: str, config: HumanInterruptConfig) -> dict[str, Any]:
    if config.allow_respond:
        return {"type": "response", "args": words}
    return {"type": "ignore", "args": None}


def _changed(verdict: Verdict, shown: dict[str, Any]) -> str:
    arguments = json.dumps(json.loads(bytes(shown["arguments"])), ensure_ascii=False)
    words = f"It was approved with other arguments, which this interrupt does not take; nothing was done: {arguments}"
    return f"{words}. Comment: {verdict.words}" if verdict.words else words
