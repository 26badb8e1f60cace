"""Calendars: when a team works. A step only: whoever saves one must also make every process forget the old one,
which is a matter of the apps above (approvals.services.set_up)."""

from dataclasses import asdict, dataclass, field
from typing import Any

from django.contrib.auth.models import Group

from accounts import working_time
from accounts.exceptions import Invalid
from accounts.models import Calendar
from accounts.working_time import DAYS
from audit import recording
from audit.events import Actor, Kind, Target

MOST_NAME = 120


@dataclass(frozen=True, kw_only=True)
class CalendarDefinition:
    """Everything a calendar says of itself, as in `accounts.models.Calendar`; `team` is its name or empty."""

    name: str
    time_zone: str = "UTC"
    week: dict[str, list[list[str]]] = field(default_factory=dict)
    holidays: list[str] = field(default_factory=list)
    team: str = ""


def faults(definition: CalendarDefinition, *, existing: Calendar | None) -> list[dict[str, str]]:
    """Everything that is wrong with it, as {"field", "message"}."""
    found = []
    name = definition.name
    if not name.strip() or name != name.strip() or len(name) > MOST_NAME:
        found.append(
            {"field": "name", "message": f"must have 1 to {MOST_NAME} characters, no space around them"}
        )
    others = Calendar.objects.exclude(pk=existing.pk) if existing else Calendar.objects.all()
    if others.filter(name__iexact=name).exists():
        found.append({"field": "name", "message": "is the name of another calendar"})
    if definition.team and not Group.objects.filter(name=definition.team).exists():
        found.append({"field": "team", "message": f"names {definition.team!r}, and there is no such team"})
    elif definition.team and others.filter(team__name=definition.team).exists():
        found.append({"field": "team", "message": "has a calendar of its own already"})
    return found + working_time.faults(
        time_zone=definition.time_zone, week=definition.week, holidays=definition.holidays
    )


def store(
    definition: CalendarDefinition, *, existing: Calendar | None, actor: Actor
) -> tuple[Calendar, bool]:
    """Save it in the caller's transaction; False when nothing was to be changed. Raises `Invalid`."""
    wrong = faults(definition, existing=existing)
    if wrong:
        raise Invalid(f"The calendar “{definition.name}” was not saved.", errors=wrong)
    definition = tidy(definition)
    before = as_definition(existing) if existing else None
    if existing and before == definition:
        return existing, False
    calendar = existing or Calendar()
    calendar.name, calendar.time_zone = definition.name, definition.time_zone
    calendar.week, calendar.holidays = definition.week, definition.holidays
    calendar.team = Group.objects.get(name=definition.team) if definition.team else None
    calendar.save()
    recording.record(
        actor=actor,
        kind=Kind.CALENDAR_SAVED,
        target=Target("calendar", str(calendar.pk)),
        before=asdict(before) if before else None,
        after=asdict(definition),
    )
    return calendar, True


def tidy(definition: CalendarDefinition) -> CalendarDefinition:
    """The same, written in one way: all days in order without the free ones, each holiday once, in order."""
    week = {day: [list(pair) for pair in definition.week[day]] for day in DAYS if definition.week.get(day)}
    holidays = sorted(set(definition.holidays))
    return CalendarDefinition(**{**asdict(definition), "week": week, "holidays": holidays})


def as_definition(calendar: Calendar) -> CalendarDefinition:
    """What is stored, in the form in which it is saved and compared."""
    values: dict[str, Any] = {
        name: getattr(calendar, name) for name in ("name", "time_zone", "week", "holidays")
    }
    return CalendarDefinition(**values, team=calendar.team.name if calendar.team else "")
