"""Calendars: the working weeks and holidays by which queues reckon their times."""

from django.contrib import messages
from django.contrib.auth.decorators import login_required
from django.http import HttpRequest, HttpResponse
from django.shortcuts import get_object_or_404, redirect, render
from django.utils import timezone
from django.views.decorators.http import require_safe

from accounts.http import person as me
from accounts.models import Calendar
from accounts.working_time import DAYS
from agents import permissions
from approvals.forms.calendars import DAY_NAMES, CalendarForm, written
from approvals.services import set_up
from audit import selectors as trail


@login_required
@require_safe
def calendar_list(request: HttpRequest) -> HttpResponse:
    found = Calendar.objects.select_related("team").prefetch_related("queues").order_by("name")
    now = timezone.now()
    context = {
        "lines": [
            {"calendar": one, "week": week_of(one), "is_open": one.hours.is_open(now)} for one in found
        ],
        "may_edit": me(request).is_admin,
    }
    return render(request, "approvals/admin/calendars.html", context)


@login_required
def calendar_add(request: HttpRequest) -> HttpResponse:
    return _form(request, None)


@login_required
def calendar_edit(request: HttpRequest, calendar_id: int) -> HttpResponse:
    return _form(request, get_object_or_404(Calendar, pk=calendar_id))


def _form(request: HttpRequest, existing: Calendar | None) -> HttpResponse:
    permissions.check_is_admin(me(request))
    form = CalendarForm(request.POST or None, existing=existing)
    if request.method == "POST" and form.is_valid() and form.check():
        saved = set_up.save_calendar(
            definition=form.definition(), calendar_id=existing.pk if existing else None, actor=me(request)
        )
        messages.success(request, f"“{saved}” is saved. What comes in from now on is due by it.")
        return redirect("approvals:calendar_list")
    context = {
        "form": form,
        "calendar": existing,
        "queues": existing.queues.order_by("name") if existing else [],
        "events": trail.latest_about([("calendar", [str(existing.pk)])]) if existing else [],
    }
    return render(request, "approvals/admin/calendar_form.html", context, status=422 if form.errors else 200)


def week_of(calendar: Calendar) -> list[tuple[str, list[str]]]:
    """The week in words, days of the same hours together: ("Monday to Friday", ["09:00-17:00"])."""
    days = [(day, written(calendar.week[day]).split(", ")) for day in DAYS if calendar.week.get(day)]
    lines: list[tuple[list[str], list[str]]] = []
    for day, hours in days:
        follows = lines and DAYS.index(day) == DAYS.index(lines[-1][0][-1]) + 1
        if follows and lines[-1][1] == hours:
            lines[-1][0].append(day)
        else:
            lines.append(([day], hours))
    return [(_from_to(names), hours) for names, hours in lines]


def _from_to(days: list[str]) -> str:
    first, last = DAY_NAMES[days[0]], DAY_NAMES[days[-1]]
    return first if len(days) == 1 else f"{first} {'and' if len(days) == 2 else 'to'} {last}"
