"""What is typed when a role is given or taken away."""

from collections.abc import Collection
from datetime import date, datetime, time, timedelta
from typing import Any

from django import forms
from django.utils import timezone

from accounts.roles import ROLES, Role, Scope
from approvals import places
from approvals.places import Place


def _roles_on(scope: Scope, held: Collection[Role] = ()) -> list[tuple[str, str]]:
    return [
        (role.value, bundle.label)
        for role, bundle in ROLES.items()
        if scope in bundle.scopes and role not in held
    ]


class _Giving(forms.Form):
    """An end is a day, and the role holds to the end of it on the reader's clock."""

    until = forms.DateField(
        required=False,
        label="Until the end of",
        widget=forms.DateInput(attrs={"type": "date"}, format="%Y-%m-%d"),
    )
    reason = forms.CharField(
        required=False,
        max_length=300,
        label="Why",
        help_text="Who reviews access later reads it.",
        widget=forms.TextInput(attrs={"autocomplete": "off"}),
    )

    def clean_until(self) -> date | None:
        day: date | None = self.cleaned_data["until"]
        if day is not None and day < timezone.localdate():
            raise forms.ValidationError("Choose today or a day to come.")
        if day is not None and day.year > 9000:
            raise forms.ValidationError("Leave it empty for a role without an end.")
        return day

    @property
    def ends_at(self) -> datetime | None:
        day = self.cleaned_data["until"]
        if day is None:
            return None
        return datetime.combine(day + timedelta(days=1), time(), tzinfo=timezone.get_current_timezone())


class GiveForm(_Giving):
    """A role on the thing of one cell. Roles that the holder has there already are not offered."""

    role = forms.ChoiceField()
    field_order = ("role", "until", "reason")

    def __init__(self, data: Any = None, *, place: Place, held: Collection[Role] = ()) -> None:
        super().__init__(data)
        self.roles = _roles_on(place.scope, held)
        self.means = [(label, ROLES[Role(value)].means) for value, label in self.roles]
        field = self.fields["role"]
        assert isinstance(field, forms.ChoiceField)
        field.choices = [("", "Choose"), *self.roles]

    @property
    def given(self) -> dict[str, Any]:
        """What `assignments.give` takes of it."""
        return {
            "role": Role(self.cleaned_data["role"]),
            "ends_at": self.ends_at,
            "reason": self.cleaned_data["reason"],
        }


class GiveSomewhereForm(_Giving):
    """A role on anything, for the page that begins with the holder."""

    role = forms.ChoiceField(choices=[("", "Choose"), *_roles_on(Scope.EVERYTHING)])
    place = forms.ChoiceField(label="On")
    field_order = ("role", "place", "until", "reason")

    def __init__(self, data: Any = None) -> None:
        super().__init__(data)
        self.places: dict[str, Place] = {}
        groups: list[tuple[str, Any]] = [("", "Choose")]
        for scope in (Scope.EVERYTHING, Scope.DOMAIN, Scope.QUEUE, Scope.AGENT):
            found = {f"{one.scope}:{one.in_address}": one for one in places.all_of(scope)}
            choices = [(value, one.name) for value, one in found.items()]
            groups += choices if scope is Scope.EVERYTHING else [(f"{scope.label}s", choices)]
            self.places |= found
        field = self.fields["place"]
        assert isinstance(field, forms.ChoiceField)
        field.choices = groups

    def clean(self) -> dict[str, Any]:
        values: dict[str, Any] = super().clean() or self.cleaned_data
        role, place = values.get("role"), self.places.get(values.get("place", ""))
        if role and place is not None and place.scope not in ROLES[Role(role)].scopes:
            where = " or ".join(_kind(scope) for scope in ROLES[Role(role)].scopes)
            self.add_error("place", f"{ROLES[Role(role)].label} can be given on {where}.")
        return values

    @property
    def given(self) -> dict[str, Any]:
        """What `assignments.give` takes of it."""
        place = self.places[self.cleaned_data["place"]]
        return {
            "role": Role(self.cleaned_data["role"]),
            "scope": place.scope,
            "scope_id": place.key,
            "ends_at": self.ends_at,
            "reason": self.cleaned_data["reason"],
        }


def _kind(scope: Scope) -> str:
    return {"everything": "everything", "agent": "an agent"}.get(scope.value, f"a {scope.value}")


class TakeForm(forms.Form):
    why = forms.CharField(required=False, max_length=300, label="Why")
