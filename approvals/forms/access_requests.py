"""What is typed about access: asking for a role, answering, beginning a review, saying yes as the second person."""

from datetime import datetime, time, timedelta
from typing import Any

from django import forms
from django.utils import timezone

from accounts.models import AccessRequest, User
from accounts.roles import ROLES, Role, Scope
from accounts.second_person import What
from approvals import access_requests as access
from approvals.access_requests import Place

MOST_HOURS = 72
MOST_REASON = 500


class _Day(forms.DateField):
    """A day by the browser's picker; it is meant to its end, in the zone that is in force."""

    def __init__(self, **extra: Any) -> None:
        widget = forms.DateInput(attrs={"type": "date"}, format="%Y-%m-%d")
        super().__init__(widget=widget, required=extra.pop("required", False), **extra)


def end_of(day: Any) -> datetime | None:
    """The moment at which a day is over."""
    if day is None:
        return None
    return timezone.make_aware(datetime.combine(day + timedelta(days=1), time()))


def _words(label: str, *, required: bool = True, help_text: str = "") -> forms.CharField:
    return forms.CharField(
        label=label,
        max_length=MOST_REASON,
        required=required,
        help_text=help_text,
        widget=forms.Textarea(attrs={"rows": 2}),
    )


class AskForm(forms.Form):
    """A role, on what, for how long, and why."""

    role = forms.ChoiceField(label="Role")
    place = forms.ChoiceField(label="On")
    hours = forms.IntegerField(
        label="Only for some hours",
        required=False,
        min_value=1,
        max_value=MOST_HOURS,
        help_text=f"1 to {MOST_HOURS}, counted from the answer. Then the role ends by itself.",
    )
    until = _Day(label="Or until the end of a day", help_text="Leave both empty to ask without an end.")
    reason = _words("Why", help_text="Whoever answers reads this, and it stays in the audit log.")

    def __init__(self, data: Any = None, *, me: User, **extra: Any) -> None:
        super().__init__(data, **extra)
        places = access.places(me)
        self._places: dict[str, Place] = {one.value: one for group in places.values() for one in group}
        role, place = self.fields["role"], self.fields["place"]
        assert isinstance(role, forms.ChoiceField) and isinstance(place, forms.ChoiceField)
        role.choices = [("", "Choose"), *((one.value, one.label) for one in Role)]
        place.choices = [
            ("", "Choose"),
            *((kind, [(one.value, one.name) for one in group]) for kind, group in places.items() if group),
        ]

    def clean(self) -> dict[str, Any]:
        values: dict[str, Any] = super().clean() or self.cleaned_data
        if values.get("hours") and values.get("until"):
            self.add_error("until", "Choose hours or a day, not both.")
        end = end_of(values.get("until"))
        if end is not None and end <= timezone.now():
            self.add_error("until", "It must be still to come.")
        role, place = values.get("role"), self._places.get(values.get("place", ""))
        if role and place and place.scope not in ROLES[Role(role)].scopes:
            where = ", ".join(one.label.lower() for one in ROLES[Role(role)].scopes)
            self.add_error("place", f"{Role(role).label} can be given on: {where}.")
        return values

    def asked(self) -> dict[str, Any]:
        """What `approvals.services.access_request.ask` takes, besides the person."""
        values = self.cleaned_data
        place = self._places[values["place"]]
        return {
            "role": Role(values["role"]),
            "scope": place.scope,
            "scope_id": place.scope_id,
            "hours": values["hours"],
            "until": end_of(values["until"]),
            "reason": values["reason"],
        }


class AnswerForm(forms.Form):
    """Yes, to the same or an earlier end, or no in words."""

    hours = forms.IntegerField(label="For how many hours", min_value=1, max_value=MOST_HOURS)
    until = _Day(label="Until the end of a day")
    answer = _words("Your words", required=False, help_text="Needed to decline.")

    def __init__(self, data: Any = None, *, asked: AccessRequest, declining: bool = False) -> None:
        super().__init__(data, auto_id=f"id_{asked.pk}_%s")
        self.asked = asked
        if asked.hours is None:
            del self.fields["hours"]
            if asked.until is not None:
                last = timezone.localtime(asked.until - timedelta(seconds=1))
                self.fields["until"].help_text = f"At most {last:%Y-%m-%d}, as asked for; empty for that."
            else:
                self.fields["until"].help_text = "Asked for without an end; empty for that."
        else:
            del self.fields["until"]
            self.fields["hours"].initial = asked.hours
            self.fields["hours"].help_text = f"{asked.hours} asked for; fewer if you like."
        if declining:
            self.fields.pop("hours", None)
            self.fields.pop("until", None)
            self.fields["answer"].required = True

    def take_errors(self, declined: "AnswerForm") -> None:
        """Show what was wrong with declining; the fields for approving stay as they are."""
        self.full_clean()
        for name in list(self.errors):
            del self.errors[name]
        for name, words in declined.errors.items():
            self.add_error(name, [str(word) for word in words])

    def end(self) -> dict[str, Any]:
        """`hours` or `until`, as `approve` takes them; the very day asked for is the very moment asked for."""
        if "hours" in self.fields:
            return {"hours": self.cleaned_data["hours"]}
        until = end_of(self.cleaned_data["until"])
        if (
            until is not None
            and self.asked.until is not None
            and self.cleaned_data["until"]
            == (timezone.localtime(self.asked.until - timedelta(seconds=1)).date())
        ):
            until = self.asked.until
        return {"until": until}


class WordsForm(forms.Form):
    """Words to an answer; needed to decline."""

    answer = _words("Your words", required=False, help_text="Needed to decline.")

    def __init__(self, data: Any = None, *, number: int, declining: bool = False) -> None:
        super().__init__(data, auto_id=f"id_{number}_%s")
        self.fields["answer"].required = declining


class LevelForm(forms.Form):
    """Which kinds of change need a second person."""

    kinds = forms.MultipleChoiceField(
        label="Need two people",
        choices=[(one.value, one.label) for one in What],
        required=False,
        widget=forms.CheckboxSelectMultiple,
    )
    reason = _words("Why")


class BeginForm(forms.Form):
    """A review of access: what it covers, until when, and what silence means."""

    name = forms.CharField(max_length=120, help_text="For instance: second quarter, all queues.")
    place = forms.ChoiceField(label="Covers")
    due = _Day(label="Until the end of", required=True)
    drops_unanswered = forms.BooleanField(
        required=False,
        label="Drop what nobody has answered",
        help_text="At the end. Otherwise it stays, and the log says that nobody confirmed it.",
    )

    def __init__(self, data: Any = None, *, me: User) -> None:
        super().__init__(data)
        places = access.places(me)
        self._places = {one.value: one for group in places.values() for one in group}
        place = self.fields["place"]
        assert isinstance(place, forms.ChoiceField)
        place.choices = [
            ("everything", "Everything: each role of everybody, and every agent's mandates"),
            *(
                (kind, [(one.value, one.name) for one in group])
                for kind, group in places.items()
                if group and kind != "Everything"
            ),
        ]

    def clean_due(self) -> Any:
        day = self.cleaned_data["due"]
        end = end_of(day)
        if end is None or end <= timezone.now():
            raise forms.ValidationError("It must be still to come.")
        return day

    def begun(self) -> dict[str, Any]:
        """What `approvals.services.access_review.begin` takes, besides the actor."""
        values = self.cleaned_data
        place = self._places[values["place"]]
        return {
            "name": values["name"],
            "scope": Scope(place.scope),
            "scope_id": place.scope_id,
            "due_at": end_of(values["due"]),
            "drops_unanswered": values["drops_unanswered"],
        }
