"""What the replay's clients saw, one JSON object a line: the fault suite compares it with the database."""

import json
from datetime import UTC, datetime
from pathlib import Path
from typing import Any, TextIO


class History:
    """Appends each event when the client has observed it; with no path nothing is written.

    A line is flushed before the client goes on, so that a killed replay leaves all it knew behind."""

    def __init__(self, path: Path | None) -> None:
        self._file: TextIO | None = None
        if path is not None:
            path.parent.mkdir(parents=True, exist_ok=True)
            self._file = path.open("a", encoding="utf-8")

    def write(self, event: str, record: str, **facts: Any) -> None:
        if self._file is None:
            return
        at = datetime.now(UTC).isoformat(timespec="microseconds")
        line = {"at": at, "event": event, "record": record, **facts}
        self._file.write(json.dumps(line, ensure_ascii=False, separators=(",", ":")) + "\n")
        self._file.flush()

    def close(self) -> None:
        if self._file is not None:
            self._file.close()
