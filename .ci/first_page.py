"""Start `make run` on a free port with a fresh data directory, fetch its first page, stop it, look for leftovers."""

import json
import os
import re
import signal
import socket
import subprocess
import sys
import tempfile
import threading
import time
import urllib.request
from pathlib import Path

import psutil

ROOT = Path(__file__).resolve().parent.parent
SECONDS = 180.0


def main() -> None:
    with socket.socket() as probe:
        probe.bind(("127.0.0.1", 0))
        port = probe.getsockname()[1]
    with tempfile.TemporaryDirectory(prefix="countersign-first-page-") as directory:
        Path(directory).chmod(0o755)  # as root, the database runs under an account of its own
        var = Path(directory) / "var"
        address = f"http://127.0.0.1:{port}"
        environment = {
            name: value for name, value in os.environ.items() if not name.startswith("COUNTERSIGN_")
        }
        environment |= {"PORT": str(port), "COUNTERSIGN_VAR": str(var)}
        for name in (
            "REDIS_URL",
            "MAKEFLAGS",
            "MAKELEVEL",
            *(n for n in environment if n.startswith("DATABASE_")),
        ):
            environment.pop(name, None)
        started = time.monotonic()
        make = subprocess.Popen(
            ["make", "run"],
            cwd=ROOT,
            env=environment,
            stdin=subprocess.DEVNULL,
            stdout=subprocess.PIPE,
            stderr=subprocess.STDOUT,
            text=True,
        )
        watchdog = threading.Timer(SECONDS, make.terminate)
        watchdog.start()
        try:
            link = _setup_link(make, address)
            print(f"   ready after {time.monotonic() - started:.1f} s", flush=True)
            for url in (f"{address}/", link):
                with urllib.request.urlopen(url, timeout=30) as answer:  # noqa: S310  an address of our own
                    body = answer.read().decode()
                    assert answer.status == 200 and "<html" in body, f"{url}: {answer.status} {body[:300]}"
                    print(
                        f"   {answer.status} {answer.url.replace(link, '(the setup link)')}: {_title(body)}",
                        flush=True,
                    )
            pids = {
                row["name"]: row["pid"] for row in json.loads((var / "run" / "processes.json").read_text())
            }
            members = {"postgres", "valkey", "web", "sealer", "worker", "beat"}
            assert set(pids) == members, f"these run: {sorted(pids)}"
        except BaseException:
            for log in sorted((var / "log").glob("*.log")):
                print(
                    f"── {log.name} ──\n" + "\n".join(log.read_text(errors="replace").splitlines()[-30:]),
                    flush=True,
                )
            raise
        finally:
            make.send_signal(signal.SIGTERM)
            make.wait(60)
            watchdog.cancel()
        assert make.stdout is not None
        print("".join(f"   {line}" for line in make.stdout), end="", flush=True)
        left = [name for name, pid in pids.items() if psutil.pid_exists(pid)]
        assert not left, f"left behind: {left}"
        print("   nothing left behind", flush=True)


def _setup_link(make: subprocess.Popen[str], address: str) -> str:
    """Repeats the lines of the start as they come, until the one with the address."""
    assert make.stdout is not None
    for line in make.stdout:
        print(f"   {line}", end="", flush=True)
        if line.startswith(f"Countersign is at {address}"):
            link = re.search(rf"{re.escape(address)}/\S+", line)
            assert link, "the first start prints a link that creates the first admin"
            return link.group()
    sys.exit(f"make run ended with {make.wait()} before it was ready")


def _title(body: str) -> str:
    found = re.search(r"<title>(.*?)</title>", body, re.DOTALL)
    return " ".join(found.group(1).split()) if found else "(no title)"


if __name__ == "__main__":
    main()
