"""A prompt, an output, a call or a result as something a person can read. Pure.

Messages of a model are shown one by one, in whichever of the common forms they came; anything else that is JSON is
laid out, and a text is shown as it is. What is not understood is never dropped: it is laid out as JSON."""

import json
from collections.abc import Iterator
from dataclasses import dataclass
from typing import Any

SHOWN = 1200
"""Characters of one piece that are shown before it is folded."""
MOST = 6_000
"""Characters of one content that a list of many carries; the rest stands on a page of its own."""
_TEXTS = {"text", "reasoning", "thinking", "input_text", "output_text"}
_CALLS = {"tool_call", "function_call", "tool_use"}
_RESULTS = {"tool_call_response", "tool_result", "function_call_output"}


@dataclass(frozen=True, slots=True)
class Said:
    """One piece: who or what (`role`, empty for a plain text), and the text."""

    role: str
    text: str


@dataclass(frozen=True, slots=True)
class Shown:
    """A piece cut for a page: `head` stands there, `rest` is folded, `left` is how many characters are not here."""

    role: str
    head: str
    rest: str = ""
    left: int = 0

    @property
    def folded(self) -> int:
        return len(self.rest)


def read(body: bytes) -> list[Said]:
    """The pieces of a content, in order."""
    text = body.decode("utf-8", "replace")
    if text[:1] not in ("[", "{"):
        return [Said("", text)]
    try:
        value = json.loads(text)
        pieces = list(_pieces(value))
        return pieces or [Said("", _laid_out(value))]
    except (ValueError, RecursionError):
        return [Said("", text)]


def shown(pieces: list[Said], *, most: int = MOST) -> list[Shown]:
    """The pieces with the long ones folded, together no longer than `most`."""
    found = []
    for piece in pieces:
        here = piece.text[:most]
        most -= len(here)
        head = here[:SHOWN]
        found.append(Shown(piece.role, head, here[SHOWN:], len(piece.text) - len(here)))
    return found


def _pieces(value: Any) -> Iterator[Said]:
    """Nothing where it is no message of a model."""
    if isinstance(value, dict) and value.keys() <= {"system_instructions", "tools", "messages"} and value:
        yield from _instructions(value.get("system_instructions"))
        if value.get("tools") is not None:
            yield Said("tools it may call", _laid_out(value["tools"]))
        if value.get("messages") is not None:
            yield from _messages(value["messages"])
    elif _is_messages(value):
        yield from _messages(value)


def _is_messages(value: Any) -> bool:
    if not isinstance(value, list) or not value:
        return False
    return all(isinstance(one, dict) and isinstance(one.get("role"), str) for one in value)


def _instructions(value: Any) -> Iterator[Said]:
    if isinstance(value, list):
        for part in value:
            yield from _part("system", part)
    elif value is not None:
        yield Said("system", _text(value))


def _messages(value: Any) -> Iterator[Said]:
    if not _is_messages(value):
        yield Said("", _text(value))
        return
    for message in value:
        yield from _message(message)


def _message(message: dict[str, Any]) -> Iterator[Said]:
    rest = dict(message)
    role = rest.pop("role")
    if isinstance(rest.get("name"), str):
        role = f"{role} {rest.pop('name')}"
    key = "parts" if "parts" in rest else "content"
    body = rest.pop(key, None)
    if isinstance(body, list):
        for part in body:
            yield from _part(role, part)
    elif body not in (None, ""):
        yield Said(role, _text(body))
    for call in rest.pop("tool_calls", None) or []:
        yield from _call(role, call)
    reason = rest.pop("finish_reason", None)
    if reason not in (None, "", "stop", "tool_call", "tool_calls", "end_turn", "tool_use"):
        rest["finish_reason"] = reason
    if rest:
        yield Said(role, _laid_out(rest))


def _part(role: str, part: Any) -> Iterator[Said]:
    if not isinstance(part, dict):
        yield Said(role, _text(part))
        return
    rest = dict(part)
    kind = rest.pop("type", "")
    text = rest.get("content", rest.get("text"))
    if kind in _TEXTS and isinstance(text, str):
        rest.pop("content", None)
        rest.pop("text", None)
        yield Said(role if "text" in kind else f"{role}, {kind}", text)
        if rest:
            yield Said(role, _laid_out(rest))
    elif kind in _CALLS:
        yield from _call(role, rest)
    elif kind in _RESULTS:
        name = next(
            (rest.pop(key) for key in ("response", "result", "content", "output") if key in rest), None
        )
        said = "" if not rest.get("id") else f" {rest.pop('id')}"
        yield Said(f"{role}, result{said}", _text(name))
        if rest:
            yield Said(role, _laid_out(rest))
    else:
        yield Said(role, _laid_out(part))


def _call(role: str, call: Any) -> Iterator[Said]:
    """A tool that a model asks for: its name, and the arguments."""
    if not isinstance(call, dict):
        yield Said(role, _text(call))
        return
    rest = dict(call)
    inner = rest.pop("function", None)
    if isinstance(inner, dict):
        rest.update(inner)
    elif inner is not None:
        rest["function"] = inner
    name = rest.pop("name", "")
    arguments = next((rest.pop(key) for key in ("arguments", "input", "args") if key in rest), None)
    rest.pop("type", None)
    said = "" if not rest.get("id") else f" ({rest.pop('id')})"
    yield Said(f"{role}, calls {name}{said}", _text(arguments))
    if rest:
        yield Said(role, _laid_out(rest))


def _text(value: Any) -> str:
    """A text as it is; JSON that came as a string is laid out too."""
    if isinstance(value, str):
        if value[:1] in ("[", "{"):
            try:
                return _laid_out(json.loads(value))
            except (ValueError, RecursionError):
                return value
        return value
    return "" if value is None else _laid_out(value)


def _laid_out(value: Any) -> str:
    return json.dumps(value, ensure_ascii=False, indent=2)
