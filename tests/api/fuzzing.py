"""Requests made up from the OpenAPI document, sent to the application in this process, and held against the document.

Half of them are what the document allows, half are not. A proposal's id that the document allows is that of a real
proposal, so that requests get further than "there is no such proposal"."""

import os
from collections import Counter
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass, field
from functools import lru_cache
from typing import Any
from uuid import UUID

import schemathesis
from django.core.signals import request_finished, request_started
from django.db import close_old_connections
from hypothesis import HealthCheck, Phase, given, settings
from hypothesis import strategies as st
from jsonschema_rs import Draft202012Validator
from schemathesis import GenerationMode
from schemathesis.checks import load_all_checks, not_a_server_error
from schemathesis.config import SchemathesisConfig
from schemathesis.schemas import APIOperation

from approvals import openapi
from config import wsgi
from tests.access.conftest import undone

CASES = int(os.environ.get("COUNTERSIGN_FUZZ", "0"))
"""Cases of `make fuzz`, over all operations together. 0: the few of every run, the same ones each time."""
EACH = 20
BATCHES = {
    "/api/v1/activity": ("ActivityItem", "items"),
    "/api/v1/proposals/batch": ("BatchItem", "results"),
}
"""What the items of a batch are, and where its answer has one result for each."""
SEEN: Counter[str] = Counter()
"""Answers by operation and status, for the line that `make fuzz` prints."""


@lru_cache(maxsize=1)
def schema() -> Any:
    """The document; who asks is our business here, so that no case makes a credential up."""
    document = {**openapi.document(), "security": []}
    found = schemathesis.openapi.from_dict(document, config=SchemathesisConfig(seed=1))
    found.app = wsgi.application
    return found


def operations() -> Iterator[tuple[str, APIOperation[Any, Any, Any, Any]]]:
    for result in schema().get_all_operations():
        operation = result.ok()
        yield f"{operation.method.upper()} {operation.path}", operation


@dataclass
class Asked:
    """One operation by one credential. `ids` are the proposals it is asked about."""

    operation: APIOperation[Any, Any, Any, Any]
    token: str
    ids: list[UUID]
    refused: bool = False
    cases: int = 0
    statuses: Counter[int] = field(default_factory=Counter)

    def run(self, share: int) -> None:
        """`share` cases, of which each leaves nothing behind."""
        either = st.one_of(
            self.operation.as_strategy(generation_mode=GenerationMode.POSITIVE),
            self._wrong(),
        )
        steps = (Phase.explicit, Phase.generate, Phase.shrink)

        @settings(
            max_examples=share,
            deadline=None,
            derandomize=not CASES,
            database=None,
            phases=steps,
            suppress_health_check=list(HealthCheck),
        )
        @given(case=either, which=st.sampled_from(self.ids))
        def ask(case: Any, which: UUID) -> None:
            self._one(case, which)

        ask()

    def _wrong(self) -> Any:
        try:
            found = self.operation.as_strategy(generation_mode=GenerationMode.NEGATIVE)
            found.validate()
        except Exception:  # noqa: BLE001 - an operation without parameters and body has nothing to get wrong
            return self.operation.as_strategy(generation_mode=GenerationMode.POSITIVE)
        return found

    def _one(self, case: Any, which: UUID) -> None:
        is_address = "proposal_id" not in (case.path_parameters or {})
        if not is_address and _is_uuid(case.path_parameters["proposal_id"]):
            case.path_parameters["proposal_id"] = str(which)
            is_address = True
        headers = {"Authorization": f"Bearer {self.token}"} if self.token else {}
        with undone(), _connection_kept():
            answer = case.call(headers=headers)
        self.cases += 1
        self.statuses[answer.status_code] += 1
        if self.refused and self.operation.path != "/.well-known/jwks.json":
            wanted_status = 401 if is_address else 404
            assert answer.status_code == wanted_status, f"{answer.status_code} without a good credential"
        wanted = checks()
        if (
            answer.status_code == 413
        ):  # refused before it was read, which that check does not know as a refusal
            wanted = [check for check in wanted if check.__name__ != "negative_data_rejection"]
        if self.operation.path in BATCHES and answer.status_code == 200:
            wanted = [check for check in wanted if check.__name__ != "negative_data_rejection"]
            name, member = BATCHES[self.operation.path]
            self._items_refused(case, name, answer.json()[member])
        case.validate_response(answer, checks=wanted)

    def _items_refused(self, case: Any, name: str, answered: list[dict[str, Any]]) -> None:
        """A batch is taken for its good items: each wrong one is refused in the answer, where it stands."""
        item = validator(name)
        for sent, said in zip(case.body["items"], answered, strict=True):
            assert item.is_valid(sent) or said["status"] not in ("recorded", 200, 201), sent


@contextmanager
def _connection_kept() -> Iterator[None]:
    """Django's handler ends a request by closing connections it holds for broken, such as one in a transaction."""
    request_started.disconnect(close_old_connections)
    request_finished.disconnect(close_old_connections)
    try:
        yield
    finally:
        request_started.connect(close_old_connections)
        request_finished.connect(close_old_connections)


@lru_cache(maxsize=2)
def validator(name: str) -> Draft202012Validator:
    document = openapi.document()
    return Draft202012Validator(
        {**document["components"]["schemas"][name], "components": document["components"]}
    )


@lru_cache(maxsize=1)
def checks() -> list[Any]:
    """No fault of ours; status, content type, headers and body as the document says; wrong data refused."""
    from schemathesis.specs.openapi import checks as ours

    load_all_checks()
    return [
        not_a_server_error,
        ours.status_code_conformance,
        ours.content_type_conformance,
        ours.response_headers_conformance,
        ours.response_schema_conformance,
        ours.negative_data_rejection,
        ours.missing_required_header,
    ]


def _is_uuid(value: object) -> bool:
    try:
        return bool(UUID(str(value)))
    except ValueError:
        return False
