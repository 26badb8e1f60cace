"""Nothing runs with what nobody approved: no field filled up, dropped or made into another value on the way."""

import dataclasses
import enum
from datetime import date, datetime, timedelta, timezone
from decimal import Decimal
from typing import Any
from uuid import UUID

import pytest
from pydantic import (
    BaseModel,
    ConfigDict,
    Field,
    RootModel,
    computed_field,
    field_serializer,
    field_validator,
)

from countersign import ArgumentsUnfit
from countersign.arguments import Shape
from countersign.sameness import changed


@dataclasses.dataclass
class Refund:
    order: str
    amount: Decimal = Decimal(100)
    note: str = ""
    when: date | None = None


class Way(enum.Enum):
    CARD = "card"


class Paid(BaseModel):
    order: str
    amount: Decimal = Decimal(100)
    pieces: int = 0


class Whole(BaseModel):
    refund: Paid
    lines: list[Paid] = []
    at: datetime | None = None
    way: Way = Way.CARD
    lasts: timedelta = timedelta(0)
    tags: set[str] = set()


class Named(BaseModel):
    model_config = ConfigDict(extra="allow")
    of: str = Field(alias="orderId")

    @computed_field  # type: ignore[prop-decorator]  # as pydantic's documentation has it
    @property
    def twice(self) -> str:
        return self.of * 2


class Trimmed(BaseModel):
    cents: int
    text: str

    @field_validator("text")
    @classmethod
    def short(cls, text: str) -> str:
        return text.strip()

    @field_serializer("cents")
    def euros(self, cents: int) -> str:
        return f"{cents} ct"


class Lines(RootModel[list[Paid]]):
    pass


def pay(refund: Refund) -> None: ...
def pay_all(refunds: list[Refund]) -> None: ...
def pay_model(refund: Paid) -> None: ...
def pay_whole(whole: Whole) -> None: ...


UNLIKE: list[tuple[Any, Any, str]] = [
    (pay, {"refund": {"order": "A"}}, "refund.amount"),
    (pay_all, {"refunds": [{"order": "A", "amount": 1}, {"order": "B"}]}, r"refunds\[1\].amount"),
    (pay_model, {"refund": {"order": "A"}}, "refund.amount"),
    (pay_model, {"refund": {"order": "A", "amount": 1, "cap": 5}}, "refund.cap"),
    (pay_model, {"refund": {"order": "A", "amount": 1, "pieces": "7"}}, "refund.pieces"),
    (pay_model, {"refund": {"order": "A", "amount": 1, "pieces": True}}, "refund.pieces"),
    (pay_whole, {"whole": {"refund": {"order": "A"}, "way": "card"}}, "whole.refund.amount"),
    (pay_whole, {"whole": {"refund": {"order": "A", "amount": 1}}}, "whole.way"),
]


@pytest.mark.parametrize(("function", "approved", "where"), UNLIKE, ids=[one[2] for one in UNLIKE])
def test_what_would_run_otherwise_is_refused_with_its_name(function: Any, approved: Any, where: str) -> None:
    with pytest.raises(ArgumentsUnfit, match=where):
        Shape(function).call(approved, (None,), {})


ALIKE: list[tuple[Any, Any]] = [
    (Refund("A", Decimal("4.5")), {"order": "A", "amount": 4.5}),
    (Refund("A", Decimal("4.50")), {"order": "A", "amount": "4.5", "note": "", "when": None}),
    (Paid(order="A", amount=Decimal("12.10")), {"order": "A", "amount": "12.10"}),
    (
        Whole(
            refund=Paid(order="A", amount=Decimal(1)),
            lines=[Paid(order="B", amount=Decimal(2))],
            at=datetime(2026, 1, 2, 3, tzinfo=timezone.utc),
            lasts=timedelta(hours=1),
            tags={"a", "b"},
        ),
        {
            "refund": {"order": "A", "amount": 1},
            "lines": [{"order": "B", "amount": 2.0}],
            "at": "2026-01-02T03:00:00Z",
            "way": "card",
            "lasts": "PT1H",
            "tags": ["b", "a"],
        },
    ),
    (Named(orderId="A", more=1), {"orderId": "A", "more": 1, "twice": "AA"}),  # type: ignore[call-arg]
    (Trimmed(cents=5, text="a"), {"cents": "5 ct", "text": "a"}),
    (Lines([Paid(order="A", amount=Decimal(1))]), [{"order": "A", "amount": "1", "pieces": 0}]),
    (3.0, 3),
    (3, 3.0),
    (UUID(int=5), "{00000000-0000-0000-0000-000000000005}"),
    (date(2026, 1, 2), "2026-01-02"),
    ({"a": (1, None)}, {"a": [1, None]}),
]


@pytest.mark.parametrize(("value", "approved"), ALIKE, ids=[type(one).__name__ for one, _ in ALIKE])
def test_another_spelling_is_the_same(value: Any, approved: Any) -> None:
    assert changed(value, approved, "it") is None


OTHER: list[tuple[Any, Any, str]] = [
    (Named(orderId="A"), {"orderId": "A", "twice": "BB"}, "it.twice"),
    (Trimmed(cents=5, text="a"), {"cents": "5 ct", "text": " a"}, "it.text"),
    (float(2**53), 2**53 + 1, "it"),
    (Decimal("1.10"), "1.1x", "it"),
    (datetime(2026, 1, 2, 3), "2026-01-02T03:00:00Z", "it"),
    (None, False, "it"),
    (False, 0, "it"),
    (1, True, "it"),
    ("1", 1, "it"),
    ({"a": 1}, [1], "it"),
    ([1], [1, 2], "it"),
    ({"a"}, ["a", "a"], "it"),
    (object(), "x", "it"),
]


@pytest.mark.parametrize(("value", "approved", "where"), OTHER, ids=[str(one[1]) for one in OTHER])
def test_what_differs_is_named(value: Any, approved: Any, where: str) -> None:
    assert changed(value, approved, "it") == where
