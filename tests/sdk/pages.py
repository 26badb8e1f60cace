"""The pages of docs/connect, and an agent that may do what they show."""

import re
from pathlib import Path
from typing import Any

import pytest
import yaml

from agents.models import ActionType
from config.demo.company import BLUEPRINTS
from tests import factories
from tests.factories import Desk

ROOT = Path(__file__).resolve().parent.parent.parent
PAGES = ROOT / "docs" / "connect"


def blocks(page: str, language: str) -> list[str]:
    """What the page has in this language, in order."""
    text = (PAGES / page).read_text(encoding="utf-8")
    return re.findall(rf"```{language}\n(.*?)```", text, re.DOTALL)


def demo_desk(monkeypatch: pytest.MonkeyPatch) -> Desk:
    """An agent that may propose the demo's `reverse_refund`, as the demo's blueprint describes it."""
    [found] = [
        kind
        for path in BLUEPRINTS
        for kind in yaml.safe_load(path.read_text("utf-8"))["action_types"]
        if kind["name"] == "reverse_refund"
    ]
    described = {name: found[name] for name in ("name", "label", "schema", "currency", "material")}
    real = factories.action_type

    def demo(name: str = "", **extra: Any) -> ActionType:
        return real(**described, title_template=found["title"], amount_pointer=found["amount"])

    monkeypatch.setattr(factories, "action_type", demo)
    return factories.desk()
