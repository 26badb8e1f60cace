"""When teams work, and who is away."""

from datetime import datetime
from typing import ClassVar

import structlog
from django.contrib.auth.models import Group
from django.db import models
from django.db.models import F, Q
from django.utils.functional import cached_property

from accounts import working_time
from accounts.models.people import User
from accounts.working_time import Hours

log = structlog.get_logger(__name__)


class Calendar(models.Model):
    """When a team works; due times run only then (accounts/working_time.py reads it).

    `week` maps mon…sun to lists of ["09:00", "17:00"] in `time_zone`; `holidays` are days as "2026-12-25"."""

    name = models.CharField(max_length=120, unique=True)
    team = models.OneToOneField(Group, models.SET_NULL, null=True, related_name="calendar")
    time_zone = models.CharField(max_length=64, default="UTC")
    week = models.JSONField(default=dict)
    holidays = models.JSONField(default=list, blank=True)

    def __str__(self) -> str:
        return self.name

    @cached_property
    def hours(self) -> Hours:
        """What is stored, ready to reckon with; read once per loaded row.

        A zone that this machine has no data of is read as UTC, and said in the log: due times some hours off are
        better than refusing every proposal of the queue."""
        zone = self.time_zone
        if not working_time.is_zone(zone):
            log.error("time_zone_unknown", calendar=self.name, time_zone=zone)
            zone = "UTC"
        return working_time.read(time_zone=zone, week=self.week, holidays=self.holidays)


class AbsenceQuerySet(models.QuerySet["Absence"]):
    def at(self, moment: datetime) -> "AbsenceQuerySet":
        """Those that hold at this moment."""
        return self.filter(starts_at__lte=moment, ends_at__gt=moment)


class Absence(models.Model):
    """Somebody is away and names a delegate, who gets what would have come to him.

    It gives the delegate no right; it takes one: he may not judge what the absent person may not (I8)."""

    person = models.ForeignKey(User, models.CASCADE, related_name="absences")
    delegate = models.ForeignKey(User, models.CASCADE, null=True, related_name="stands_in_for")
    starts_at = models.DateTimeField()
    ends_at = models.DateTimeField()
    note = models.CharField(max_length=200, blank=True)

    objects: ClassVar[models.Manager["Absence"]] = AbsenceQuerySet.as_manager()

    class Meta:
        constraints = [
            models.CheckConstraint(condition=Q(ends_at__gt=F("starts_at")), name="absence_ends_after_start"),
            models.CheckConstraint(condition=~Q(person=F("delegate")), name="absence_delegate_is_another"),
        ]

    def __str__(self) -> str:
        return f"{self.person} until {self.ends_at:%Y-%m-%d %H:%M} UTC"
