"""The filters of a list as a form, the chips above it, and what is asked of a reviewer's own history."""

from dataclasses import dataclass
from datetime import datetime, time, timedelta
from typing import Any

from django import forms
from django.utils import timezone

from agents.autonomy import Tier
from approvals import filters
from approvals.filters import Filters
from approvals.lists import Choices
from approvals.models import Verdict
from approvals.services.save_view import MAX_NAME

_ANY = ("", "Any")
_AGES = [
    ("15m", "15 minutes"),
    ("1h", "1 hour"),
    ("4h", "4 hours"),
    ("1d", "1 day"),
    ("3d", "3 days"),
    ("1w", "1 week"),
]
_UNITS = {"m": "min", "h": "h", "d": "d", "w": "weeks"}
_Pairs = list[tuple[str, str]]


class FilterForm(forms.Form):
    """Shows the filters; what comes back is an address, which `filters.parse` reads, so it is never bound."""

    q = forms.CharField(label="Search", max_length=filters.MOST_TEXT)
    queue = forms.MultipleChoiceField(label="Queue")
    agent = forms.MultipleChoiceField(label="Agent")
    action = forms.MultipleChoiceField(label="Action type")
    domain = forms.MultipleChoiceField(label="Domain")
    risk = forms.MultipleChoiceField(label="Risk")
    tier = forms.MultipleChoiceField(label="Tier")
    why = forms.MultipleChoiceField(label="Why it is here")
    min = forms.CharField(label="Amount from", max_length=24)
    max = forms.CharField(label="Amount to", max_length=24)
    currency = forms.CharField(label="Currency", max_length=3)
    age = forms.ChoiceField(label="Older than")
    due = forms.ChoiceField(label="Due")
    held = forms.ChoiceField(label="Claimed by")
    assigned = forms.ChoiceField(label="Assigned to")

    def __init__(self, chosen: Filters, choices: Choices) -> None:
        shown = {name: getattr(chosen, name) for name in self.base_fields}
        super().__init__(initial=shown, auto_id="filter_%s", use_required_attribute=False)
        pairs: dict[str, _Pairs] = {
            "queue": choices.queues,
            "agent": choices.agents,
            "action": choices.actions,
            "domain": [(name, _words(name)) for name in choices.domains],
            "risk": [(name, name) for name in filters.RISKS],
            "tier": [(str(tier), tier.label.lower()) for tier in Tier],
            "why": [
                *filters.REASONS.items(),
                *((filters.RULE + rule, f"Rule {rule}") for rule in choices.rules),
            ],
            "age": [_ANY, *_AGES],
            "due": [_ANY, *filters.DUE.items()],
            "held": [_ANY, *filters.HELD.items(), *choices.holders],
            "assigned": [_ANY, *filters.ASSIGNED.items()],
        }
        self._names: dict[str, dict[str, str]] = {}
        for name, known in pairs.items():
            field = self.fields[name]
            assert isinstance(field, forms.ChoiceField)
            field.choices = _with_chosen(name, known, shown[name])
            self._names[name] = dict(known)
            if isinstance(field, forms.MultipleChoiceField):
                field.widget = forms.CheckboxSelectMultiple(choices=field.choices)
        if len(choices.queues) < 2 and not chosen.queue:
            del self.fields["queue"]
        for name, keyboard in (("min", "decimal"), ("max", "decimal"), ("currency", "text")):
            self.fields[name].widget.attrs |= {"inputmode": keyboard, "autocomplete": "off", "size": "8"}
        self.fields["currency"].widget.attrs["placeholder"] = "EUR"

    @property
    def groups(self) -> list[forms.BoundField]:
        """The fields with several values, which are shown as boxes to tick, where there is something to choose."""
        return [self[name] for name in _GROUPS if name in self.fields and len(self[name]) > 0]

    @property
    def singles(self) -> list[forms.BoundField]:
        return [self[name] for name in ("min", "max", "currency", "age", "due", "held", "assigned")]

    def words(self, name: str, value: str) -> str:
        """How one chosen value is called."""
        return self._names.get(name, {}).get(value, value)


_GROUPS = ("queue", "agent", "action", "domain", "risk", "tier", "why")


@dataclass(frozen=True, slots=True)
class Chip:
    """One filter that is set, and the address of the list without it."""

    label: str
    words: str
    query: str


def chips(chosen: Filters, form: FilterForm) -> list[Chip]:
    found = []
    for name, value in filters.chosen(chosen):
        label = form.fields[name].label if name in form.fields else name
        rest = filters.query(filters.without(chosen, name, value))
        found.append(Chip(str(label), form.words(name, value), rest))
    return found


def _with_chosen(name: str, known: _Pairs, chosen: Any) -> _Pairs:
    """What is set stays in sight, also where nothing in the list has it at the moment."""
    values = chosen if isinstance(chosen, tuple) else (chosen,)
    missing = [str(value) for value in values if value and str(value) not in dict(known)]
    return [*known, *((value, _age(value) if name == "age" else value) for value in missing)]


def _age(text: str) -> str:
    return f"{text[:-1]} {_UNITS[text[-1]]}"


def _words(slug: str) -> str:
    return slug.replace("_", " ").replace("-", " ")


class SaveViewForm(forms.Form):
    """The name under which the filters in view are kept."""

    name = forms.CharField(label="Name", max_length=MAX_NAME)
    query = forms.CharField(required=False, widget=forms.HiddenInput)
    is_default = forms.BooleanField(label="Begin here when I sign in", required=False)


class HistoryForm(forms.Form):
    """Which of one's own verdicts to show."""

    verdict = forms.ChoiceField(required=False, choices=[("", "Any"), *Verdict.choices])
    since = forms.DateField(required=False, label="From", widget=forms.DateInput(attrs={"type": "date"}))
    until = forms.DateField(required=False, label="To", widget=forms.DateInput(attrs={"type": "date"}))

    def clean(self) -> dict[str, Any]:
        values: dict[str, Any] = super().clean() or {}
        for name in ("since", "until"):
            if values.get(name) and not 2000 <= values[name].year <= 2999:
                self.add_error(name, "Choose a day of this millennium.")
        if values.get("since") and values.get("until") and values["since"] > values["until"]:
            self.add_error("until", "It is before the first day.")
        return values

    def wanted(self) -> dict[str, Any]:
        """The form as `history.page` takes it: whole days in the reader's time zone, the last one included.

        What is not valid is left out; the form then says so beside the field."""
        self.full_clean()
        since, until = self.cleaned_data.get("since"), self.cleaned_data.get("until")
        return {
            "verdict": self.cleaned_data.get("verdict", ""),
            "since": _midnight(since) if since else None,
            "until": _midnight(until + timedelta(days=1)) if until else None,
        }


def _midnight(day: Any) -> datetime:
    return timezone.make_aware(datetime.combine(day, time()))
