"""Reading the forms of a page as a browser does: which fields it would send, with which values. Pure."""

from dataclasses import dataclass, field
from html.parser import HTMLParser


@dataclass(slots=True)
class Form:
    """One form; `fields` are what would be sent unless changed, buttons left out; `choices` are its selects and radios,
    `to_tick` the boxes that have to be ticked first."""

    action: str
    method: str
    id: str
    fields: list[tuple[str, str]] = field(default_factory=list)
    buttons: list[tuple[str, str]] = field(default_factory=list)
    choices: set[str] = field(default_factory=set)
    to_tick: list[str] = field(default_factory=list)

    @property
    def values(self) -> dict[str, str]:
        return dict(self.fields)


def forms(page: str) -> list[Form]:
    """All forms of the page in order, with controls that name their form by its id."""
    parser = _Forms()
    parser.feed(page)
    parser.close()
    for owner, name, value, is_button in parser.elsewhere:
        for form in parser.found:
            if form.id == owner:
                (form.buttons if is_button else form.fields).append((name, value))
    return parser.found


class _Forms(HTMLParser):
    def __init__(self) -> None:
        super().__init__(convert_charrefs=True)
        self.found: list[Form] = []
        self.elsewhere: list[tuple[str, str, str, bool]] = []
        self._open: Form | None = None
        self._area: tuple[str, str] | None = None
        self._text: list[str] = []
        self._select: tuple[str, str] | None = None
        self._options: list[tuple[str, bool]] = []

    def handle_starttag(self, tag: str, attrs: list[tuple[str, str | None]]) -> None:
        given = {name: value or "" for name, value in attrs}
        name, owner = given.get("name", ""), given.get("form", "")
        if tag == "form":
            self._open = Form(
                given.get("action", ""), given.get("method", "get").lower(), given.get("id", "")
            )
            self.found.append(self._open)
        elif "disabled" in given:
            return
        elif tag == "input" and name:
            self._input(given, name, owner)
        elif tag == "button" and name:
            self._add(owner, name, given.get("value", ""), is_button=True)
        elif tag == "textarea" and name:
            self._area, self._text = (owner, name), []
        elif tag == "select" and name:
            self._select, self._options = (owner, name), []
        elif tag == "option" and self._select is not None:
            self._options.append((given.get("value", ""), "selected" in given))

    def handle_data(self, data: str) -> None:
        if self._area is not None:
            self._text.append(data)

    def handle_endtag(self, tag: str) -> None:
        if tag == "form":
            self._open = None
        elif tag == "textarea" and self._area is not None:
            text = "".join(self._text)
            self._add(*self._area, text.removeprefix("\r\n").removeprefix("\n"))
            self._area = None
        elif tag == "select" and self._select is not None:
            chosen = [value for value, selected in self._options if selected] or [
                value for value, _ in self._options[:1]
            ]
            for value in chosen:
                self._add(*self._select, value)
            if self._open is not None:
                self._open.choices.add(self._select[1])
            self._select = None

    def _input(self, given: dict[str, str], name: str, owner: str) -> None:
        kind = given.get("type", "text").lower()
        if kind in ("submit", "image", "button", "reset"):
            self._add(owner, name, given.get("value", ""), is_button=True)
        elif kind in ("checkbox", "radio"):
            if kind == "radio" and self._open is not None:
                self._open.choices.add(name)
            if "checked" in given:
                self._add(owner, name, given.get("value", "on"))
            elif "required" in given and kind == "checkbox" and self._open is not None:
                self._open.to_tick.append(name)
        elif kind != "file":
            self._add(owner, name, given.get("value", ""))

    def _add(self, owner: str, name: str, value: str, *, is_button: bool = False) -> None:
        if owner:
            self.elsewhere.append((owner, name, value, is_button))
        elif self._open is not None:
            (self._open.buttons if is_button else self._open.fields).append((name, value))
