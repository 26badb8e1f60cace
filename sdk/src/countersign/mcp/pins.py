"""Tools as a person has seen them. What the server says now is compared with that, and a tool that differs stops.

An MCP server can change a tool's description at any moment, and a description is text that a model obeys (tool
poisoning). So clients of the gateway are shown the pinned words, never the present ones, and a call passes only while
both are the same."""

from __future__ import annotations

import hashlib
import json
import os
import re
import tempfile
from collections.abc import Iterable, Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from mcp import types

RESERVED = "countersign_"
"""Names of the gateway's own tools begin so; no tool of a server may."""
MAX_NAME = 60
"""Of an action type, as Countersign takes it."""
_PARTS = ("title", "description", "inputSchema", "outputSchema", "annotations")


class BadLock(Exception):
    """The lock file cannot be used; the message says why and what to do."""


@dataclass(frozen=True)
class Pin:
    """One tool as it was accepted: `definition` as it stands on the wire, without icons and metadata, which the gateway
    does not pass on."""

    name: str
    action_type: str
    definition: Mapping[str, Any]

    @property
    def digest(self) -> str:
        return digest_of(self.definition)

    @property
    def is_said_to_read(self) -> bool:
        """By the server's own hint, which is not to be trusted unless the operator says so."""
        return (self.definition.get("annotations") or {}).get("readOnlyHint") is True

    @property
    def label(self) -> str:
        annotations = self.definition.get("annotations") or {}
        return str(self.definition.get("title") or annotations.get("title") or self.name)


def definition_of(tool: types.Tool) -> dict[str, Any]:
    """What a model or a client acts upon; a part that is not there is left out."""
    whole = tool.model_dump(by_alias=True, mode="json", exclude_none=True)
    return {"name": tool.name} | {part: whole[part] for part in _PARTS if part in whole}


def digest_of(definition: Mapping[str, Any]) -> str:
    text = json.dumps(definition, sort_keys=True, ensure_ascii=True, separators=(",", ":"))
    return "sha256:" + hashlib.sha256(text.encode()).hexdigest()


def differences(pin: Pin | None, tool: types.Tool | None) -> list[str]:
    """Which parts differ, in words; empty where the tool is as it was accepted."""
    if pin is None:
        return ["it is new"]
    if tool is None:
        return ["the server has it no more"]
    now = definition_of(tool)
    words = {"inputSchema": "input schema", "outputSchema": "output schema"}
    return [words.get(part, part) for part in ("name", *_PARTS) if pin.definition.get(part) != now.get(part)]


def pinned(tools: Iterable[types.Tool], *, domain: str, known: Mapping[str, Pin]) -> dict[str, Pin]:
    """Pins of these tools; who has an action type keeps it. Raises `BadLock` for names that cannot be used."""
    found: dict[str, Pin] = {}
    taken = {pin.action_type: pin.name for pin in known.values()}
    for tool in tools:
        if tool.name.startswith(RESERVED):
            raise BadLock(
                f"the server has a tool {tool.name!r}: names that begin with {RESERVED} are the gateway's"
            )
        if tool.name in found:
            raise BadLock(f"the server has two tools {tool.name!r}")
        before = known.get(tool.name)
        kind = before.action_type if before else action_type_of(tool.name, domain=domain)
        if taken.setdefault(kind, tool.name) != tool.name:
            suffix = "_" + hashlib.sha256(tool.name.encode()).hexdigest()[:6]
            kind = kind[: MAX_NAME - len(suffix)] + suffix
            taken[kind] = tool.name
        found[tool.name] = Pin(tool.name, kind, definition_of(tool))
    return found


def action_type_of(tool: str, *, domain: str) -> str:
    """`createIssue` of the domain `tracker` is `tracker_create_issue`."""
    spaced = re.sub(r"(?<=[a-z0-9])(?=[A-Z])", "_", tool)
    plain = re.sub(r"[^a-z0-9]+", "_", spaced.lower()).strip("_") or "tool"
    return f"{domain}_{plain}"[:MAX_NAME]


def load(path: Path) -> dict[str, Pin]:
    """By tool's name. Raises `BadLock`, also where a digest does not fit what stands beside it."""
    try:
        document = json.loads(path.read_text(encoding="utf-8"))
        pins = {
            name: Pin(name, str(entry["action_type"]), entry["definition"])
            for name, entry in document["tools"].items()
        }
        digests = {name: entry["digest"] for name, entry in document["tools"].items()}
    except FileNotFoundError as error:
        raise BadLock(f"{path} is not there: run `countersign mcp-gateway import` first") from error
    except (OSError, ValueError, KeyError, TypeError, AttributeError) as error:
        raise BadLock(
            f"{path} cannot be read ({error!r}): run `countersign mcp-gateway import` again"
        ) from error
    for name, pin in pins.items():
        if pin.digest != digests[name]:
            raise BadLock(
                f"{path}: the digest of {name!r} is not that of its definition: somebody edited it by hand"
            )
    return pins


def save(path: Path, pins: Mapping[str, Pin]) -> None:
    """Whole or not at all, sorted, so that a change reads well beside the code it is kept with."""
    tools = {
        name: {"action_type": pin.action_type, "digest": pin.digest, "definition": pin.definition}
        for name, pin in sorted(pins.items())
    }
    text = json.dumps({"lock": 1, "tools": tools}, indent=2, ensure_ascii=False) + "\n"
    with tempfile.NamedTemporaryFile(
        "w", encoding="utf-8", dir=path.parent, prefix=f".{path.name}.", delete=False
    ) as file:
        file.write(text)
        file.flush()
        os.fsync(file.fileno())
    Path(file.name).replace(path)


class Lock:
    """The lock file, read again when it has changed, so that `accept` needs no restart."""

    def __init__(self, path: Path) -> None:
        self._path = path
        self._stamp: tuple[int, int] | None = None
        self._pins: dict[str, Pin] = {}

    @property
    def pins(self) -> dict[str, Pin]:
        """Raises `BadLock`: without a lock file that can be read nothing passes."""
        try:
            status = self._path.stat()
        except OSError as error:
            raise BadLock(f"{self._path} is not there: run `countersign mcp-gateway import` first") from error
        stamp = (status.st_mtime_ns, status.st_ino)
        if stamp != self._stamp:
            self._pins = load(self._path)
            self._stamp = stamp
        return self._pins
