"""What the explorer can be asked."""

from collections.abc import Iterable, Sequence
from datetime import timedelta
from typing import Any

from django import forms
from django.utils import timezone

from audit import words
from audit.search import Known, Wanted

_ACTORS = [("", "Anybody"), ("human", "People"), ("agent", "Agents"), ("system", "The system")]
_SEALS = [
    ("", "Sealed or not"),
    ("sealed", "Sealed"),
    ("waiting", "Not sealed"),
    ("late", "Not sealed after 5 minutes"),
]
MOST_NAMED = 100
"""How many actors one name may stand for."""


def _kinds() -> Iterable[tuple[str, Any]]:
    yield "", "All kinds"
    for family, own in words.kinds().items():
        label = words.family(family)
        yield label, [(f"{family}.", f"{label}: all"), *own]


def _moment(label: str) -> forms.DateTimeField:
    """In the reader's time zone, which is the current one while a request is answered."""
    return forms.DateTimeField(
        required=False,
        label=label,
        widget=forms.DateTimeInput(attrs={"type": "datetime-local"}, format="%Y-%m-%dT%H:%M"),
    )


class ExplorerForm(forms.Form):
    """Filters, all optional; on the page, what cannot be read is reported and narrows nothing."""

    words = forms.CharField(
        required=False,
        max_length=200,
        label="Words",
        help_text="In the event's content, all of them, upper or lower case.",
        widget=forms.TextInput(attrs={"type": "search", "data-key": "/", "autocomplete": "off"}),
    )
    kind = forms.ChoiceField(required=False, label="What", choices=list(_kinds()))
    actor_kind = forms.ChoiceField(required=False, label="By", choices=_ACTORS)
    who = forms.CharField(
        required=False,
        max_length=200,
        label="Who",
        help_text="Of a person, an agent or a rule, or a part of it.",
        widget=forms.TextInput(attrs={"list": "known-actors", "autocomplete": "off"}),
    )
    actor_id = forms.CharField(required=False, max_length=64, widget=forms.HiddenInput)
    object_type = forms.ChoiceField(required=False, label="Kind of object")
    object_id = forms.CharField(required=False, max_length=64, label="Its number or short name")
    since = _moment("From")
    until = _moment("Until")
    policy_version = forms.IntegerField(
        required=False, min_value=1, max_value=2**53, label="Under policy version"
    )
    reason = forms.CharField(
        required=False, max_length=120, label="Reason", help_text="Its code or first words."
    )
    request_id = forms.CharField(required=False, max_length=64, label="Request")
    address = forms.CharField(required=False, max_length=64, label="Address")
    session = forms.CharField(required=False, max_length=64, label="Session or credential")
    sealed = forms.ChoiceField(required=False, label="Proof", choices=_SEALS)
    changes = forms.BooleanField(required=False, label="Only what changed something")
    reads = forms.BooleanField(required=False, label="Readings of this log, too")

    FIRST = ("words", "kind", "who", "since", "until")
    REST = (
        *("actor_kind", "object_type", "object_id", "policy_version", "reason"),
        *("request_id", "address", "session", "sealed"),
    )

    def __init__(self, data: Any, *, actors: Sequence[Known], types: Sequence[str]) -> None:
        super().__init__(data)
        self.actors = actors
        asked = str(data.get("object_type", ""))[:24]
        offered = sorted({*types, asked} - {""})
        choices = [("", "Anything"), *((name, name.replace("_", " ")) for name in offered)]
        self.fields["object_type"].choices = choices  # type: ignore[attr-defined]

    def first(self) -> list[forms.BoundField]:
        return [self[name] for name in self.FIRST]

    def rest(self) -> list[forms.BoundField]:
        return [self[name] for name in self.REST]

    def rest_is_used(self) -> bool:
        return any(self.cleaned_data.get(name) for name in self.REST)

    def wanted(self) -> Wanted:
        """What could be read of it. Names are looked up among those who have acted."""
        self.is_valid()
        given = {name: value for name, value in self.cleaned_data.items() if value not in ("", None, False)}
        who = given.pop("who", "")
        if until := given.get("until"):
            given["until"] = until + timedelta(minutes=1)  # a minute is named whole
        if who:
            found = self._called(who, given.get("actor_kind", ""))
            if len(found) == 1:
                given |= {"actor_kind": found[0].kind, "actor_id": found[0].id}
            else:
                given["actors"] = tuple((one.kind, one.id) for one in found)
        return Wanted(**given)

    def _called(self, who: str, kind: str) -> list[Known]:
        """Whose name is exactly that; else, in whose name it stands."""
        actors = [one for one in self.actors if kind in ("", one.kind)]
        exact = [one for one in actors if one.label == who]
        folded = who.casefold()
        return exact or [one for one in actors if folded in one.label.casefold()][:MOST_NAMED]

    def in_force(self) -> list[tuple[str, str, str]]:
        """(name, label, words) of each filter that narrows, for the line above the list."""
        found = []
        for name, field in self.fields.items():
            value = self.cleaned_data.get(name)
            if value in ("", None, False):
                continue
            found.append((name, str(field.label or "Number"), self._as_words(name, value)))
        return found

    def _as_words(self, name: str, value: Any) -> str:
        if value is True:
            return "yes"
        if name == "actor_id":
            kind = self.cleaned_data.get("actor_kind")
            return next((one.label for one in self.actors if (one.kind, one.id) == (kind, value)), str(value))
        if name in ("since", "until"):
            return f"{timezone.localtime(value):%Y-%m-%d %H:%M}"
        choices = dict(getattr(self.fields[name], "choices", ()))
        flat = {key: text for group in choices.values() if isinstance(group, list) for key, text in group}
        return str(flat.get(value) or (choices.get(value) if isinstance(choices.get(value), str) else value))
