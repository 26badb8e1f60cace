"""What a browser sends for a form as it stands: controls read and cleaned as the HTML standard says.

Cleaning is the point: a date control drops what is no date, a one-line control drops line ends, an area turns every
line end into CR LF. A form that means to change nothing has to survive exactly that."""

import re
from datetime import date, datetime
from html.parser import HTMLParser

from django.http import QueryDict


def sent(html: str, form_id: str) -> QueryDict:
    """The fields of the form with this id, no button pressed."""
    reader = _Reader(form_id)
    reader.feed(re.sub(r"\r\n?", "\n", html))
    reader.close()
    assert reader.was_there, f"there is no form {form_id}"
    data = QueryDict(mutable=True)
    for name, value in reader.found:
        data.appendlist(_crlf(name), _crlf(value))
    return data


def _crlf(text: str) -> str:
    return re.sub(r"\r\n|\r|\n", "\r\n", text)


def cleaned(kind: str, value: str) -> str:
    """The value sanitization algorithm of an input's type."""
    match kind:
        case "hidden" | "checkbox" | "radio":
            return value
        case "date":
            return value if _is(date.fromisoformat, value, r"\d{4,}-\d\d-\d\d") else ""
        case "datetime-local":
            if not _is(datetime.fromisoformat, value, r"\d{4,}-\d\d-\d\dT\d\d:\d\d(:\d\d(\.\d{1,3})?)?"):
                return ""
            return re.sub(r"(T\d\d:\d\d):00(\.0+)?\Z", r"\1", value)
        case "text":
            return re.sub(r"[\r\n]", "", value)
    raise AssertionError(f"what a browser does to type={kind} is not known here")


def _is(parse: object, value: str, pattern: str) -> bool:
    if not re.fullmatch(pattern, value, re.ASCII):
        return False
    try:
        parse(value)  # type: ignore[operator]
    except ValueError:
        return False
    return True


class _Reader(HTMLParser):
    def __init__(self, form_id: str) -> None:
        super().__init__(convert_charrefs=True)
        self.form_id = form_id
        self.found: list[tuple[str, str]] = []
        self.is_inside = self.was_there = False
        self.area: str | None = None
        self.text: list[str] = []
        self.select: str | None = None
        self.options: list[tuple[str, bool]] = []

    def handle_starttag(self, tag: str, attrs: list[tuple[str, str | None]]) -> None:
        given = {name: value or "" for name, value in attrs}
        if tag == "form":
            self.is_inside = given.get("id") == self.form_id
            self.was_there |= self.is_inside
        if not self.is_inside or "disabled" in given:
            return
        name, kind = given.get("name", ""), given.get("type", "text")
        if tag == "input" and name and (kind not in ("checkbox", "radio") or "checked" in given):
            self.found.append((name, cleaned(kind, given.get("value", ""))))
        elif tag == "textarea" and name:
            self.area, self.text = name, []
        elif tag == "select" and name:
            self.select, self.options = name, []
        elif tag == "option" and self.select is not None:
            self.options.append((given.get("value", ""), "selected" in given))

    def handle_data(self, data: str) -> None:
        if self.area is not None:
            self.text.append(data)

    def handle_endtag(self, tag: str) -> None:
        if tag == "form":
            self.is_inside = False
        elif tag == "textarea" and self.area is not None:
            self.found.append((self.area, "".join(self.text).removeprefix("\n")))
            self.area = None
        elif tag == "select" and self.select is not None:
            chosen = [value for value, selected in self.options if selected]
            self.found.append((self.select, (chosen or [self.options[0][0]])[-1]))
            self.select = None
