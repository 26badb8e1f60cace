"""What the explorer can be asked."""

from collections.abc import Iterable
from typing import Any

from django import forms

from audit.events import Kind
from audit.selectors import Wanted
from audit.words import phrase

_FAMILIES = {
    "proposal": "Proposals",
    "agent": "Agents",
    "credential": "Credentials",
    "mandate": "Mandates",
    "action_type": "Action types",
    "queue": "Queues",
    "policy": "Policies",
    "person": "People and sign-in",
    "team": "Teams",
    "access": "Refusals",
    "admin": "Administration",
}


def _kinds() -> Iterable[tuple[str, Any]]:
    yield "", "All kinds"
    for family, label in _FAMILIES.items():
        own = [(str(kind), phrase(kind)) for kind in Kind if kind.startswith(f"{family}.")]
        yield label, [(f"{family}.", f"{label}: all"), *own]


class ExplorerForm(forms.Form):
    """Filters, all optional; what cannot be read is reported and narrows nothing."""

    kind = forms.ChoiceField(required=False, choices=list(_kinds()), label="What")
    actor_kind = forms.ChoiceField(
        required=False,
        choices=[("", "Anybody"), ("human", "People"), ("agent", "Agents"), ("system", "The system")],
        label="By",
    )
    actor_id = forms.CharField(required=False, max_length=64, label="Actor's number")
    object_type = forms.CharField(
        required=False,
        max_length=24,
        label="Kind of object",
        help_text="agent, mandate, queue, policy, person, team …",
    )
    object_id = forms.CharField(required=False, max_length=64, label="Its name or number")
    since = forms.DateTimeField(
        required=False, label="From (UTC)", widget=forms.DateTimeInput(attrs={"type": "datetime-local"})
    )
    until = forms.DateTimeField(
        required=False, label="Until (UTC)", widget=forms.DateTimeInput(attrs={"type": "datetime-local"})
    )
    before = forms.IntegerField(required=False, min_value=1, widget=forms.HiddenInput)

    def wanted(self) -> Wanted:
        self.is_valid()
        values = {name: self.cleaned_data.get(name) for name in Wanted.__dataclass_fields__}
        return Wanted(**{name: value for name, value in values.items() if value})

    def before_id(self) -> int | None:
        before: int | None = self.cleaned_data.get("before")
        return before
