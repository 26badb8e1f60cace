"""From an empty folder to the first decided proposal: commands, lines of code, seconds, as the documents print them.

    make bench ARGS=first_decision

Everything that is typed is read out of docs/connect/README.md and docs/connect/python.md at the time of measuring: what
starts the demo, what connects a program, the program, and how it is started. A person's part, signing in as a reviewer
and approving, is done in Chromium on the pages. Only these are this program's own: the address to clone from, which
is the repository at hand, a free port in place of 8000, and caches of pip and uv that are empty, as on a clean machine.
The steps follow each other, as for somebody who waits for each; his reading and typing is not in the seconds.

The reference in the same minutes is the least that a Python program on HTTP can ask for: an environment with httpx.
"""

import itertools
import os
import re
import shutil
import signal
import socket
import subprocess
import sys
import tempfile
import time
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path

from playwright.sync_api import expect, sync_playwright
from rich.console import Console
from rich.table import Table

ROOT = Path(__file__).resolve().parent.parent
CONNECT = ROOT / "docs" / "connect"
BROWSERS = ("chromium", "chromium-browser", "google-chrome", "google-chrome-stable", "chrome")
LONGEST = 900
"""Seconds for any one step: a cold installation over a slow network."""
REFERENCE = "python3 -m venv bare && bare/bin/pip install httpx"
READY = "Countersign is at "


@dataclass(frozen=True)
class Documents:
    """What they tell a newcomer to type."""

    serve: str
    connect: list[str]
    program: str
    saved_as: str
    started_by: str
    printed: str

    @property
    def commands(self) -> int:
        """Cloning and changing into the folder too, and each part of a line that has `&&` in it."""
        typed = ["git clone", "cd", self.serve, *self.connect, self.started_by]
        return sum(len(line.split("&&")) for line in typed)

    @property
    def lines(self) -> int:
        """Of the program, without empty ones."""
        return sum(1 for line in self.program.splitlines() if line.strip())


@dataclass(frozen=True)
class Step:
    what: str
    seconds: float


def documents() -> Documents:
    """Read out of the pages; a page that has another form ends the measurement."""
    index = (CONNECT / "README.md").read_text(encoding="utf-8").split("## Before the first snippet")[1]
    python = (CONNECT / "python.md").read_text(encoding="utf-8")
    serve, connect = re.findall(r"```sh\n(.*?)```", index.split("\n## ")[0], re.DOTALL)
    saved = re.search(r"Save a snippet as `([^`]+)` and start it with `([^`]+)`", index)
    if saved is None:
        sys.exit("docs/connect/README.md no longer says as what a snippet is saved, and how it is started")
    [program, *_] = re.findall(r"```python\n(.*?)```", python, re.DOTALL)
    [printed, *_] = re.findall(r"```text\n(.*?)```", python, re.DOTALL)
    return Documents(serve.strip(), connect.strip().splitlines(), program, saved[1], saved[2], printed)


def environment(folder: Path, port: int) -> dict[str, str]:
    """Of a machine on which nothing of ours was set or fetched before."""
    ours = ("COUNTERSIGN_", "DATABASE_", "DJANGO_")
    kept = {name: value for name, value in os.environ.items() if not name.startswith(ours)}
    for name in ("REDIS_URL", "VIRTUAL_ENV", "PYTHONPATH", "MAKEFLAGS", "MAKELEVEL", "MFLAGS", "PYTHON"):
        kept.pop(name, None)
    caches = {"PIP_CACHE_DIR": str(folder / "pip"), "UV_CACHE_DIR": str(folder / "uv")}
    address = f"http://127.0.0.1:{port}"
    return {**kept, **caches, "HOST": "127.0.0.1", "PORT": str(port), "COUNTERSIGN_URL": address}


def done(command: str, folder: Path, known: dict[str, str]) -> float:
    """Seconds of one command, which has to succeed."""
    began = time.monotonic()
    ended = subprocess.run(
        ["sh", "-e", "-c", command],
        cwd=folder,
        env=known,
        stdin=subprocess.DEVNULL,
        stdout=subprocess.PIPE,
        stderr=subprocess.STDOUT,
        text=True,
        timeout=LONGEST,
        check=False,
    )
    if ended.returncode:
        sys.exit(f"`{command}` ended with {ended.returncode}:\n{ended.stdout[-2000:]}")
    return time.monotonic() - began


@contextmanager
def serving(command: str, folder: Path, known: dict[str, str], log: Path) -> Iterator[float]:
    """The first terminal: seconds until it says where it is; stopped, and waited for, at the end."""
    began = time.monotonic()
    with log.open("wb") as output:
        started = subprocess.Popen(
            ["sh", "-c", command],
            cwd=folder,
            env=known,
            stdin=subprocess.DEVNULL,
            stdout=output,
            stderr=output,
            start_new_session=True,
        )
    try:
        while READY not in (said := log.read_text(encoding="utf-8", errors="replace")):
            if started.poll() is not None or time.monotonic() - began > LONGEST:
                sys.exit(f"`{command}` did not come up:\n{said[-2000:]}")
            time.sleep(0.05)
        yield time.monotonic() - began
    finally:
        os.killpg(started.pid, signal.SIGTERM)  # a session of its own, in which is nothing but this
        started.wait(60)


def typed(lines: list[str]) -> str:
    """One shell for all lines, as a terminal is, which tells the time before each and after the last."""
    told = ["date +@@%s.%N"]
    for line in lines:
        told += [line, "date +@@%s.%N"]
    return "\n".join(told)


def approve(browser: str, url: str) -> None:
    """A reviewer's part: sign in by one click, open the queue, open the proposal, approve it."""
    with sync_playwright() as playwright:
        launched = playwright.chromium.launch(executable_path=browser, args=["--no-sandbox", "--disable-gpu"])
        try:
            page = launched.new_page()
            page.set_default_timeout(120_000)
            expect.set_options(timeout=120_000)
            page.goto(url)
            page.locator(".people__one", has_text="ustomer care").first.click()
            page.wait_for_url(lambda address: "/login" not in address)
            entry = page.locator("a", has_text="Reverse refund rf_0123456789").first
            while True:  # the program may not have proposed yet
                page.goto(f"{url}/queues/refunds/")
                if entry.count():
                    break
                page.wait_for_timeout(200)
            entry.click()
            button = page.get_by_role("button", name="Approve what is shown")
            expect(button).to_be_visible()
            seen = page.locator("#decide input[type=checkbox][name=seen]")
            if seen.count():
                seen.check()
            button.click()
            expect(page.locator(".stamp__word").first).to_contain_text("Approved")
        finally:
            launched.close()


def connected(told: Documents, folder: Path, known: dict[str, str], browser: str) -> list[Step]:
    """The second terminal, to the line that the program prints when it has run."""
    (folder / told.saved_as).write_text(told.program, encoding="utf-8")
    running = subprocess.Popen(
        ["sh", "-e", "-c", typed([*told.connect, told.started_by])],
        cwd=folder,
        env=known,
        stdin=subprocess.DEVNULL,
        stdout=subprocess.PIPE,
        text=True,
        bufsize=1,
    )
    marks: list[float] = []
    printed: list[str] = []
    assert running.stdout is not None
    try:
        for line in running.stdout:
            if not line.startswith("@@"):
                printed.append(line)
                continue
            marks.append(float(line[2:]))
            if len(marks) == len(told.connect) + 1:
                approve(browser, known["COUNTERSIGN_URL"])
        if running.wait(LONGEST) or not "".join(printed).endswith(told.printed):
            sys.exit(f"the program did not do what its page says:\n{''.join(printed)[-2000:]}")
    finally:
        running.kill()
        running.wait(20)
        running.stdout.close()
    seconds = [later - earlier for earlier, later in itertools.pairwise(marks)]
    names = [*told.connect, f"{told.started_by}, and a person approves"]
    return [Step(name, each) for name, each in zip(names, seconds, strict=True)]


def main() -> None:
    browser = os.environ.get("CHROMIUM") or next(filter(None, map(shutil.which, BROWSERS)), None)
    if browser is None:
        sys.exit("The reviewer needs a Chromium (apt install chromium), or CHROMIUM=/path")
    told = documents()
    with socket.socket() as probe:
        probe.bind(("127.0.0.1", 0))
        port = int(probe.getsockname()[1])
    with tempfile.TemporaryDirectory(prefix="countersign-first-") as directory:
        folder = Path(directory)
        folder.chmod(0o755)  # an embedded PostgreSQL may run as another user
        known = environment(folder, port)
        bare = done(REFERENCE, folder, {**known, "PIP_CACHE_DIR": str(folder / "none")})
        steps = [Step("git clone", done(f"git clone --quiet '{ROOT}' countersign", folder, known))]
        clone = folder / "countersign"
        with serving(told.serve, clone, known, folder / "demo.log") as seconds:
            steps.append(Step(told.serve, seconds))
            steps += connected(told, clone, known, browser)
    total = sum(step.seconds for step in steps)
    table = Table(title="From an empty folder to the first decided proposal", title_justify="left")
    table.add_column("step")
    table.add_column("seconds", justify="right")
    for step in steps:
        table.add_row(step.what, f"{step.seconds:.1f}")
    table.add_row("all", f"{total:.1f}", style="bold")
    table.add_row(f"reference: {REFERENCE}", f"{bare:.1f}")
    console = Console()
    console.print(table)
    console.print(
        f"{told.commands} commands, {told.lines} lines of code; {total / bare:.1f} times the reference. The clone is "
        "of the repository at hand; the approval waits out the queue's undo window of 5 s."
    )


if __name__ == "__main__":
    main()
