"""What the operator writes down for one gateway: which MCP server stands behind it, and which of its tools are reads.

A JSON file, because that is what every MCP client is set up with; `${NAME}` stands for a variable of the environment,
so that no credential is in the file. They are put in when the server is started, and never logged."""

from __future__ import annotations

import json
import os
import re
from collections.abc import Mapping
from dataclasses import dataclass
from fnmatch import fnmatchcase
from pathlib import Path
from typing import Any

_VARIABLE = re.compile(r"\$\{([A-Za-z_][A-Za-z0-9_]*)\}")
_DOMAIN = re.compile(r"[a-z][a-z0-9_]{0,29}\Z")
_KNOWN = {
    "server": dict,
    "domain": str,
    "label": str,
    "reads": list,
    "blocked": list,
    "trust_read_only_hint": bool,
    "wait_seconds": (int, float),
    "wait_seconds_without_progress": (int, float),
    "call_seconds": (int, float),
    "report_results": bool,
    "agent": dict,
}
_SERVER = {"command": str, "args": list, "env": dict, "cwd": str, "url": str, "headers": dict}
_AGENT = {"slug": str, "name": str, "owner": str, "team": str, "ceiling": str}


class BadSettings(Exception):
    """The file cannot be used; the message says where and what to write."""


@dataclass(frozen=True)
class Server:
    """The MCP server behind the gateway: a command, or the address of one that speaks streamable HTTP."""

    command: str = ""
    args: tuple[str, ...] = ()
    env: Mapping[str, str] | None = None
    cwd: str | None = None
    url: str = ""
    headers: Mapping[str, str] | None = None


@dataclass(frozen=True)
class Settings:
    """One gateway. `reads` and `blocked` are tools' names or patterns with `*`; everything else is proposed.

    `wait_seconds` are waited for a decision if the client asks for progress (most then do not give up),
    `wait_seconds_without_progress` otherwise; `call_seconds` for the tool itself."""

    path: Path
    server: Server
    domain: str
    label: str
    reads: tuple[str, ...] = ()
    blocked: tuple[str, ...] = ()
    trust_read_only_hint: bool = False
    wait_seconds: float = 3600
    wait_seconds_without_progress: float = 50
    call_seconds: float = 300
    report_results: bool = True
    agent: Mapping[str, str] | None = None

    @property
    def lock(self) -> Path:
        """Beside the file: the tools as a person has seen them."""
        return self.path.with_suffix(".lock.json")

    @property
    def journal(self) -> Path:
        """Beside the file: which calls are under way, for the next start."""
        return self.path.with_suffix(".journal.sqlite3")

    def is_read(self, tool: str, *, hint: bool) -> bool:
        """Whether it passes without a proposal. A server's own word counts only if the operator said so."""
        return _fits(tool, self.reads) or (self.trust_read_only_hint and hint)

    def is_blocked(self, tool: str) -> bool:
        return _fits(tool, self.blocked)


def _fits(name: str, patterns: tuple[str, ...]) -> bool:
    return any(fnmatchcase(name, pattern) for pattern in patterns)


def load(path: Path) -> Settings:
    """Raises `BadSettings`."""
    try:
        document = json.loads(path.read_text(encoding="utf-8"))
    except OSError as error:
        raise BadSettings(f"{path} cannot be read: {error.strerror}") from error
    except ValueError as error:
        raise BadSettings(f"{path} is not JSON: {error}") from error
    _check(document, _KNOWN, at=str(path))
    server = document.get("server")
    if server is None:
        raise BadSettings(f'{path}: "server" is missing: {{"command": …}} or {{"url": …}}')
    domain = document.get("domain", "")
    if not _DOMAIN.match(domain):
        raise BadSettings(
            f'{path}: "domain" is a short name of small letters, digits and _, such as "shop": '
            "it begins the names of the action types"
        )
    agent = document.get("agent")
    if agent is not None:
        _check(agent, _AGENT, at=f'{path}: "agent"')
        if not {"slug", "name", "owner"} <= set(agent):
            raise BadSettings(f'{path}: "agent" needs "slug", "name" and "owner"')
    values: dict[str, Any] = {
        name: tuple(document[name]) if name in ("reads", "blocked") else document[name]
        for name in _KNOWN
        if name in document and name not in ("server", "label", "domain")
    }
    for name in ("reads", "blocked"):
        if not all(isinstance(pattern, str) for pattern in values.get(name, ())):
            raise BadSettings(f'{path}: "{name}" is a list of tools\' names')
    return Settings(
        path=path,
        server=_server(server, at=f'{path}: "server"'),
        domain=domain,
        label=document.get("label") or domain.replace("_", " ").capitalize(),
        **values,
    )


def _server(given: dict[str, Any], *, at: str) -> Server:
    _check(given, _SERVER, at=at)
    if bool(given.get("command")) == bool(given.get("url")):
        raise BadSettings(f'{at} has either "command" or "url"')
    if given.get("url") and not given["url"].startswith(("https://", "http://")):
        raise BadSettings(f'{at}: "url" begins with https:// or http://')
    texts = [*given.get("args", ()), *given.get("env", {}).values(), *given.get("headers", {}).values()]
    if not all(isinstance(text, str) for text in texts):
        raise BadSettings(f"{at}: arguments, variables and headers are texts")
    return Server(
        command=given.get("command", ""),
        args=tuple(given.get("args", ())),
        env=given.get("env"),
        cwd=given.get("cwd"),
        url=given.get("url", ""),
        headers=given.get("headers"),
    )


def _check(given: Any, known: Mapping[str, Any], *, at: str) -> None:
    if not isinstance(given, dict):
        raise BadSettings(f"{at} is a JSON object")
    for name, value in given.items():
        if name not in known:
            raise BadSettings(f'{at}: "{name}" is not known; there are {", ".join(sorted(known))}')
        wanted = known[name]
        numeric = wanted == (int, float)
        if not isinstance(value, wanted) or (numeric and (isinstance(value, bool) or value <= 0)):
            kinds = {dict: "an object", list: "a list", str: "a text", bool: "true or false"}
            raise BadSettings(f'{at}: "{name}" is {"a number above 0" if numeric else kinds[wanted]}')


def filled(text: str) -> str:
    """With the variables of the environment put in. Raises `BadSettings` for one that is not set."""

    def value(found: re.Match[str]) -> str:
        if found[1] not in os.environ:
            raise BadSettings(f"the variable {found[1]} is not set")
        return os.environ[found[1]]

    return _VARIABLE.sub(value, text)
