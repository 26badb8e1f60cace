"""The OpenAI Agents SDK with its own scripted model, in processes of their own (see openai_agents_child.py)."""

import json
import os
import subprocess
import sys
from pathlib import Path
from typing import Any

import pytest

from countersign.testing import FakeServer

HERE = Path(__file__).resolve().parent
CALLS = {
    name: {"order_id": name.upper(), "amount": 10, "reason": "damaged"}
    for name in ("rejected", "fine", "edited", "returned", "fail", "die")
}


class Processes:
    """Each call is a process; all they share is the server, the printed state and the tool's own record."""

    def __init__(self, server: FakeServer, folder: Path) -> None:
        self.record = folder / "ran"
        self.record.touch()
        self._folder = folder
        self._environment = os.environ | {
            "PYTHONPATH": str(HERE.parent / "src"),
            "COUNTERSIGN_URL": server.url,
            "COUNTERSIGN_TOKEN": server.token,
            "CALLS": json.dumps(CALLS),
            "ACTION_TYPE": "refund_order",
            "RAN": str(self.record),
        }

    def run(self, *words: str, state: str = "", code: int = 0) -> str:
        done = subprocess.run(
            [sys.executable, str(HERE / "openai_agents_child.py"), *words],
            cwd=self._folder,
            env=self._environment,
            input=state,
            capture_output=True,
            text=True,
            timeout=120,
            check=False,
        )
        assert done.returncode == code, done.stderr
        return done.stdout

    def resume(self, state: str, *, how: str = "resume") -> Any:
        return json.loads(self.run(how, "0", state=state))

    @property
    def ran(self) -> list[Any]:
        return [json.loads(line) for line in self.record.read_text("utf-8").splitlines()]


@pytest.mark.timeout(600)
def test_a_run_that_crosses_processes_and_crashes(countersign_server: FakeServer, tmp_path: Path) -> None:
    server, processes = countersign_server, Processes(countersign_server, tmp_path)
    first = processes.run("start")
    assert processes.resume(first) == {"undecided": True}
    asked = {one.arguments["order_id"].lower(): one for one in server.proposals}
    assert [one.arguments for one in server.proposals] == list(CALLS.values())
    assert server.request(asked["fine"])["context"] == [
        {"role": "user", "content": "Please refund all of them."}
    ]
    server.approve(asked["fine"])
    server.approve(asked["edited"], edit=CALLS["edited"] | {"amount": 5})
    server.reject(asked["rejected"], "Only the shipping was late.")
    server.return_(asked["returned"], "Which order is meant?")
    server.approve(asked["fail"])

    decided = processes.resume(first)
    assert decided["open"] == ["die"] and decided["final"] is None
    outputs = decided["outputs"]
    assert outputs["fine"] == "10.0 for FINE"
    assert outputs["edited"].endswith("5.0 for EDITED") and '"amount": 5' in outputs["edited"]
    assert "Only the shipping was late." in outputs["rejected"]
    assert "Which order is meant?" in outputs["returned"]
    assert "error occurred" in outputs["fail"]
    ran = [["FINE", 10, "damaged"], ["EDITED", 5, "damaged"], ["FAIL", 10, "damaged"]]
    assert sorted(processes.ran) == sorted(ran)

    server.approve(asked["die"])
    processes.run("resume", "0", state=decided["state"], code=9)  # in the middle of the tool
    ran.append(["DIE", 10, "damaged"])
    after = processes.resume(decided["state"])
    assert "not run again" in after["outputs"]["die"] and after["final"] == "Thank you."

    repeated = processes.resume(first, how="resume-sync")  # the oldest state there is, once more
    assert {name: repeated["outputs"][name] for name in ("fine", "edited", "rejected", "returned")} == {
        name: outputs[name] for name in ("fine", "edited", "rejected", "returned")
    }
    assert "the bank is closed" in repeated["outputs"]["fail"]
    assert "not run again" in repeated["outputs"]["die"]
    assert sorted(processes.ran) == sorted(ran)
    assert {one.arguments["order_id"].lower(): one.status for one in server.proposals} == {
        "fine": "succeeded",
        "edited": "succeeded",
        "rejected": "rejected",
        "returned": "withdrawn",
        "fail": "failed",
        "die": "executing",
    }
