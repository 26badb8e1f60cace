"""Action types' JSON Schemas: what is accepted when saved, compiled once per version, errors per field. Pure.

Draft 2020-12, compiled offline (no reference is ever fetched) with linear-time patterns; unknown formats are
refused when the schema is saved, so that a format never silently means nothing."""

from dataclasses import dataclass
from functools import lru_cache
from itertools import islice
from typing import Any

import jsonschema_rs
import msgspec
import rfc8785
from jsonschema_rs import Draft202012Validator

from agents import strict_json

MAX_ERRORS = 20
MAX_MESSAGE = 300
DIALECT = "https://json-schema.org/draft/2020-12/schema"


@dataclass(frozen=True, slots=True)
class FieldError:
    """One fault: `field` is a JSON Pointer into the arguments, `message` says what is expected."""

    field: str
    message: str


def check(schema: Any) -> None:
    """Raise ValueError with a sentence when the schema may not describe an action's arguments."""
    if not isinstance(schema, dict):
        raise ValueError("the schema must be a JSON object")
    if schema.get("type") != "object":
        raise ValueError('the schema\'s top level must have "type": "object": arguments are an object')
    if schema.get("$schema", DIALECT) != DIALECT:
        raise ValueError(
            f'"$schema" must be {DIALECT} or absent: no other dialect is read, and none is fetched'
        )
    try:
        strict_json.check_strings(schema)
        rfc8785.dumps(schema)
    except ValueError as error:
        raise ValueError(f"the schema has a value that cannot be stored exactly: {error}") from error
    try:
        jsonschema_rs.meta.validate(schema | {"$schema": DIALECT})
        _compiled(_key(schema))
    except (ValueError, jsonschema_rs.ValidationError, jsonschema_rs.ReferencingError) as error:
        raise ValueError(f"not a usable JSON Schema: {str(error).splitlines()[0]}") from error


def errors(schema: dict[str, Any], arguments: Any) -> list[FieldError]:
    """All faults of the arguments, at most 20, the schema compiled once per content."""
    found = []
    for error in _compiled(_key(schema)).iter_errors(arguments):
        found.append(_fault(error))
        if len(found) == MAX_ERRORS:
            break
    return found


def compiled(schema: dict[str, Any]) -> Draft202012Validator:
    """The compiled validator, for callers that keep it beside the action type."""
    return _compiled(_key(schema))


def errors_of(validator: Draft202012Validator, arguments: Any) -> list[FieldError]:
    """Like `errors`, with a validator at hand; the common case of no fault costs some microseconds."""
    if validator.is_valid(arguments):
        return []
    return [_fault(error) for error in islice(validator.iter_errors(arguments), MAX_ERRORS)]


def _fault(error: jsonschema_rs.ValidationError) -> FieldError:
    """The message repeats the refused value, which may be the whole body: it is cut."""
    message = error.message
    if len(message) > MAX_MESSAGE:
        message = message[: MAX_MESSAGE // 2] + " … " + message[-MAX_MESSAGE // 2 :]
    return FieldError(_pointer(error.instance_path), message)


def _key(schema: dict[str, Any]) -> bytes:
    return msgspec.json.encode(schema, order="deterministic")


@lru_cache(maxsize=2048)
def _compiled(key: bytes) -> Draft202012Validator:
    return Draft202012Validator(
        msgspec.json.decode(key),
        validate_formats=True,
        ignore_unknown_formats=False,
        offline=True,
        pattern_options=jsonschema_rs.RegexOptions(),
    )


def _pointer(path: list[str | int]) -> str:
    return "".join("/" + str(part).replace("~", "~0").replace("/", "~1") for part in path)
