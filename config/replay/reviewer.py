"""A reviewer who decides by the recorded ground truth, through the pages that people use."""

import json
from typing import Any

import httpx

from agents import pointers
from config.replay import pages
from config.replay.browser import Browser, problem
from config.replay.client import GaveUp, Line
from config.replay.pages import Form
from config.replay.records import Record

_MOST_ROWS = 200
MISSING = pointers.MISSING
_PART_STEPS = {"given": "give", "absent": "drop", "null": "null"}
"""The buttons that put an optional part of the arguments in, or take it out."""


class Reviewer:
    """One person who decides one proposal after the other. `schemas` are those of the action types, by name."""

    def __init__(self, url: str, line: Line, email: str, password: str, schemas: dict[str, Any]) -> None:
        self.email = email
        self._browser = Browser(url, line, email, password)
        self._schemas = schemas

    async def __aenter__(self) -> "Reviewer":
        return self

    async def __aexit__(self, *error: object) -> None:
        await self._browser.close()

    async def decide(self, record: Record, proposal: dict[str, Any]) -> tuple[bool, bool]:
        """Claim and decide; (claim seen, decision seen). False where the server says that it is no longer possible:

        an earlier attempt, whose answer was lost, has done it, or somebody else."""
        path = f"/proposals/{proposal['id']}/"
        page = await self._browser.press(f"{path}claim/")
        claimed = page.status_code == 200
        if page.status_code == 409:
            page = await self._browser.get(path)
        if page.status_code != 200:
            raise GaveUp(problem(page))
        if record.truth == "edit":
            decided = await self._edit(record, path)
        else:
            decided = await self._vote(record, path, page)
        return claimed, decided

    async def _vote(self, record: Record, path: str, page: httpx.Response) -> bool:
        action = f"{path}{record.truth}/"
        form = _form(page, action)
        if form is None:
            return False
        values = {"comment": "Not what was asked for."} if record.truth == "reject" else {}
        if record.truth == "reject" and "reason" in form.values:
            values["reason"] = "wrong_action"
        answer = await self._browser.submit(form, page, **values, **_ticked(form))
        if answer.status_code == 422 and record.truth == "approve":
            page = await self._browser.get(path + "?folds=open")
            form = _form(page, action)
            if form is None:
                return False
            answer = await self._browser.submit(form, page, **_ticked(form))
        return _went_through(answer, path)

    async def _edit(self, record: Record, path: str) -> bool:
        """Open the edit form, bring every list to its length, fill in what differs, send it."""
        assert record.expected is not None
        page = await self._browser.get(f"{path}edit/?folds=open")
        if page.status_code in (403, 409) or page.url.path != f"{path}edit/":
            return False
        for _ in range(_MOST_ROWS):
            form = _edit_form(page)
            step = _row_step(form, record.expected)
            if step is None:
                break
            page = await self._browser.submit(form, page, **step)
            if page.status_code != 200:
                raise GaveUp(f"a row of the form: {problem(page)}")
        filled = _filled(form, record.arguments, record.expected, self._schemas.get(record.action_type, {}))
        return _went_through(await self._browser.submit(form, page, **filled), path)


def _form(page: httpx.Response, action: str) -> Form | None:
    return next((form for form in pages.forms(page.text) if form.action.split("?")[0] == action), None)


def _edit_form(page: httpx.Response) -> Form:
    for form in pages.forms(page.text):
        if "version" in form.values and any(name.startswith(("v:", "count:")) for name in form.values):
            return form
    raise GaveUp(f"no form to edit in: {problem(page)}")


def _ticked(form: Form) -> dict[str, str]:
    """What the page wants confirmed before it approves: the recorded truth has read everything."""
    return dict.fromkeys(form.to_tick, "on")


def _went_through(answer: httpx.Response, path: str) -> bool:
    """True when the answer leads back to the proposal; False when it says that something had changed before."""
    if answer.next_request is not None and answer.next_request.url.path == path:
        return True
    if answer.status_code in (403, 409) or answer.next_request is not None:
        return False
    raise GaveUp(problem(answer))


def _row_step(form: Form, expected: dict[str, Any]) -> dict[str, str] | None:
    """The next part or row to put in or take out, or None when every part is there and every list has its length."""
    for name, count in form.values.items():
        if name.startswith("has:"):
            part = pointers.resolve(expected, name.removeprefix("has:"))
            wants = "absent" if part is MISSING else "null" if part is None else "given"
            if count != wants:
                return {_PART_STEPS[wants]: name.removeprefix("has:")}
        if not name.startswith("count:"):
            continue
        pointer = name.removeprefix("count:")
        wanted = pointers.resolve(expected, pointer)
        length = len(wanted) if isinstance(wanted, list) else 0
        if int(count) < length:
            return {"add": pointer}
        if int(count) > length:
            return {"remove": f"{pointer}/{int(count) - 1}"}
    return None


def _filled(form: Form, before: dict[str, Any], expected: dict[str, Any], schema: Any) -> dict[str, str]:
    """What to type where; a control whose value is right already is left alone."""
    typed = {}
    for name in form.values:
        if name.startswith("v:"):
            pointer = name.removeprefix("v:")
            was, wanted = pointers.resolve(before, pointer), pointers.resolve(expected, pointer)
            if _differ(was, wanted):
                as_json = name in form.choices or not _is_text(
                    form.values[name], was, wanted, schema, pointer
                )
                typed[name] = _typed(wanted, as_json)
    return typed


def _differ(was: Any, wanted: Any) -> bool:
    return was is not wanted and (type(was) is bool or type(wanted) is bool or was != wanted)


def _typed(value: Any, as_json: bool) -> str:
    if value is MISSING:
        return ""
    return json.dumps(value, ensure_ascii=False, sort_keys=True) if as_json else str(value)


def _is_text(shown: str, was: Any, wanted: Any, schema: Any, pointer: str) -> bool:
    """Whether the control takes text as it is; what shows JSON (numbers, lists, whatever fits no control) does not."""
    if wanted is not MISSING and not isinstance(wanted, str):
        return False
    if isinstance(was, str):
        return shown.replace("\r\n", "\n") == was.replace("\r\n", "\n")
    return _types_at(schema, pointer) <= {"string", "null"}


def _types_at(schema: Any, pointer: str) -> set[str]:
    for token in pointers.parse(pointer):
        if not isinstance(schema, dict):
            return set()
        inner = schema.get("properties", {}).get(token)
        schema = inner if inner is not None else schema.get("items", {}) if token.isdigit() else {}
    found = schema.get("type", "any") if isinstance(schema, dict) else "any"
    return {found} if isinstance(found, str) else set(found)
