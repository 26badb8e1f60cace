"""`make run`: the services, web, sealer, worker and beat as one thing that starts, mends itself and stops as a whole.

No Django in this process: it has to speak when the settings cannot even be read, and to stay small beside the others.
"""

import http.client
import json
import os
import select
import signal
import subprocess
import sys
import time
from collections.abc import Callable
from contextlib import ExitStack, suppress
from pathlib import Path

from audit.roles import Role
from config import addresses, children, console, embedded, preflight, processes
from config.children import Child
from config.embedded.postgres import Postgres
from config.embedded.valkey import Valkey
from config.preflight import ROOT, Installation
from config.problem import Problem, last_lines

READY_SECONDS = 90.0
_STOP_SECONDS = 35.0  # web lets requests finish for 5, the worker a call to an executor for 30
_SAME_WISH = 1.0  # seconds
_GIVE_UP_AFTER = 3  # crashes before web was ever ready: starting it again will not help


class _Stop(BaseException):
    """Ctrl-C, or a polite signal: leave whatever is being done and stop everything."""


def run() -> int:
    """The exit code. Every Problem on the way is said as a sentence."""
    try:
        Supervisor(Installation()).run()
    except Problem as problem:
        console.bad(str(problem))
        return 1
    return 0


class Supervisor:
    def __init__(self, installation: Installation) -> None:
        self.installation = installation
        self.layout = embedded.Layout(installation.var)
        self.is_demo = os.environ.get("COUNTERSIGN_DEMO") == "1"
        self.environment = addresses.without_addresses(os.environ)
        self.database_urls = addresses.named(os.environ)
        self.services: list[Child] = []
        self.programs: list[Child] = []
        self._reader, self._writer = os.pipe()
        self._last_signal = float("-inf")

    def run(self) -> None:
        """Until somebody stops it."""
        self._listen_to_signals(self._on_signal)
        try:
            with ExitStack() as stack:
                stack.callback(self._stop)
                self._start(stack)
                self._watch()
        except _Stop:
            console.good("Stopped; what you entered is kept")

    # ── start ──────────────────────────────────────────────────────────────────────────────────────────────────

    def _start(self, stack: ExitStack) -> None:
        for check in preflight.BEFORE_LOCK:
            check(self.installation)
        lock = stack.enter_context(preflight.take_lock(self.installation))
        lock.truncate(0)
        lock.write(str(os.getpid()))
        lock.flush()
        if names := children.end_leftovers(self._state_file, keep=frozenset({"postgres", "valkey"})):
            console.notice(f"Ended what a killed start had left behind: {', '.join(names)}")
        web_processes = self.installation.web_processes
        listener = stack.enter_context(preflight.listen(self.installation))
        for check in preflight.SERVERS:
            check(self.installation)
        self._start_services()
        setup_link = self._prepare()

        def start(name: str, *arguments: str, keep: tuple[int, ...] = (), role: Role = "app") -> None:
            child = children.program(
                name,
                list(arguments),
                environment=self._environment_of(role),
                root=ROOT,
                logs=self.layout.log,
                keep=keep,
            )
            self.programs.append(child)
            child.start()
            self._record()

        with console.step("Web"):
            for number in range(1, web_processes + 1):
                name = "web" if web_processes == 1 else f"web-{number}"
                start(name, *_web(listener.fileno()), keep=(listener.fileno(),))
            self._await_ready()
        with console.step("Sealer, worker and beat"):
            start("sealer", "django", "seal", role="sealer")
            start("worker", *_WORKER)
            start(
                "beat", "celery", "-A", "config", "beat", "--pidfile=", f"--schedule={self._beat_schedule()}"
            )
        if self.is_demo:
            with console.step("Demo agents"):
                start("demo_agents", "django", "demo_agents", f"--url={self.installation.local_address}")
        self._announce(setup_link)

    def _start_services(self) -> None:
        """Start or adopt them, and note down what everything that uses them has to be told."""
        self.environment |= {
            "DJANGO_SETTINGS_MODULE": "config.settings",
            "PYTHONUNBUFFERED": "1",
            "COUNTERSIGN_VAR": str(self.installation.var),
            "HOST": self.installation.host,
            "PORT": str(self.installation.port),
        }
        var = self.installation.var
        if not self.database_urls:
            postgres = embedded.postgres_in(var)
            self._start_service("PostgreSQL", postgres)
            self.database_urls = postgres.urls
        if not self.installation.redis_url:
            valkey = embedded.valkey_in(var)
            self._start_service("Valkey", valkey)
            self.environment["REDIS_URL"] = valkey.url

    def _environment_of(self, role: Role) -> dict[str, str]:
        """A program is told the address of its own role in the database, and of no other."""
        return {
            **self.environment,
            addresses.ROLE: role,
            addresses.VARIABLES[role]: self.database_urls[role],
        }

    def _start_service(self, title: str, server: Postgres | Valkey) -> None:
        var = self.installation.var
        child = Child(
            title.lower().replace("postgresql", "postgres"), lambda: server.start(attached=True), server.log
        )
        children.rotate(server.log)
        self.services.append(child)
        with console.step(title), embedded.starting(var):
            embedded.join(var)
            running = server.running()
            if running is not None and not embedded.used_by_others(var):
                server.stop()  # left behind by a killed process; ours has to end with us, which this one would not
                running = None
            if running is None:
                child.start()
            else:
                child.adopt(running)
                if isinstance(server, Postgres):
                    server.complete()
        self._record()

    def _prepare(self) -> str | None:
        """Migrations and, in the demo, its company; returns the link that creates the first admin, if there is none."""
        log = self.layout.log / "prepare.log"
        children.rotate(log)
        command = [sys.executable, "manage.py", "prepare", "--url", self.installation.address]
        with (
            console.step("Database and demo company" if self.is_demo else "Database"),
            log.open("ab") as output,
        ):
            result = subprocess.run(
                command,
                cwd=ROOT,
                env=self._environment_of("owner"),
                stdin=subprocess.DEVNULL,
                stdout=subprocess.PIPE,
                stderr=output,
                preexec_fn=processes.die_with_parent(signal.SIGTERM),
            )
        if result.returncode != 0:
            raise Problem(
                f"The database could not be prepared; {log} says:\n{last_lines(log)}\n"
                "Mend that and start again. Nothing was half-done: each migration is whole or not there."
            )
        try:
            preflight.append_only(self.installation)
        except Problem as weakness:
            console.notice(str(weakness))
        link = json.loads(result.stdout)["setup_link"]
        return str(link) if link else None

    def _await_ready(self) -> None:
        """Until the health address says that web and everything it depends on work."""
        deadline = time.monotonic() + READY_SECONDS
        web = self.programs[0]
        answer = "nothing"
        while time.monotonic() < deadline:
            self._tick()
            if web.crashes >= _GIVE_UP_AFTER:
                raise Problem(f"Web does not start; {web.log} says:\n{last_lines(web.log)}")
            answer = self._health()
            if answer == "200":
                return
            time.sleep(0.05)
        raise Problem(
            f"Web was not ready within {READY_SECONDS:.0f} seconds (/readyz: {answer}); {web.log} says:\n"
            f"{last_lines(web.log)}"
        )

    def _health(self) -> str:
        connection = http.client.HTTPConnection(
            self.installation.local_host, self.installation.port, timeout=2
        )
        try:
            connection.request("GET", "/readyz")
            return str(connection.getresponse().status)
        except (OSError, http.client.HTTPException) as error:
            return type(error).__name__
        finally:
            connection.close()

    def _announce(self, setup_link: str | None) -> None:
        line = f"Countersign is at {self.installation.address}"
        if setup_link:
            line += f" · create the first admin (once): {setup_link}"
        console.headline(line)
        newcomer = self.installation.var / "my-first-agent.token"
        if self.is_demo and newcomer.exists():
            print(f"  Connect a program of yours: export COUNTERSIGN_TOKEN=$(cat {newcomer})", flush=True)
        if console.is_terminal():
            print("  Ctrl-C stops it.", flush=True)

    # ── watch ──────────────────────────────────────────────────────────────────────────────────────────────────

    def _watch(self) -> None:
        errors = children.ErrorWatch(self.programs)
        while True:
            self._tick()
            for name, error in errors.new_errors():
                console.notice(f"{name} reports: {error} ({self.layout.log / name}.log)")
            for child in (*self.services, *self.programs):
                children.rotate(child.log)
            self._sleep(1.0)

    def _tick(self) -> None:
        """Start again what has ended."""
        for child in (*self.services, *self.programs):
            ending = child.end()
            if ending is not None:
                pause = child.plan_restart()
                when = f"in {pause:.1f} s" if pause else "now"
                console.notice(f"{child.name} {ending}; starting it again {when} ({child.log})")
            if child.is_due():
                self._restart(child)

    def _restart(self, child: Child) -> None:
        try:
            if child in self.services:
                with embedded.starting(self.installation.var):
                    child.start()
            else:
                child.start()
        except (Problem, OSError) as error:
            pause = child.plan_restart()
            console.notice(f"{child.name} did not start, trying again in {pause:.1f} s: {error}")
        self._record()

    def _sleep(self, seconds: float) -> None:
        """Less where a child ends, a restart is due or a signal comes."""
        due = [child.due for child in (*self.services, *self.programs) if child.due is not None]
        pause = max(0.0, min([seconds, *(moment - time.monotonic() for moment in due)]))
        if select.select([self._reader], [], [], pause)[0]:
            os.read(self._reader, 512)

    # ── stop ───────────────────────────────────────────────────────────────────────────────────────────────────

    def _stop(self) -> None:
        """Programs before the services they use. A second Ctrl-C does not wait for anybody."""
        if not self.programs and not self.services:
            return
        if console.is_terminal():
            print("\r\033[K", end="")
        try:
            with console.step("Stopping"):
                children.stop_all(self.programs, _STOP_SECONDS)
                self._stop_services()
        except _Stop:
            self._listen_to_signals(signal.SIG_IGN)
            children.kill_all(self.programs)
            self._stop_services()
        with suppress(FileNotFoundError):
            self._state_file.unlink()

    def _stop_services(self) -> None:
        """Also those that were adopted: an installation that was stopped is stopped."""
        if self.services:
            embedded.stop(self.installation.var)
        for child in self.services:
            if child.process is not None:
                child.process.wait()
        self.services.clear()

    # ── small things ───────────────────────────────────────────────────────────────────────────────────────────

    @property
    def _state_file(self) -> Path:
        return self.layout.run / "processes.json"

    def _record(self) -> None:
        children.record((*self.services, *self.programs), self._state_file)

    def _beat_schedule(self) -> str:
        return str(self.layout.run / "beat-schedule")

    def _listen_to_signals(self, handler: Callable[[int, object], None] | signal.Handlers) -> None:
        for number in (signal.SIGINT, signal.SIGTERM, signal.SIGHUP):
            signal.signal(number, handler)
        for end in (self._reader, self._writer):
            os.set_blocking(end, False)
        signal.set_wakeup_fd(self._writer, warn_on_full_buffer=False)
        signal.signal(signal.SIGCHLD, lambda *_: None)  # wakes `_sleep`

    def _on_signal(self, _number: int, _frame: object) -> None:
        """Terminals, make and service managers often send one wish twice; that is no second wish."""
        now = time.monotonic()
        if now - self._last_signal > _SAME_WISH:
            self._last_signal = now
            raise _Stop


def _web(descriptor: int) -> list[str]:
    return ["config.web", str(descriptor)]


# Tasks wait for the database and for other servers, so threads serve them: one process instead of a parent and its
# children, a third of the memory, and a killed worker leaves no orphans behind.
_WORKER = [
    *("celery", "-A", "config", "worker", "--pool=threads", "--concurrency=10", "--loglevel=INFO"),
    *("--without-gossip", "--without-mingle", "--without-heartbeat"),
]
