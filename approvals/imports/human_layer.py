"""HumanLayer's function calls (its API reference, and its client humanlayer 0.7.9 from PyPI). Pure.

Its client calls the function with the arguments it has in hand as soon as `status.approved` is true. So that is said
only where exactly these arguments were approved; changed ones are a no whose comment names them."""

import json
import re
from typing import Any

import msgspec

from agents.http import FieldsInvalid
from approvals.exceptions import ImportUnsupported
from approvals.imports.requests import CALL_ID, FunctionCall
from approvals.imports.verdicts import May, Verdict
from approvals.requests import ProposeRequest, Turn

NAME = "human_layer"
POINTERS = {"/action_type": "/spec/fn", "/arguments": "/spec/kwargs", "Idempotency-Key": "/call_id"}
"""Where the fields of a proposal stand in a function call."""
_KEY = "humanlayer:"
_NO_EDIT = (
    "The agent's program takes no changed arguments: an edit is told to it as a refusal that names them. Where the "
    "arguments are wrong, reject it and say what would be right."
)


def key(call_id: str) -> str | None:
    """The idempotency key of a call: its id is its agent's to choose, once. None for what is no id."""
    return f"{_KEY}{call_id}" if re.fullmatch(CALL_ID.strip("^$"), call_id) else None


def asked(call: FunctionCall) -> ProposeRequest:
    """The proposal that a function call stands for. Raises `ImportUnsupported`, `FieldsInvalid`."""
    if key(call.call_id) is None:
        raise FieldsInvalid(
            "A field was refused.", errors=[{"field": "/call_id", "message": f"must match {CALL_ID}"}]
        )
    spec = call.spec
    return ProposeRequest(
        action_type=spec.fn,
        arguments=spec.kwargs,
        context=[Turn(role="system", name="humanlayer", content=_NO_EDIT)],
        trace_id=call.run_id,
        metadata={
            NAME: {
                "run_id": call.run_id,
                "call_id": call.call_id,
                "channel": _channel(spec.channel),
                "reject_options": msgspec.to_builtins(spec.reject_options),
                "state": spec.state,
            }
        },
    )


def _channel(channel: dict[str, Any] | None) -> dict[str, Any] | None:
    """What is kept of a channel: no secret. Who may answer is never widened silently."""
    slack = channel.get("slack") if channel else None
    if channel is None or not isinstance(slack, dict):
        return channel
    if slack.get("allowed_responder_ids"):
        raise ImportUnsupported(
            "Who may decide is what queue, roles and policy say here; a list of Slack users cannot be kept.",
            errors=[
                {
                    "field": "/spec/channel/slack/allowed_responder_ids",
                    "message": "leave it out, and let the queue's reviewers be these people",
                }
            ],
        )
    return channel | {"slack": {name: value for name, value in slack.items() if name != "bot_token"}}


def is_imported(told: dict[str, Any]) -> bool:
    """Whether the proposal came in as a function call."""
    kept = told.get(NAME)
    return isinstance(kept, dict) and {"run_id", "call_id", "channel", "reject_options", "state"} <= set(kept)


def call(
    told: dict[str, Any], shown: dict[str, Any], *, sent: bytes, verdict: Verdict, ended_at: str | None
) -> dict[str, Any]:
    """The FunctionCall as it is now. `spec` is what was sent, whatever was approved."""
    kept = told[NAME]
    return {
        "run_id": kept["run_id"],
        "call_id": kept["call_id"],
        "spec": {
            "fn": shown["action_type"],
            "kwargs": msgspec.Raw(sent),
            "channel": kept["channel"],
            "reject_options": kept["reject_options"],
            "state": kept["state"],
        },
        "status": _status(kept, shown, verdict, ended_at),
    }


def _status(
    kept: dict[str, Any], shown: dict[str, Any], verdict: Verdict, ended_at: str | None
) -> dict[str, Any]:
    status: dict[str, Any] = {
        "requested_at": shown["created_at"],
        "responded_at": None,
        "approved": None,
        "comment": None,
        "reject_option_name": None,
        "slack_message_ts": None,
    }
    if verdict.may is May.WAIT:
        return status
    decision = shown["decision"] or {}
    is_yes = verdict.may is May.RUN and not verdict.is_changed
    comment = _changed(verdict, shown) if verdict.may is May.RUN and verdict.is_changed else verdict.words
    options = [option["name"] for option in kept["reject_options"] or ()]
    is_option = not is_yes and decision.get("reason") in options
    return status | {
        "responded_at": decision.get("decided_at") or ended_at,
        "approved": is_yes,
        "comment": comment or None,
        "reject_option_name": decision["reason"] if is_option else None,
    }


def _changed(verdict: Verdict, shown: dict[str, Any]) -> str:
    arguments = json.dumps(json.loads(bytes(shown["arguments"])), ensure_ascii=False)
    words = (
        f"Not with these arguments; nothing was done. A reviewer approved these in their place: {arguments}"
    )
    return f"{words}. Comment: {verdict.words}" if verdict.words else words
