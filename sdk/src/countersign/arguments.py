"""A function's call as JSON arguments, and approved arguments as a call of that function.

What is proposed is everything that decides what the function does, defaults too, under the parameters' names; only what
is left out by name (`omit`: a session, a connection) stays out of sight. What is not JSON is carried by the parameter's
annotation, and a call that would not come back whole is refused before it is proposed, not after hours of waiting."""

from __future__ import annotations

import inspect
from collections.abc import Callable, Collection, Mapping
from typing import Any, get_type_hints

from countersign.errors import ArgumentsUnfit
from countersign.json_values import dump, load
from countersign.sameness import changed

_POSITIONAL, _NAMED = inspect.Parameter.VAR_POSITIONAL, inspect.Parameter.VAR_KEYWORD


class Shape:
    """The parameters of one function. Raises `TypeError` for a function or an `omit` that cannot work."""

    def __init__(self, function: Callable[..., Any], omit: Collection[str] = ()) -> None:
        self.name = getattr(function, "__qualname__", repr(function))
        try:
            self.signature = inspect.signature(function)
        except ValueError as error:  # of some that are built in
            raise TypeError(
                f"{self.name} does not say which arguments it takes: wrap it in a function"
            ) from error
        parameters = list(self.signature.parameters)
        unknown = set(omit) - set(parameters)
        if isinstance(omit, str) or unknown:
            raise TypeError(f"omit names parameters of {self.name}, and has {omit!r}")
        self.omit = frozenset(omit) | frozenset(parameters[:1]) & {"self", "cls"}
        try:
            self.hints = get_type_hints(function, include_extras=True)
        except (NameError, TypeError):  # names that exist for type checkers only: values pass as they are
            self.hints = {}

    def arguments(self, args: tuple[Any, ...], kwargs: Mapping[str, Any]) -> dict[str, Any]:
        """The call as JSON. Raises `TypeError` as the call itself would, and for what cannot be carried as JSON."""
        bound = self.signature.bind(*args, **kwargs).arguments
        found: dict[str, Any] = {}
        for parameter in self._seen():
            value = bound.get(parameter.name, parameter.default)
            if parameter.kind == _NAMED:
                self._add_named(found, bound.get(parameter.name, {}))
            elif parameter.kind == _POSITIONAL:
                if parameter.name in bound:
                    found[parameter.name] = self._dumped(parameter.name, list(value))
            elif value is not None or parameter.default is not None:
                found[parameter.name] = self._dumped(parameter.name, value)
        try:
            self.call(found, args, kwargs)
        except ArgumentsUnfit as error:
            raise TypeError(
                f"{self.name}: the call does not fit its own annotations: {error.detail}"
            ) from error
        return found

    def call(
        self, approved: Mapping[str, Any], args: tuple[Any, ...], kwargs: Mapping[str, Any]
    ) -> tuple[tuple[Any, ...], dict[str, Any]]:
        """Positional and named arguments that make exactly the approved call; `args`, `kwargs` are the original one's,
        for what was omitted. Raises `ArgumentsUnfit`."""
        left = dict(approved)
        bound = self.signature.bind(*args, **kwargs)
        original, bound.arguments = bound.arguments, {}
        for parameter in self.signature.parameters.values():
            name = parameter.name
            if name in self.omit:
                if name in original:
                    bound.arguments[name] = original[name]
            elif parameter.kind == _NAMED:
                bound.arguments[name] = {key: self._loaded(name, left.pop(key)) for key in list(left)}
            elif parameter.kind == _POSITIONAL:
                bound.arguments[name] = self._loaded_all(name, left.pop(name, []))
            elif name in left:
                bound.arguments[name] = self._loaded(name, left.pop(name))
            else:
                bound.arguments[name] = self._default(parameter)
        if left:
            raise ArgumentsUnfit(
                f"{self.name} takes no {', '.join(sorted(left))}, which is among what was approved."
            )
        return bound.args, bound.kwargs

    def unfilled(self, given: Mapping[str, Any]) -> None:
        """Raises `ArgumentsUnfit` where a default would take the place of what is not given."""
        for parameter in self.signature.parameters.values():
            if parameter.name not in given and parameter.kind not in (_NAMED, _POSITIONAL):
                self._default(parameter)

    def _seen(self) -> list[inspect.Parameter]:
        return [one for one in self.signature.parameters.values() if one.name not in self.omit]

    def _add_named(self, found: dict[str, Any], extra: Mapping[str, Any]) -> None:
        for name, value in extra.items():
            if name in self.signature.parameters:
                raise TypeError(f"{self.name}: {name!r} is given twice")
            found[name] = self._dumped(name, value)

    def _default(self, parameter: inspect.Parameter) -> Any:
        """A reviewer who took an argument away meant nothing by it: no default may put something in its place."""
        if parameter.default is inspect.Parameter.empty:
            raise ArgumentsUnfit(f"{self.name} needs {parameter.name}, which is not among what was approved.")
        if parameter.default:
            raise ArgumentsUnfit(
                f"{parameter.name} is not among what was approved, and {self.name} would take "
                f"{parameter.default!r} in its place."
            )
        return parameter.default

    def _dumped(self, name: str, value: Any) -> Any:
        try:
            return dump(value)
        except ValueError as error:
            raise TypeError(
                f"{self.name}: {name} cannot be proposed: {error}. Take texts, numbers, lists and dicts, or name it "
                "in omit=… if it does not decide what happens."
            ) from error

    def _loaded(self, name: str, value: Any) -> Any:
        try:
            loaded = load(value, self.hints.get(name, Any))
        except ValueError as error:
            raise ArgumentsUnfit(f"{self.name} cannot take {name} as it was approved: {error}.") from error
        if (where := changed(loaded, value, name)) is not None:
            raise ArgumentsUnfit(f"{self.name} would not run with {where} as it was approved.")
        return loaded

    def _loaded_all(self, name: str, values: Any) -> tuple[Any, ...]:
        if not isinstance(values, list):
            raise ArgumentsUnfit(f"{self.name} cannot take {name} as it was approved: it is no list.")
        return tuple(self._loaded(name, value) for value in values)
