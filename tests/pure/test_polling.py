"""What an agent may say of how long it waits, and for what."""

from typing import Any

import pytest

from agents.http import FieldsInvalid
from approvals import api


@pytest.mark.parametrize(
    ("query", "meant"),
    [
        ("", (0, None)),
        ("wait=60", (60, None)),
        ("wait=0.5&after_version=3", (0.5, 3)),
        ("wait=1e1", (10, None)),
        ("after_version=0", (0, 0)),
        ("other=x", (0, None)),
    ],
)
def test_it_is_read(query: str, meant: tuple[float, int | None]) -> None:
    assert api.waiting(query) == meant


@pytest.mark.parametrize(
    ("query", "field"),
    [
        *(
            (f"wait={value}", "wait")
            for value in ("", "-1", "60.1", "nan", "inf", "1e9", "x", "%31 ", "٣", "+1")
        ),
        *((f"after_version={value}", "after_version") for value in ("", "-1", "1.5", "x", "٣", "%2B1")),
    ],
    ids=str,
)
def test_what_is_no_number_is_refused_by_its_name(query: str, field: str) -> None:
    with pytest.raises(FieldsInvalid) as refused:
        api.waiting(query)
    errors: Any = refused.value.extra["errors"]
    assert [error["field"] for error in errors] == [field]
