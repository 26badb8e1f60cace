"""What is typed about being away. Times are read in the zone that is in force for the reader."""

from typing import Any

from django import forms
from django.utils import timezone

from accounts import selectors
from accounts.models import User


class _Moment(forms.DateTimeField):
    """A day and a time, to the minute, by the browser's own picker."""

    def __init__(self, **extra: Any) -> None:
        widget = forms.DateTimeInput(attrs={"type": "datetime-local"}, format="%Y-%m-%dT%H:%M")
        super().__init__(widget=widget, **extra)


class AbsenceForm(forms.Form):
    """An absence of one's own, or with `for_others` (admins) of anybody."""

    person = forms.ModelChoiceField(queryset=User.objects.none(), label="Who is away", empty_label="Choose")
    starts_at = _Moment(label="From", help_text="A time that has passed means from now on.")
    ends_at = _Moment(label="Until")
    delegate = forms.ModelChoiceField(
        queryset=User.objects.none(),
        required=False,
        empty_label="Nobody",
        help_text="Is reminded of what waits for the one who is away. This gives no right to decide, and while it "
        "lasts the delegate may not judge agents that the one who is away may not judge.",
    )
    note = forms.CharField(
        max_length=200,
        required=False,
        help_text="For colleagues, such as where to ask.",
    )

    def __init__(self, data: Any = None, *, me: User, for_others: bool = False) -> None:
        super().__init__(data, initial={"starts_at": timezone.localtime().replace(second=0, microsecond=0)})
        self.me = me
        people = selectors.active_people()
        for name in ("person", "delegate"):
            field = self.fields[name]
            assert isinstance(field, forms.ModelChoiceField)
            field.queryset = people
        if not for_others:
            del self.fields["person"]
            field = self.fields["delegate"]
            assert isinstance(field, forms.ModelChoiceField)
            field.queryset = people.exclude(pk=me.pk)
        self.fields["starts_at"].help_text += f" Times are in {timezone.get_current_timezone_name()}."

    def clean(self) -> dict[str, Any]:
        values: dict[str, Any] = super().clean() or self.cleaned_data
        start, end = values.get("starts_at"), values.get("ends_at")
        if start and end and end <= max(start, timezone.now()):
            self.add_error("ends_at", "It must be later than the start, and still to come.")
        person = values.get("person", self.me)
        if person is not None and values.get("delegate") == person:
            self.add_error("delegate", "Choose somebody else.")
        return values

    def absence(self) -> dict[str, Any]:
        """What `accounts.services.absences.enter` takes, besides the actor."""
        values = self.cleaned_data
        delegate = values["delegate"]
        return {
            "person_id": values.get("person", self.me).pk,
            "starts_at": values["starts_at"],
            "ends_at": values["ends_at"],
            "delegate_id": delegate.pk if delegate else None,
            "note": values["note"],
        }
