"""Tools of other people that some machines have: Go with its transparency log packages."""

import os
import shutil
import subprocess
from pathlib import Path

PACKAGES = Path("/usr/share/gocode")
"""Where Debian's golang-golang-x-mod-dev puts its sources."""
MISSING = "No Go with golang.org/x/mod was found. Install it: apt install golang-go golang-golang-x-mod-dev"


def has_go() -> bool:
    return shutil.which("go") is not None and (PACKAGES / "src/golang.org/x/mod/sumdb/tlog").is_dir()


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
