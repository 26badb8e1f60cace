"""The gateway as a process before an MCP server of somebody else's, with an admin who set it up and a reviewer who
decides on the pages."""

import json
import os
import re
import shutil
import signal
import socket
import subprocess
import sys
from collections.abc import Iterator
from concurrent.futures import Future
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import countersign
import httpx
from countersign.mcp import main
from django.test import Client as Signed

from accounts.models import User
from agents.models import Agent
from agents.services import credentials
from approvals.models import Proposal, Queue
from approvals.services import load_blueprint
from tests import html_forms, toolchains
from tests.factories import admin, person, reviewer
from tests.mcp.asking import until
from tests.mcp.clients import Answer, Place

SECRET = "a-token-of-the-gateways-own"
COMMAND = "import sys; from countersign.cli import main; sys.exit(main())"


@dataclass(frozen=True)
class Server:
    """A package from the registry: copied, so that its words can be changed as an upgrade would change them."""

    package: str
    reads: tuple[str, ...]
    folder: Path

    @property
    def code(self) -> Path:
        return self.folder / "server" / "dist" / "index.js"

    @property
    def _pids(self) -> Path:
        return self.folder / "pids"

    @property
    def data(self) -> Path:
        return self.folder / "data"

    def install(self) -> None:
        shutil.copytree(toolchains.node_mcp(self.package), self.folder / "server")
        (self.folder / "server" / "node_modules").symlink_to(toolchains.NODE / "node_modules")
        self.data.mkdir()

    def forget(self) -> None:
        """The numbers of processes that have ended: others get them."""
        self._pids.unlink()

    def command(self) -> dict[str, Any]:
        """Started by a shell that notes the process's number, so that a test can end it."""
        noted = 'echo $$ >> "$0"; exec node "$@"'
        args = ["-c", noted, str(self._pids), str(self.code), str(self.data)]
        return {
            "command": "sh",
            "args": args,
            "env": {"MEMORY_FILE_PATH": str(self.data / "memory.jsonl"), "SHOP_SECRET": "${SHOP_SECRET}"},
        }

    def upgrade(self, before: str, after: str) -> None:
        """Other words in its code, and every process that runs the old one ended."""
        text = self.code.read_text()
        assert text.count(before) == 1, before
        self.code.write_text(text.replace(before, after))
        for pid in self._pids.read_text().split():
            os.kill(int(pid), signal.SIGKILL)
        self.forget()


@dataclass(frozen=True)
class Gateway:
    """One before that server, imported and loaded."""

    server: Server
    config: Path
    url: str
    agent: Agent
    token: str
    judge: User

    @property
    def environment(self) -> dict[str, str]:
        return {
            "PATH": os.environ["PATH"],
            "PYTHONPATH": str(Path(countersign.__file__).parents[1]),
            "COUNTERSIGN_URL": self.url,
            "COUNTERSIGN_TOKEN": self.token,
            "COUNTERSIGN_GATEWAY_TOKEN": SECRET,
            "SHOP_SECRET": "only the server's",
        }

    @property
    def command(self) -> tuple[str, ...]:
        return (sys.executable, "-c", COMMAND, "mcp-gateway", "--config", str(self.config), "run")

    @contextmanager
    def over_http(self) -> Iterator[Place]:
        with socket.socket() as probe:
            probe.bind(("127.0.0.1", 0))
            where = f"127.0.0.1:{probe.getsockname()[1]}"
        child = subprocess.Popen([*self.command, "--http", where], env=self.environment)

        def answers() -> bool:
            assert child.poll() is None, "the gateway ended"
            try:
                return httpx.post(f"http://{where}/mcp").status_code == 401
            except httpx.TransportError:
                return False

        try:
            until(answers)
            yield Place(url=f"http://{where}/mcp", token=SECRET)
        finally:
            child.send_signal(signal.SIGTERM)
            child.wait(60)

    @contextmanager
    def over_stdio(self) -> Iterator[Place]:
        """Each client starts one of its own; they share the files."""
        yield Place(command=self.command, env=self.environment)

    def accept(self, tool: str) -> None:
        assert main(["--config", str(self.config), "accept", tool, "--yes"]) == 0


def set_up(server: Server, url: str) -> Gateway:
    """Import the tools; an admin loads the blueprint, the owner issues a credential, a reviewer is named."""
    owner = person("Olga Owner")
    server.install()
    config = server.folder / "mcp-gateway.json"
    document = {
        "server": server.command(),
        "domain": "office",
        "reads": list(server.reads),
        "agent": {"slug": "office-agent", "name": "Office agent", "owner": owner.email},
    }
    config.write_text(json.dumps(document))
    assert main(["--config", str(config), "import"]) == 0
    server.forget()
    blueprint = config.with_name("office.blueprint.yaml").read_bytes()
    load_blueprint.load(data=blueprint, name="office.blueprint.yaml", actor=admin())
    agent = Agent.objects.get(slug="office-agent")
    _, token = credentials.issue(agent_id=agent.pk, actor=owner)
    judge = reviewer(Queue.objects.get(slug="office-actions"))
    return Gateway(server, config, url, agent, token, judge)


class Page:
    """What the reviewer does in the browser, as requests to the running server."""

    def __init__(self, gateway: Gateway) -> None:
        signed = Signed()
        signed.force_login(gateway.judge)
        cookies = {name: morsel.value for name, morsel in signed.cookies.items()}
        self._http = httpx.Client(base_url=gateway.url, cookies=cookies, timeout=60)

    def close(self) -> None:
        self._http.close()

    def waiting(self, call: Future[Answer]) -> Proposal:
        """The proposal that the call has become."""

        def is_there() -> bool:
            assert not call.done(), call.result()
            return Proposal.objects.filter(state="pending").exists()

        until(is_there)
        return Proposal.objects.get(state="pending")

    def edit(self, call: Future[Answer], before: str, after: str) -> None:
        """Put `after` where the form has `before`, and approve that."""
        proposal = self.waiting(call)
        address = f"/proposals/{proposal.pk}/edit/"
        form = html_forms.sent(self._http.get(address).text, "edit")
        sent = [(name, after if value == before else value) for name in form for value in form.getlist(name)]
        assert any(value == after for _, value in sent), sent
        self._post(address, sent)

    def reject(self, call: Future[Answer], comment: str) -> None:
        proposal = self.waiting(call)
        page = self._http.get(f"/proposals/{proposal.pk}/").text
        form = page[page.index(f'action="/proposals/{proposal.pk}/reject/"') :].partition("</form>")[0]
        hidden = re.findall(r'<input type="hidden" name="(\w+)" value="([^"]*)"', form)
        self._post(
            f"/proposals/{proposal.pk}/reject/", [*hidden, ("reason", "not_allowed"), ("comment", comment)]
        )

    def _post(self, address: str, sent: list[tuple[str, str]]) -> None:
        fields: dict[str, Any] = {}
        for name, value in sent:
            fields.setdefault(name, []).append(value)
        answer = self._http.post(address, data=fields)
        assert answer.status_code == 302, answer.text
