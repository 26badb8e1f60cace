"""The document explains itself: no field without a word on what it means."""

from collections.abc import Iterator
from typing import Any

import pytest

from approvals import openapi

COMPONENTS: dict[str, dict[str, Any]] = openapi.document()["components"]["schemas"]
EXPLAINED_BY_THE_WHOLE = {"ActivityFacts"}


def unexplained(schema: dict[str, Any], at: str) -> Iterator[str]:
    """Paths of fields that have neither words of their own nor a component that has them."""
    for name, value in schema.get("properties", {}).items():
        inner = [each for each in value.get("anyOf", [value]) if each != {"type": "null"}]
        words = value.get("description") or any(each.get("description") or "$ref" in each for each in inner)
        if not words and "properties" not in value and "const" not in value and "enum" not in value:
            yield f"{at}.{name}"
        for each in inner:
            yield from unexplained(each.get("items", each), f"{at}.{name}")


@pytest.mark.parametrize("name", sorted(COMPONENTS.keys() - EXPLAINED_BY_THE_WHOLE))
def test_every_field_is_explained(name: str) -> None:
    assert list(unexplained(COMPONENTS[name], name)) == []
