"""A client that speaks as humanlayer 0.7.9 does on the wire, for the migration page's program.

The library itself stands in no lock file: it wants other versions than we have, and nobody keeps it any more. What is
here is what the page uses, with the same requests; the library was run by hand against the same addresses."""

import os
import sys
import time
from types import ModuleType, SimpleNamespace
from typing import Any

import requests


class FunctionCallSpec(SimpleNamespace):
    fn: str
    kwargs: dict[str, Any]


class Connection:
    def __init__(self) -> None:
        self.api_base_url = os.environ["HUMANLAYER_API_BASE"]
        self.api_key = os.environ["HUMANLAYER_API_KEY"]

    def request(self, method: str, path: str, **more: Any) -> requests.Response:
        headers = {"Authorization": f"Bearer {self.api_key}"}
        return requests.request(method, self.api_base_url + path, headers=headers, timeout=60, **more)


class HumanLayer:
    def __init__(self) -> None:
        self.backend = SimpleNamespace(connection=Connection())

    def fetch_approval(self, spec: FunctionCallSpec) -> SimpleNamespace:
        """Send the call, and poll until `status.approved` is there."""
        unset = {"channel": None, "reject_options": None, "state": None}
        call = {
            "run_id": "agent-1",
            "call_id": "call-1",
            "spec": {"fn": spec.fn, "kwargs": spec.kwargs, **unset},
            "status": None,
        }
        sent = self.backend.connection.request("POST", "/function_calls", json=call)
        sent.raise_for_status()
        while True:
            found = self.backend.connection.request("GET", f"/function_calls/{sent.json()['call_id']}").json()
            if found["status"]["approved"] is not None:
                told = SimpleNamespace(**found["status"])
                return SimpleNamespace(call=SimpleNamespace(call_id=found["call_id"], status=told))
            time.sleep(0.05)


def install() -> None:
    """As the modules that the page imports from."""
    names: dict[str, dict[str, Any]] = {
        "humanlayer": {"HumanLayer": HumanLayer},
        "humanlayer.core": {},
        "humanlayer.core.models": {"FunctionCallSpec": FunctionCallSpec},
    }
    for name, members in names.items():
        module = ModuleType(name)
        module.__dict__.update(members)
        sys.modules[name] = module
