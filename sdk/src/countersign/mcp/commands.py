"""The commands: `import` the tools, `run` the gateway, `check` whether tools have changed, `accept` a change."""

from __future__ import annotations

import argparse
import asyncio
import difflib
import json
import os
import re
import sys
from collections.abc import Mapping, Sequence
from pathlib import Path

from mcp import types

from countersign import CountersignError
from countersign.mcp import pins as pinning
from countersign.mcp.blueprint import blueprint
from countersign.mcp.pins import BadLock, Pin, definition_of, differences
from countersign.mcp.server import LOOPBACK, over_http, over_stdio
from countersign.mcp.settings import BadSettings, Settings, load
from countersign.mcp.upstream import Lost, Refused, Upstream

TOKEN = "COUNTERSIGN_GATEWAY_TOKEN"  # noqa: S105 - the name of a variable
DEFAULT = Path("mcp-gateway.json")
_CONTROL = re.compile(
    r"[\x00-\x08\x0b-\x1f\x7f-\x9f\u200b-\u200f\u2028-\u202e\u2060-\u206f\ufeff\U000e0000-\U000e007f]"
)


def main(argv: Sequence[str]) -> int:
    """The exit status: 0, 1 for what went wrong or has changed, 2 for what was not understood."""
    asked = _parser().parse_args(list(argv))
    try:
        settings = load(asked.config)
        return int(asked.work(settings, asked))
    except (BadSettings, BadLock, Lost, Refused, CountersignError) as error:
        print(f"countersign mcp-gateway: {error}", file=sys.stderr)
        return 1
    except KeyboardInterrupt:
        return 130


def _parser() -> argparse.ArgumentParser:
    parser = argparse.ArgumentParser(
        prog="countersign mcp-gateway",
        description="Stands in front of an MCP server: what its tools change, people approve first.",
    )
    parser.add_argument("--config", type=Path, default=DEFAULT, help=f"the gateway's settings ({DEFAULT})")
    commands = parser.add_subparsers(required=True, metavar="command")

    run = commands.add_parser("run", help="serve MCP clients, over stdio if nothing else is said")
    run.add_argument(
        "--http", metavar="HOST:PORT", help=f"over streamable HTTP; clients send the token in {TOKEN}"
    )
    run.set_defaults(work=_run)

    imports = commands.add_parser(
        "import", help="read the server's tools: write the lock file, and a blueprint for an admin to load"
    )
    imports.add_argument("--blueprint", type=Path, default=None, help="where to (<domain>.blueprint.yaml)")
    imports.set_defaults(work=_import)

    check = commands.add_parser("check", help="say which tools are not as they were accepted")
    check.set_defaults(work=_check)

    accept = commands.add_parser("accept", help="look at what has changed, and accept it")
    accept.add_argument("tools", nargs="*", help="only these tools (all that differ)")
    accept.add_argument("--yes", action="store_true", help="do not ask; for who has read `check`")
    accept.set_defaults(work=_accept)
    return parser


def _run(settings: Settings, asked: argparse.Namespace) -> int:
    if asked.http is None:
        asyncio.run(over_stdio(settings))
        return 0
    host, _, port = asked.http.rpartition(":")
    token = os.environ.get(TOKEN, "")
    if not host or not port.isdigit():
        raise BadSettings("--http is HOST:PORT, such as 127.0.0.1:8931")
    if len(token) < 20:
        raise BadSettings(
            f"set {TOKEN} to a secret of at least 20 characters, which clients send as their bearer token"
        )
    host = host.strip("[]")
    if host not in LOOPBACK:
        print(f"countersign mcp-gateway: {host} is reachable by others: put TLS in front.", file=sys.stderr)
    asyncio.run(over_http(settings, host=host, port=int(port), token=token))
    return 0


def _import(settings: Settings, asked: argparse.Namespace) -> int:
    """The first time everything is pinned; after that nothing that differs is, which is what `accept` is for."""
    tools = _listed(settings)
    known = pinning.load(settings.lock) if settings.lock.exists() else {}
    if not known:
        known = pinning.pinned(tools.values(), domain=settings.domain, known={})
        pinning.save(settings.lock, known)
        print(f"{settings.lock}: {_count(len(known), 'tool')} as they are now. Keep it beside your code.")
    elif changed := _changed(known, tools):
        for name, parts in changed.items():
            print(f"{name}: {', '.join(parts)}; left as it was accepted")
        print("Look at it and accept it: countersign mcp-gateway accept")
    writes = [pin for pin in known.values() if _is_proposed(settings, pin)]
    for pin in known.values():
        print(
            f"  {_way(settings, pin):9} {_shown(pin.name)}"
            + (f" -> {pin.action_type}" if pin in writes else "")
        )
    if not writes:
        print("No tool is proposed: there is nothing for people to approve.")
        return 0
    path = asked.blueprint or settings.path.with_name(f"{settings.domain}.blueprint.yaml")
    path.write_text(blueprint(settings, writes), encoding="utf-8")
    print(f"{path}: {_count(len(writes), 'action type')}. An admin reads, corrects and loads it:")
    print(f"  manage.py load_blueprint {path.name} --dry-run")
    if settings.agent is None:
        print(
            'It gives no agent a mandate: name one in "agent" of the settings, or add mandates on the agent\'s page.'
        )
    return 0


def _check(settings: Settings, asked: argparse.Namespace) -> int:
    known, tools = pinning.load(settings.lock), _listed(settings)
    changed = _changed(known, tools)
    for name in changed:
        print(_difference(name, known.get(name), tools.get(name)))
    print(
        f"{_count(len(changed), 'tool')} of {len(known)} not as accepted." if changed else "All as accepted."
    )
    return 1 if changed else 0


def _accept(settings: Settings, asked: argparse.Namespace) -> int:
    known, tools = pinning.load(settings.lock), _listed(settings)
    changed = _changed(known, tools)
    wanted = list(dict.fromkeys(asked.tools)) or list(changed)
    for name in wanted:
        if name not in changed:
            raise BadLock(f"{name!r} is as it was accepted, or nowhere")
    accepted = dict(known)
    for name in wanted:
        print(_difference(name, known.get(name), tools.get(name)))
        if not asked.yes and not _agreed(f"Accept {_shown(name)} as it is now?"):
            continue
        if name in tools:
            accepted |= pinning.pinned([tools[name]], domain=settings.domain, known=accepted)
        else:
            del accepted[name]
    if accepted == known:
        print("Nothing was accepted.")
        return 1 if wanted else 0
    pinning.save(settings.lock, accepted)
    print(f"{settings.lock}: written; a gateway that runs takes it up by itself.")
    schemas = [
        name
        for name in wanted
        if name in accepted
        and _is_proposed(settings, accepted[name])
        and (
            name not in known
            or known[name].definition.get("inputSchema") != accepted[name].definition.get("inputSchema")
        )
    ]
    if schemas:
        print(
            f"Arguments of {', '.join(map(_shown, schemas))} are new: run import, and let an admin load the blueprint."
        )
    return 0


def _listed(settings: Settings) -> dict[str, types.Tool]:
    async def listed() -> dict[str, types.Tool]:
        upstream = Upstream(settings.server)
        try:
            return await upstream.tools()
        finally:
            await upstream.close()

    return asyncio.run(listed())


def _changed(known: Mapping[str, Pin], tools: Mapping[str, types.Tool]) -> dict[str, list[str]]:
    names = [*known, *(name for name in tools if name not in known)]
    found = {name: differences(known.get(name), tools.get(name)) for name in names}
    return {name: parts for name, parts in found.items() if parts}


def _difference(name: str, pin: Pin | None, tool: types.Tool | None) -> str:
    """Both definitions line by line, with what would not be seen made visible."""
    before = _lines(pin.definition) if pin else []
    after = _lines(definition_of(tool)) if tool else []
    lines = difflib.unified_diff(before, after, "accepted", "now", lineterm="", n=2)
    return "\n".join([f"== {_shown(name)}: {', '.join(differences(pin, tool))}", *map(_shown, lines)])


def _lines(definition: Mapping[str, object]) -> list[str]:
    text = json.dumps(definition, indent=2, ensure_ascii=False, sort_keys=True)
    return [line for whole in text.split("\n") for line in whole.replace("\\n", "\\n\n").split("\n")]


def _shown(text: str) -> str:
    """Invisible and direction-changing characters, in which instructions hide, as their numbers."""
    return _CONTROL.sub(lambda found: f"<U+{ord(found[0]):04X}>", text)


def _agreed(question: str) -> bool:
    if not sys.stdin.isatty():
        raise BadLock("there is no terminal to ask at: read `check`, then `accept --yes`")
    return input(f"{question} [y/N] ").strip().lower() in ("y", "yes")


def _is_proposed(settings: Settings, pin: Pin) -> bool:
    return _way(settings, pin) == "proposed"


def _way(settings: Settings, pin: Pin) -> str:
    if settings.is_blocked(pin.name):
        return "blocked"
    return "read" if settings.is_read(pin.name, hint=pin.is_said_to_read) else "proposed"


def _count(number: int, thing: str) -> str:
    return f"{number} {thing}" if number == 1 else f"{number} {thing}s"
