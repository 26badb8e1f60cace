"""The receiver of docs/webhooks.md, as the page shows it: tests run its code and nothing else."""

import re
from pathlib import Path
from typing import Any

from tests.receiver import Heard

PAGE = Path(__file__).resolve().parents[2] / "docs" / "webhooks.md"


def sample() -> dict[str, Any]:
    """What the page's first block of Python defines."""
    block = re.search(r"```python\n(.*?)```", PAGE.read_text(encoding="utf-8"), re.DOTALL)
    assert block is not None
    names: dict[str, Any] = {}
    exec(compile(block[1], str(PAGE), "exec"), names)
    return names


def verified(heard: Heard, secret: str, **more: Any) -> dict[str, Any]:
    """What the sample makes of a request; raises what it raises."""
    found: dict[str, Any] = sample()["verified"](heard.headers, heard.body, secret, **more)
    return found
