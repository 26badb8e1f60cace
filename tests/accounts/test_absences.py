"""Being away, over HTTP and as a use case: for oneself, for others by admins, never backwards in time."""

from datetime import UTC, datetime, timedelta
from typing import Any
from zoneinfo import ZoneInfo

import pytest
from django.test import Client
from django.utils import timezone

from accounts.exceptions import Conflict, Invalid, NotAllowed
from accounts.models import Absence, User, assign_role
from accounts.roles import Role
from accounts.services import absences
from approvals import permissions
from audit.models import AuditEvent
from tests.factories import admin, desk, person

pytestmark = pytest.mark.django_db


def signed_in(user: User) -> Client:
    client = Client()
    client.force_login(user)
    return client


def soon(**delta: float) -> datetime:
    return timezone.now() + timedelta(**delta)


def typed(user: User, start: datetime, end: datetime, **extra: str) -> dict[str, str]:
    """What a browser sends: the clock of the person's own zone."""
    zone = ZoneInfo(user.time_zone)
    form = "%Y-%m-%dT%H:%M"
    times = {
        "starts_at": start.astimezone(zone).strftime(form),
        "ends_at": end.astimezone(zone).strftime(form),
    }
    return {**times, "delegate": "", "note": "", **extra}


def away(who: User, *, actor: User | None = None, **extra: Any) -> Absence:
    values: dict[str, Any] = {
        "starts_at": timezone.now(),
        "ends_at": soon(days=2),
        "delegate_id": None,
        **extra,
    }
    return absences.enter(person_id=who.pk, actor=actor or who, **values)


def test_everybody_writes_down_his_own_in_his_own_time_zone() -> None:
    me, other = person(time_zone="Asia/Tokyo"), person("Dora Delegate")
    start = soon(days=1).replace(second=0, microsecond=0)
    data = typed(me, start, start + timedelta(days=3), delegate=str(other.pk), note="Ask Dora")
    client = signed_in(me)
    assert client.post("/absence/", data).status_code == 302
    absence = Absence.objects.get()
    assert (absence.person, absence.delegate, absence.note) == (me, other, "Ask Dora")
    assert (absence.starts_at, absence.ends_at) == (start, start + timedelta(days=3))
    page = client.get("/absence/").content.decode()
    assert start.astimezone(ZoneInfo("Asia/Tokyo")).strftime("%H:%M") in page
    assert "Delegate: Dora Delegate" in page
    assert "You stand in for" in signed_in(other).get("/absence/").content.decode()
    event = AuditEvent.objects.get(kind="absence.saved")
    assert (event.actor_id, event.object_id) == (str(me.pk), str(me.pk))


def test_a_start_that_has_passed_is_now() -> None:
    """Votes are held against the absences of their time: nothing is written for times that have passed."""
    me = person()
    before = timezone.now()
    assert away(me, starts_at=soon(days=-5)).starts_at >= before


@pytest.mark.parametrize(
    ("changes", "field"),
    [
        ({"ends_at": soon(days=-1)}, "ends_at"),
        ({"starts_at": soon(days=3)}, "ends_at"),
        ({"ends_at": soon(days=400)}, "ends_at"),
        ({"delegate_id": "self"}, "delegate"),
        ({"delegate_id": "inactive"}, "delegate"),
        ({"delegate_id": 10**9}, "delegate"),
        ({"note": "x" * 201}, "note"),
    ],
)
def test_what_makes_no_sense_is_refused(changes: dict[str, Any], field: str) -> None:
    me = person()
    people = {"self": me.pk, "inactive": person(is_active=False).pk}
    if "delegate_id" in changes:
        changes = {"delegate_id": people.get(changes["delegate_id"], changes["delegate_id"])}
    with pytest.raises(Invalid) as caught:
        away(me, **changes)
    assert [fault["field"] for fault in caught.value.extra["errors"]] == [field]  # type: ignore[attr-defined]
    assert not Absence.objects.exists()


def test_nobody_is_away_twice_at_once() -> None:
    me = person()
    away(me)
    with pytest.raises(Conflict):
        away(me, starts_at=soon(days=1), ends_at=soon(days=5))
    away(me, starts_at=soon(days=2, minutes=1), ends_at=soon(days=5))
    away(person())
    assert Absence.objects.count() == 3


def test_the_form_says_what_is_wrong_at_the_field() -> None:
    me = person()
    client = signed_in(me)
    page = client.post("/absence/", typed(me, soon(days=3), soon(days=2)))
    assert page.status_code == 422
    assert page.context["form"].errors["ends_at"] == ["It must be later than the start, and still to come."]
    page = client.post("/absence/", typed(me, soon(days=1), soon(days=2), delegate=str(me.pk)))
    assert "delegate" in page.context["form"].errors


def test_only_oneself_and_admins_write_down_and_end() -> None:
    me, stranger = person(), person()
    absence = away(me)
    with pytest.raises(NotAllowed):
        away(me, actor=stranger, starts_at=soon(days=9), ends_at=soon(days=10))
    assert signed_in(stranger).post(f"/absences/{absence.pk}/end/").status_code == 403
    assert Absence.objects.get().ends_at == absence.ends_at
    assert signed_in(stranger).get("/absences/").status_code == 403
    data = typed(admin(), soon(days=4), soon(days=6), person=str(stranger.pk), delegate=str(me.pk))
    auditor = person()
    assign_role(Role.AUDITOR, to=auditor)
    assert signed_in(auditor).get("/absences/").status_code == 200
    assert signed_in(auditor).post("/absences/", data).status_code == 403
    boss = signed_in(admin())
    assert boss.post("/absences/", data).status_code == 302
    assert Absence.objects.filter(person=stranger, delegate=me).count() == 1
    assert boss.post(f"/absences/{absence.pk}/end/").status_code == 302
    assert Absence.objects.get(pk=absence.pk).ends_at <= timezone.now()


def test_ending_keeps_what_was_and_takes_back_what_was_to_come() -> None:
    me = person()
    now_away = away(me)
    coming = away(me, starts_at=soon(days=3), ends_at=soon(days=4))
    client = signed_in(me)
    client.post(f"/absences/{now_away.pk}/end/")
    client.post(f"/absences/{coming.pk}/end/")
    ended = Absence.objects.get()
    assert (ended.pk, ended.starts_at) == (now_away.pk, now_away.starts_at)
    assert ended.ends_at <= timezone.now()
    client.post(f"/absences/{ended.pk}/end/")
    assert Absence.objects.get().ends_at == ended.ends_at
    assert AuditEvent.objects.filter(kind="absence.ended").count() == 2


def test_a_delegate_gets_no_right_and_takes_on_the_conflicts() -> None:
    """I8: the owner's delegate may not decide about the owner's agent; a reviewer's delegate gains nothing."""
    the = desk()
    outsider = person()
    away(the.reviewer, delegate_id=outsider.pk)
    away(the.agent.owner, delegate_id=the.second.pk)
    proposal = the.propose()
    assert permissions.why_not(outsider, proposal) == "You are not a reviewer of this queue."
    refused = permissions.why_not(the.second, proposal)
    assert refused == "You stand in for this agent's owner; somebody else has to decide."
    absences.end(absence_id=Absence.objects.get(person=the.agent.owner).pk, actor=the.agent.owner)
    assert permissions.can_decide(the.second, proposal)


def test_times_around_changed_clocks_are_those_of_the_wall() -> None:
    me = person(time_zone="Europe/Berlin")
    client = signed_in(me)
    year = timezone.now().year + 1
    day = max(
        date
        for date in (datetime(year, 3, number, tzinfo=UTC) for number in range(25, 32))
        if date.weekday() == 6
    )
    data = {
        "starts_at": f"{day:%Y-%m-%d}T02:30",
        "ends_at": f"{day:%Y-%m-%d}T12:00",
        "delegate": "",
        "note": "",
    }
    page = client.post("/absence/", data)
    assert page.status_code == 422
    assert "starts_at" in page.context["form"].errors, "half past two does not exist that night"
