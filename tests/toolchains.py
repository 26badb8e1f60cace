"""Tools of other people that some machines have: Go with its transparency log packages, and Node."""

import os
import shutil
import subprocess
from pathlib import Path

PACKAGES = Path("/usr/share/gocode")
"""Where Debian's golang-golang-x-mod-dev puts its sources."""
MISSING = "No Go with golang.org/x/mod was found. Install it: apt install golang-go golang-golang-x-mod-dev"
NO_NODE = "No Node of version 18 or later was found. Install it: apt install nodejs"

NODE = Path(os.environ.get("COUNTERSIGN_NODE") or Path(__file__).resolve().parent.parent / "var" / "node")
"""The folder whose node_modules has the MCP client and servers of tests/mcp/node/package.json."""
NODE_MCP = ("sdk", "server-filesystem", "server-memory")
NO_NODE_MCP = "Node's MCP client and two MCP servers were not found. Install them: make node (needs npm)"


def has_go() -> bool:
    return shutil.which("go") is not None and (PACKAGES / "src/golang.org/x/mod/sumdb/tlog").is_dir()


def has_node() -> bool:
    """One with `fetch`: 18 or later."""
    if shutil.which("node") is None:
        return False
    told = subprocess.run(
        ["node", "--version"], capture_output=True, text=True, timeout=60, check=False
    ).stdout
    return told.startswith("v") and int(told[1:].partition(".")[0]) >= 18


def has_node_mcp() -> bool:
    """Its MCP client and servers too, in a folder that COUNTERSIGN_NODE may name."""
    return has_node() and all(node_mcp(name).is_dir() for name in NODE_MCP)


def node_mcp(name: str) -> Path:
    """The folder of one of the packages."""
    return NODE / "node_modules" / "@modelcontextprotocol" / name


def built(source: Path, into: Path) -> Path:
    """The program, made from the packages on this machine alone."""
    target = into / source.stem
    environment = {
        "PATH": os.environ["PATH"],
        "HOME": str(into),
        "GO111MODULE": "off",
        "GOPATH": str(PACKAGES),
        "GOCACHE": str(into / "go-cache"),
        "GOFLAGS": "",
        "CGO_ENABLED": "0",
    }
    subprocess.run(["go", "build", "-o", target, source], env=environment, cwd=into, check=True, timeout=110)
    return target
