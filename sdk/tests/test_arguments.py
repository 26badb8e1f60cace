"""Calls as JSON arguments and back: what is shown is what decides; what would not come back whole is refused early."""

import dataclasses
import enum
from collections.abc import Callable
from datetime import date, datetime, timezone
from decimal import Decimal
from pathlib import PurePosixPath
from typing import Annotated, Any, Literal, NewType, Optional, TypedDict, Union
from uuid import UUID

import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from countersign import ArgumentsUnfit
from countersign.arguments import Shape
from countersign.json_values import dump, load


class Reason(enum.Enum):
    LATE = "late"
    DAMAGED = "damaged"


class Level(enum.IntEnum):
    LOW = 1


@dataclasses.dataclass
class Line:
    sku: str
    price: Decimal
    when: date | None = None


class Options(TypedDict):
    express: bool


class Model:
    """As pydantic's models behave, without pydantic."""

    def __init__(self, name: str) -> None:
        self.name = name

    def __eq__(self, other: object) -> bool:
        return isinstance(other, Model) and other.name == self.name

    def __hash__(self) -> int:
        return hash(self.name)

    def model_dump(self, *, mode: str) -> dict[str, Any]:
        assert mode == "json"
        return {"name": self.name}

    @classmethod
    def model_validate(cls, value: Any) -> "Model":
        if not isinstance(value, dict) or set(value) != {"name"}:
            raise ValueError("no model")
        return cls(value["name"])


OrderId = NewType("OrderId", str)
AT = datetime(2026, 1, 2, 3, 4, 5, 678901, tzinfo=timezone.utc)
ID = UUID(int=5)
THERE_AND_BACK: list[tuple[Any, Any, Any]] = [
    ("a", str, "a"),
    (3, int, 3),
    (3.0, float, 3.0),
    (True, bool, True),
    (None, Optional[int], None),  # noqa: UP045  the older spelling is another object
    (Decimal("42.50"), Decimal, 42.5),
    (Decimal("3"), Decimal, 3),
    (AT, datetime, "2026-01-02T03:04:05.678901+00:00"),
    (date(2026, 1, 2), date, "2026-01-02"),
    (ID, UUID, str(ID)),
    (PurePosixPath("a/b"), PurePosixPath, "a/b"),
    (Reason.LATE, Reason, "late"),
    (Level.LOW, Level, 1),
    (Reason.LATE, Union[int, Reason], "late"),  # noqa: UP007  likewise
    (Reason.LATE, int | Reason, "late"),
    ("b", Literal["a", "b"], "b"),
    ("o-1", OrderId, "o-1"),
    (3, Annotated[int, "positive"], 3),
    ([1, 2], list[int], [1, 2]),
    ((1, "a"), tuple[int, str], [1, "a"]),
    ((1, 2), tuple[int, ...], [1, 2]),
    ({"a": Decimal("1.5")}, dict[str, Decimal], {"a": 1.5}),
    (Line("s", Decimal("1.5")), Line, {"sku": "s", "price": 1.5, "when": None}),
    ([Line("s", Decimal(2), date(2026, 1, 2))], list[Line], [{"sku": "s", "price": 2, "when": "2026-01-02"}]),
    ({"express": True}, Options, {"express": True}),
    (Model("m"), Model, {"name": "m"}),
]


@pytest.mark.parametrize(
    ("value", "kind", "json"), THERE_AND_BACK, ids=[str(kind) for _, kind, _ in THERE_AND_BACK]
)
def test_values_go_to_json_and_come_back(value: Any, kind: Any, json: Any) -> None:
    assert dump(value) == json
    back = load(json, kind)
    assert (back, type(back)) == (value, type(value))


@settings(deadline=None, suppress_health_check=[HealthCheck.too_slow])  # machines are busy
@given(st.decimals(allow_nan=False, allow_infinity=False, places=2, min_value=-(10**9), max_value=10**9))
def test_money_keeps_its_value(amount: Decimal) -> None:
    assert load(dump(amount), Decimal) == amount


@pytest.mark.parametrize(
    "value",
    [{1, 2}, b"a", object(), Decimal("NaN"), Decimal("0.12345678901234567890123"), {1: 2}],
    ids=["set", "bytes", "object", "nan", "too precise", "number as a name"],
)
def test_what_has_no_form_in_json_is_refused(value: Any) -> None:
    with pytest.raises(ValueError):
        dump(value)


@pytest.mark.parametrize(
    ("value", "kind"),
    [
        ("1", int),
        (1, str),
        (True, int),
        (1, bool),
        (1.5, int),
        ("x", float),
        (None, str),
        ("early", Reason),
        (1, Literal[True]),
        ("c", Literal["a", "b"]),
        ({"sku": "s", "price": 1, "free": True}, Line),
        ({"price": 1}, Line),
        ([1], tuple[int, int]),
        ("no date", date),
        ([["a"]], list[list[int]]),
        ("x", int | None),
        ({}, Model),
        ("x", Decimal),
    ],
)
def test_what_is_something_else_is_refused(value: Any, kind: Any) -> None:
    with pytest.raises(ValueError):
        load(value, kind)


def refund(order_id: str, /, amount: Decimal, *lines: str, note: str | None = None, **more: int) -> None: ...


def test_a_call_is_shown_by_its_parameters_names() -> None:
    shape = Shape(refund)
    found = shape.arguments(("A-1", Decimal("4.5"), "x", "y"), {"fast": 1})
    assert found == {"order_id": "A-1", "amount": 4.5, "lines": ["x", "y"], "fast": 1}
    approved = found | {"amount": 4, "lines": ["x"], "slow": 2, "note": "less"}
    assert shape.call(approved, ("A-1", Decimal("4.5")), {}) == (
        ("A-1", Decimal(4), "x"),
        {"note": "less", "fast": 1, "slow": 2},
    )


def test_defaults_are_shown_as_they_will_be_used() -> None:
    def pay(amount: int = 5, to: str = "bank", note: str | None = None) -> None: ...

    shape = Shape(pay)
    assert shape.arguments((), {}) == {"amount": 5, "to": "bank"}
    assert shape.arguments((), {"note": "x"}) == {"amount": 5, "to": "bank", "note": "x"}
    assert shape.call({"amount": 5, "to": "bank"}, (), {}) == ((5, "bank", None), {})


def test_what_a_reviewer_took_away_is_not_put_back_by_a_default() -> None:
    def pay(amount: int = 5, note: str = "") -> None: ...

    with pytest.raises(ArgumentsUnfit, match="would take 5"):
        Shape(pay).call({}, (), {})
    assert Shape(pay).call({"amount": 1}, (), {"note": "the agent's"}) == ((1, ""), {})


def _wrong(order: str, *, amount: int) -> None: ...


@pytest.mark.parametrize(
    ("args", "kwargs"),
    [
        ((), {}),
        (("a",), {}),
        (("a",), {"amount": 1, "to": "x"}),
        ((1,), {"amount": 1}),
        (("a",), {"amount": 1.5}),
    ],
    ids=["nothing", "one missing", "one too many", "number for a text", "fraction for a whole"],
)
def test_a_wrong_call_is_refused_before_it_is_proposed(args: tuple[Any, ...], kwargs: dict[str, Any]) -> None:
    with pytest.raises(TypeError):
        Shape(_wrong).arguments(args, kwargs)


def test_named_extras_cannot_take_a_parameters_place() -> None:
    def pay(to: str, /, session: Any = None, **more: str) -> None: ...

    with pytest.raises(TypeError, match="twice"):
        Shape(pay, omit=["session"]).arguments(("bank",), {"to": "thief"})


def test_an_omitted_argument_cannot_be_approved_into_the_call() -> None:
    def pay(amount: int, session: Any = None) -> None: ...

    with pytest.raises(ArgumentsUnfit, match="session"):
        Shape(pay, omit=["session"]).call({"amount": 1, "session": "forged"}, (1,), {})


def test_annotations_that_exist_for_checkers_only_let_values_pass() -> None:
    def pay(amount: "Unknown") -> None: ...  # type: ignore[name-defined]  # noqa: F821

    shape: Callable[..., Any] = Shape(pay).arguments
    assert shape(({"a": 1},), {}) == {"amount": {"a": 1}}
