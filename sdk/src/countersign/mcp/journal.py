"""Which calls are under way, on disk, so that no crash and no repeat makes the gateway call a tool twice.

A call is `waiting` for people, then `redeeming` from right before its grant is used up until the tool has answered,
then `called` with the answer, then `reported`; or it is `ended` without a call. The step to `redeeming` is written and
synced before the grant is redeemed, and only the life (one run of a gateway) that made that step calls the tool. A row
that is found in it, and whose life has ended, belongs to nobody any more: its outcome is unknown. Several lives may use
one file at a time, since every client starts a gateway of its own; which of them still live, the operating system knows
by a lock that it lets go when a process dies."""

from __future__ import annotations

import hashlib
import json
import os
import sqlite3
import time
import uuid
from collections.abc import Mapping
from contextlib import closing
from dataclasses import dataclass
from pathlib import Path
from typing import Any

KEPT = 30 * 86400.0
"""Seconds for which the answer to a call is kept for repeats."""
_TABLE = """
CREATE TABLE IF NOT EXISTS calls (
    key TEXT PRIMARY KEY,
    tool TEXT NOT NULL,
    arguments TEXT NOT NULL,
    proposal TEXT NOT NULL DEFAULT '',
    state TEXT NOT NULL DEFAULT 'waiting',
    outcome TEXT NOT NULL DEFAULT '',
    result TEXT NOT NULL DEFAULT '',
    life TEXT NOT NULL DEFAULT '',
    at REAL NOT NULL
)
"""
_FIELDS = "key, tool, arguments, proposal, state, outcome, result, life"


class KeyReused(Exception):
    """The key was given to another call before."""


@dataclass(frozen=True)
class Call:
    """One row. `arguments` is a digest; `result` what the tool answered, as it stands on the wire."""

    key: str
    tool: str
    arguments: str
    proposal: str
    state: str
    outcome: str
    result: dict[str, Any] | None
    life: str


class Journal:
    """The file. It holds tools' answers, so nobody but its owner may read it."""

    def __init__(self, path: Path) -> None:
        self._path = path
        self._life = uuid.uuid4().hex
        self._alive = sqlite3.connect(self._lock_of(self._life), isolation_level=None)
        self._alive.execute("BEGIN EXCLUSIVE")
        if not path.exists():
            os.close(os.open(path, os.O_CREAT | os.O_WRONLY, 0o600))
        self._database = sqlite3.connect(path, isolation_level=None, timeout=30)
        self._database.execute("PRAGMA journal_mode=WAL")
        self._database.execute("PRAGMA synchronous=FULL")
        self._database.execute(_TABLE)
        self._database.execute("CREATE INDEX IF NOT EXISTS calls_proposal ON calls (proposal)")
        self._database.execute(
            "DELETE FROM calls WHERE state IN ('reported', 'ended') AND at < ?", (time.time() - KEPT,)
        )

    def close(self) -> None:
        self._database.close()
        self._alive.close()
        self._lock_of(self._life).unlink(missing_ok=True)

    def _lock_of(self, life: str) -> Path:
        return self._path.with_name(f"{self._path.name}.{life}.alive")

    def is_abandoned(self, call: Call) -> bool:
        """Whether nobody else works on it: it is of this life, or of one that has ended."""
        if call.life in ("", self._life):
            return True
        lock = self._lock_of(call.life)
        if not lock.exists():
            return True
        with closing(sqlite3.connect(lock, isolation_level=None, timeout=0)) as database:
            try:
                database.execute("BEGIN EXCLUSIVE")
            except sqlite3.OperationalError:
                return False
        lock.unlink(missing_ok=True)
        return True

    def begin(self, key: str, *, tool: str, arguments: Mapping[str, Any]) -> Call:
        """The call with this key, new or that of before. Raises `KeyReused` where that was another one."""
        digest = digest_of(arguments)
        self._database.execute(
            "INSERT OR IGNORE INTO calls (key, tool, arguments, at) VALUES (?, ?, ?, ?)",
            (key, tool, digest, time.time()),
        )
        call = self.get(key)
        assert call is not None
        if (call.tool, call.arguments) != (tool, digest):
            raise KeyReused(key)
        return call

    def get(self, key: str) -> Call | None:
        return self._one("key = ?", key)

    def of_proposal(self, proposal: str) -> Call | None:
        return self._one("proposal = ? AND proposal != ''", proposal)

    def interrupted(self) -> list[Call]:
        """What an earlier life of the gateway left between redeeming and report."""
        rows = self._database.execute(
            f"SELECT {_FIELDS} FROM calls WHERE state IN ('redeeming', 'called')"  # noqa: S608 - names of ours
        )
        return [call for call in map(_call, rows) if self.is_abandoned(call)]

    def proposed(self, key: str, proposal: str) -> None:
        self._database.execute("UPDATE calls SET proposal = ? WHERE key = ?", (proposal, key))

    def claim(self, key: str) -> bool:
        """Step to `redeeming`; whether this process may go on. Of two that try, one is let."""
        cursor = self._database.execute(
            "UPDATE calls SET state = 'redeeming', life = ?, at = ? WHERE key = ? AND state = 'waiting'",
            (self._life, time.time(), key),
        )
        return cursor.rowcount == 1

    def release(self, key: str) -> bool:
        """Back again, where it is certain that the grant was not used up."""
        return self._step(key, "redeeming", "waiting")

    def called(self, key: str, *, outcome: str, result: Mapping[str, Any]) -> None:
        self._database.execute(
            "UPDATE calls SET state = 'called', outcome = ?, result = ?, at = ? WHERE key = ?",
            (outcome, json.dumps(result), time.time(), key),
        )

    def reported(self, key: str) -> None:
        self._step(key, "called", "reported")

    def ended(self, key: str) -> None:
        """Nothing will be called any more: rejected, withdrawn, expired."""
        self._step(key, "waiting", "ended")

    def _step(self, key: str, before: str, after: str) -> bool:
        cursor = self._database.execute(
            "UPDATE calls SET state = ?, at = ? WHERE key = ? AND state = ?",
            (after, time.time(), key, before),
        )
        return cursor.rowcount == 1

    def _one(self, where: str, value: str) -> Call | None:
        row = self._database.execute(
            f"SELECT {_FIELDS} FROM calls WHERE {where}",  # noqa: S608 - conditions of ours
            (value,),
        ).fetchone()
        return None if row is None else _call(row)


def _call(row: tuple[Any, ...]) -> Call:
    key, tool, arguments, proposal, state, outcome, result, life = row
    return Call(key, tool, arguments, proposal, state, outcome, json.loads(result) if result else None, life)


def digest_of(arguments: Mapping[str, Any]) -> str:
    text = json.dumps(arguments, sort_keys=True, separators=(",", ":"))
    return hashlib.sha256(text.encode()).hexdigest()
