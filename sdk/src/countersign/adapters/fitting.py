"""Whether a tool would run with exactly what was approved: a default that fills up what a reviewer removed, an argument
that is dropped, a value that validation changes, were seen by nobody."""

from __future__ import annotations

import inspect
from collections.abc import Callable
from typing import TYPE_CHECKING, Any

from countersign.arguments import Shape
from countersign.errors import ArgumentsUnfit
from countersign.sameness import changed

if TYPE_CHECKING:
    from pydantic import BaseModel


def function(called: Callable[..., Any], approved: dict[str, Any]) -> str:
    """Why a function called with these by name would not run with exactly these; empty where it would."""
    try:
        bound = inspect.signature(called).bind(**approved)
        Shape(called).unfilled(bound.arguments)
    except TypeError as error:
        return f"The approved arguments do not fit the function: {error}."
    except ArgumentsUnfit as error:
        return error.detail
    return ""


def model(tool: str, takes: type[BaseModel], approved: dict[str, Any]) -> str:
    """The same of a tool whose arguments a pydantic model reads."""
    try:
        read = takes.model_validate(approved)
    except ValueError as error:
        return f"{tool} cannot take the arguments as they were approved: {error}"
    return values(tool, read, approved)


def values(tool: str, read: Any, approved: dict[str, Any]) -> str:
    """The same, of what was read already: a model or values by name."""
    where = changed(read, approved, "")
    if where is None:
        return ""
    return (
        f"{tool} would not run with {where} as it was approved: it was left out and a default would take its place, or "
        "the tool makes something else of it. Call the tool with all arguments, in the form in which it takes them."
    )
