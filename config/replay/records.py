"""Recorded agent actions: reading, checking, and turning them into requests. Pure apart from reading files."""

import gzip
import hashlib
import json
import re
from collections.abc import Iterable, Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import Any, Literal, TextIO

Truth = Literal["approve", "edit", "reject"]
TRUTHS: tuple[Truth, ...] = ("approve", "edit", "reject")
_CONTEXT_ROLES = {"user", "assistant", "tool", "system"}


class UnusableRecords(Exception):
    """A file that is not in the format; the message names file, line and what is missing."""


@dataclass(frozen=True, slots=True)
class Record:
    """One recorded action. `truth` is what a perfect reviewer does; `expected` the arguments an edit leads to."""

    id: str
    domain: str
    agent_id: str
    agent: str
    model: str
    action_type: str
    arguments: dict[str, Any]
    context: list[dict[str, str]]
    reasoning: str
    episode: str
    step: int
    order: int
    truth: Truth
    expected: dict[str, Any] | None
    metadata: dict[str, Any]


def slug_of(name: str) -> str:
    """A slug for any recorded name. What has to be cut or spelled otherwise much is kept apart by a hash."""
    plain = re.sub(r"[^a-z0-9]+", "-", name.lower()).strip("-")
    if not plain or len(plain) > 56:
        plain = f"{plain[:45].strip('-')}-{hashlib.sha256(name.encode()).hexdigest()[:8]}".strip("-")
    return plain


def identifier_of(name: str) -> str:
    """A name for action types and domains: small letters, digits and underscores."""
    plain = slug_of(name).replace("-", "_")
    return plain if plain[0].isalpha() else "a_" + plain


def read(paths: Iterable[Path], *, mixed: bool = False) -> list[Record]:
    """All records, file after file; in a file as recorded (`seq`) or, mixed, episodes shuffled (`mixed_seq`)."""
    found: list[Record] = []
    seen: dict[str, str] = {}
    for path in paths:
        records = [_record(path, number, raw, mixed) for number, raw in _lines(path)]
        for record in records:
            if record.id in seen:
                raise UnusableRecords(f"{path.name}: {record.id} was already in {seen[record.id]}")
            seen[record.id] = path.name
        found += sorted(records, key=lambda record: record.order)
    _check_slugs(found)
    return found


def episodes(records: Iterable[Record]) -> dict[str, list[Record]]:
    """Records by agent and episode, each episode in the order of its steps; episodes in the order of the records."""
    grouped: dict[str, list[Record]] = {}
    for record in records:
        grouped.setdefault(f"{record.agent}/{record.episode}", []).append(record)
    for steps in grouped.values():
        steps.sort(key=lambda record: record.step)
    return grouped


def body_of(record: Record, subject_argument: str | None) -> dict[str, Any]:
    """The request for POST /api/v1/proposals. Nothing of the ground truth is in it."""
    body: dict[str, Any] = {
        "action_type": record.action_type,
        "arguments": record.arguments,
        "trace_id": record.episode,
        "metadata": record.metadata,
    }
    if record.context:
        body["context"] = record.context
    if record.reasoning:
        body["reasoning"] = record.reasoning
    subject = record.arguments.get(subject_argument) if subject_argument else None
    if subject_argument and isinstance(subject, str) and 0 < len(subject) <= 200:
        body["subject"] = {"type": subject_argument.removesuffix("_id"), "id": subject}
    return body


def _open(path: Path) -> TextIO:
    return gzip.open(path, "rt", encoding="utf-8") if path.suffix == ".gz" else path.open(encoding="utf-8")


def _lines(path: Path) -> Iterator[tuple[int, dict[str, Any]]]:
    try:
        with _open(path) as lines:
            for number, line in enumerate(lines, 1):
                if line.strip():
                    raw = json.loads(line)
                    if not isinstance(raw, dict):
                        raise UnusableRecords(f"{path.name}, line {number}: not a JSON object")
                    yield number, raw
    except (OSError, UnicodeDecodeError, json.JSONDecodeError, EOFError) as error:
        raise UnusableRecords(f"{path.name}: cannot be read: {error}") from error


def _record(path: Path, number: int, raw: dict[str, Any], mixed: bool) -> Record:
    try:
        truth = raw["ground_truth"]
        decision = truth["decision"]
        expected = truth["expected"][0]["arguments"] if decision == "edit" else None
        agent_id = str(raw["agent"]["id"])
        record = Record(
            id=str(raw["proposal_id"]),
            domain=identifier_of(str(raw["domain"])),
            agent_id=agent_id,
            agent=slug_of(agent_id),
            model=str(raw["agent"].get("model") or "not recorded"),
            action_type=identifier_of(str(raw["action_type"])),
            arguments=raw["arguments"],
            context=[
                {"role": part["role"], "content": part["content"]}
                for part in raw.get("context") or []
                if part["role"] in _CONTEXT_ROLES
            ],
            reasoning=raw.get("reasoning") or "",
            episode=str(raw["episode_id"]),
            step=int(raw["episode_step"]),
            order=int(raw["mixed_seq" if mixed else "seq"]),
            truth=decision,
            expected=expected,
            metadata={
                name: raw[name]
                for name in ("proposal_id", "task_id", "trial", "step")
                if raw.get(name) is not None
            },
        )
    except (KeyError, TypeError, IndexError, ValueError, AttributeError) as error:
        what = f"the field {error} is missing" if isinstance(error, KeyError) else str(error)
        raise UnusableRecords(f"{path.name}, line {number}: {what}") from error
    if decision not in TRUTHS or not isinstance(record.arguments, dict):
        raise UnusableRecords(f"{path.name}, line {number}: decision or arguments are not of the format")
    return record


def _check_slugs(records: list[Record]) -> None:
    """Two recorded names that read the same after `slug_of` would share one agent's evidence."""
    names: dict[str, str] = {}
    for record in records:
        if names.setdefault(record.agent, record.agent_id) != record.agent_id:
            raise UnusableRecords(
                f"the agents “{names[record.agent]}” and “{record.agent_id}” both become {record.agent}; rename one"
            )
