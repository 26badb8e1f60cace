"""What is typed about a calendar: a week as one line a day, holidays as one line each."""

import re
from typing import Any

from django import forms
from django.contrib.auth.models import Group
from django.utils import timezone

from accounts.forms import time_zones
from accounts.models import Calendar
from accounts.services import calendars
from accounts.services.calendars import CalendarDefinition
from accounts.working_time import DAYS

DAY_NAMES = {"mon": "Monday", "tue": "Tuesday", "wed": "Wednesday", "thu": "Thursday", "fri": "Friday",
             "sat": "Saturday", "sun": "Sunday"}  # fmt: skip
_INTERVAL = re.compile(r"\s*(\d{1,2})(?:[:.](\d{2}))?\s*(?:-|–|to)\s*(\d{1,2})(?:[:.](\d{2}))?\s*")
_OFFICE = "09:00-17:00"


class IntervalsField(forms.CharField):
    """Times of one day, such as ``9-12:30, 13:30-17:00``; empty is a day off."""

    def __init__(self, **extra: Any) -> None:
        super().__init__(required=False, max_length=200, **extra)
        self.widget.attrs |= {"autocomplete": "off", "spellcheck": "false", "placeholder": "closed"}

    def clean(self, value: Any) -> Any:
        text = str(super().clean(value) or "").strip()
        return [_interval(part) for part in re.split(r"[,;]", text)] if text else []

    def prepare_value(self, value: Any) -> Any:
        return written(value) if isinstance(value, list) else value


def _interval(text: str) -> list[str]:
    found = _INTERVAL.fullmatch(text)
    if found is None:
        raise forms.ValidationError(f"“{text.strip()}” is not a time from-to such as 09:00-17:00.")
    start_hour, start_minute, end_hour, end_minute = found.groups(default="00")
    return [f"{int(start_hour):02}:{start_minute}", f"{int(end_hour):02}:{end_minute}"]


def written(intervals: list[list[str]]) -> str:
    """The times of a day as they are typed."""
    return ", ".join(f"{start}-{end}" for start, end in intervals)


class HolidaysField(forms.CharField):
    """Days off, one a line or parted by commas or spaces."""

    def __init__(self, **extra: Any) -> None:
        area = forms.Textarea(attrs={"rows": 8, "spellcheck": "false", "placeholder": "2026-12-25"})
        super().__init__(required=False, max_length=20_000, widget=area, **extra)

    def clean(self, value: Any) -> Any:
        return re.split(r"[\s,;]+", text) if (text := str(super().clean(value) or "").strip()) else []

    def prepare_value(self, value: Any) -> Any:
        return "\n".join(value) if isinstance(value, list) else value


class CalendarForm(forms.Form):
    """A calendar. Due times, reminders, escalations and expiry of its queues run only in its hours."""

    name = forms.CharField(max_length=calendars.MOST_NAME)
    team = forms.ModelChoiceField(
        queryset=Group.objects.none(),
        required=False,
        to_field_name="name",
        empty_label="No team in particular",
        help_text="Whose hours these are. It is a note for people; queues name the calendar itself.",
    )
    time_zone = forms.ChoiceField(label="Time zone", help_text="All times below are of this zone.")
    mon = IntervalsField(
        label="Monday", help_text="Such as 09:00-12:30, 13:30-17:00. Midnight at the end is 24:00."
    )
    tue = IntervalsField(label="Tuesday")
    wed = IntervalsField(label="Wednesday")
    thu = IntervalsField(label="Thursday")
    fri = IntervalsField(label="Friday")
    sat = IntervalsField(label="Saturday")
    sun = IntervalsField(label="Sunday")
    holidays = HolidaysField(help_text="Days off as 2026-12-25, one a line. Past ones may stay.")

    def __init__(self, data: Any = None, *, existing: Calendar | None = None) -> None:
        now = calendars.as_definition(existing) if existing else _office()
        initial = {"name": now.name, "team": now.team, "time_zone": now.time_zone, "holidays": now.holidays}
        super().__init__(data, initial={**initial, **{day: now.week.get(day, []) for day in DAYS}})
        self.existing = existing
        team, zone = self.fields["team"], self.fields["time_zone"]
        assert isinstance(team, forms.ModelChoiceField) and isinstance(zone, forms.ChoiceField)
        team.queryset = Group.objects.order_by("name")
        zone.choices = _zones(now.time_zone)

    @property
    def days(self) -> list[Any]:
        return [self[day] for day in DAYS]

    def definition(self) -> CalendarDefinition:
        values = self.cleaned_data
        return CalendarDefinition(
            name=values["name"],
            time_zone=values["time_zone"],
            week={day: values[day] for day in DAYS},
            holidays=values["holidays"],
            team=values["team"].name if values["team"] else "",
        )

    def check(self) -> bool:
        """Whether the use case would take it; its faults are told at their fields."""
        for fault in calendars.faults(self.definition(), existing=self.existing):
            name = fault["field"].removeprefix("week/")
            message = fault["message"]
            self.add_error(
                name if name in self.fields else None,
                f"It {message}." if name in self.fields else f"{message[0].upper()}{message[1:]}.",
            )
        return not self.errors


def _zones(present: str) -> list[tuple[str, Any]]:
    """Every zone of this machine by region, and the present one, which may be known by another name."""
    found = time_zones()[1:]
    named = {value for value, group in found if isinstance(group, str)}
    named |= {value for _, group in found if not isinstance(group, str) for value, _ in group}
    return found if present in named else [(present, present), *found]


def _office() -> CalendarDefinition:
    hours = [_OFFICE.split("-")]
    zone = timezone.get_current_timezone_name()
    return CalendarDefinition(name="", time_zone=zone, week=dict.fromkeys(DAYS[:5], hours))
