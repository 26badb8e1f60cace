"""`countersign`: who am I, and the gateway in front of MCP servers, whose libraries are loaded when it is asked for."""

from __future__ import annotations

import importlib
import sys
from collections.abc import Sequence

from countersign._version import VERSION
from countersign.client import Countersign
from countersign.errors import CountersignError

USAGE = """usage: countersign <command>

  me             who the token in COUNTERSIGN_TOKEN is, and what it may do (server: COUNTERSIGN_URL)
  mcp-gateway    stand in front of MCP servers and let people approve what their tools do
  --version      the version of this client
"""


def main(argv: Sequence[str] | None = None) -> int:
    """The exit status: 0, 1 for what went wrong, 2 for what was not understood."""
    given = list(sys.argv[1:] if argv is None else argv)
    command, rest = (given[0], given[1:]) if given else ("", [])
    if command == "mcp-gateway":
        return _gateway(rest)
    if command == "me" and not rest:
        return _me()
    if command == "--version":
        print(VERSION)
        return 0
    is_asked = command in ("-h", "--help", "help")
    print(USAGE, end="", file=sys.stdout if is_asked else sys.stderr)
    return 0 if is_asked else 2


def _gateway(rest: list[str]) -> int:
    try:
        gateway = importlib.import_module("countersign.mcp").main
    except ModuleNotFoundError as error:
        print(f"{error}. The gateway needs its extra: pip install 'countersign[mcp]'", file=sys.stderr)
        return 1
    return int(gateway(rest) or 0)


def _me() -> int:
    try:
        with Countersign(patience=5) as client:
            me = client.me()
    except CountersignError as error:
        print(error, file=sys.stderr)
        return 1
    print(f"{me.agent} ({me.name}), {me.state}, version {me.version or 'not told'}")
    for mandate in me.mandates:
        stopped = f", stopped: {mandate.stopped}" if mandate.stopped else ""
        print(f"  {mandate.action_type}: {mandate.tier}, up to {mandate.ceiling}{stopped}")
    return 0
