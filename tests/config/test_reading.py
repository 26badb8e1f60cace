"""Readings that are asked for together are made together; each has its own answer, or its own refusal."""

import asyncio
import threading
from collections.abc import Sequence

import pytest
from django.db import OperationalError, connection
from django.test.utils import CaptureQueriesContext

from agents.models import Credential
from agents.services import credentials
from config import doors, events, reading, waiting
from config.reading import Readings
from tests.factories import Desk, desk


def read_all(readings: Readings[int, int], numbers: Sequence[int]) -> list[int | BaseException]:
    async def ask() -> list[int | BaseException]:
        return await asyncio.gather(*(readings.one(number) for number in numbers), return_exceptions=True)

    return asyncio.run(ask())


def test_everybody_has_his_own_answer_in_few_readings() -> None:
    sizes: list[int] = []

    def several(numbers: Sequence[int]) -> list[int | Exception]:
        sizes.append(len(numbers))
        return [ValueError(str(one)) if one % 7 == 0 else one * 2 for one in numbers]

    found = read_all(Readings(several), range(1000))
    assert [str(one) if isinstance(one, ValueError) else one for one in found] == [
        str(one) if one % 7 == 0 else one * 2 for one in range(1000)
    ]
    assert sum(sizes) == 1000
    assert len(sizes) == 1000 // reading.MOST


def test_whoever_waits_hears_that_the_database_is_away_and_the_next_one_is_read() -> None:
    is_away = True

    def several(numbers: Sequence[int]) -> list[int | Exception]:
        if is_away:
            raise OperationalError("away")
        return list(numbers)

    readings = Readings(several)
    assert {type(one) for one in read_all(readings, range(120))} == {OperationalError}
    is_away = False
    assert read_all(readings, [5]) == [5]


def test_who_goes_before_his_turn_keeps_nobody_from_his() -> None:
    may_go = threading.Event()

    def several(numbers: Sequence[int]) -> list[int | Exception]:
        assert may_go.wait(60)
        return list(numbers)

    async def ask() -> list[int]:
        readings = Readings(several)
        tasks = [asyncio.create_task(readings.one(number)) for number in range(300)]
        await asyncio.sleep(0)
        for task in tasks[::2]:
            task.cancel()
        may_go.set()
        return list(await asyncio.gather(*tasks[1::2]))

    assert asyncio.run(ask()) == list(range(1, 300, 2))


def _asked(the: Desk, proposal: object) -> waiting._Asked:
    return waiting._Asked(proposal, the.headers["Authorization"], "127.0.0.1", "")  # type: ignore[arg-type]


@pytest.mark.django_db(transaction=True)
def test_many_agents_are_read_by_as_many_queries_as_one_and_each_with_its_own_authority() -> None:
    desks = [desk() for _ in range(4)]
    proposals = [the.propose().pk for the in desks]
    credentials.revoke(credential_id=desks[3].credential.pk, actor=desks[3].agent.owner)
    all_asked = [
        (_asked(desks[0], proposals[0]), True),
        (_asked(desks[1], proposals[0]), True),  # another's
        (_asked(desks[2], proposals[2]), True),
        (_asked(desks[3], proposals[3]), True),  # revoked
        (waiting._Asked(proposals[0], "Bearer nonsense", "127.0.0.1", ""), True),
    ]

    with CaptureQueriesContext(connection) as captured:
        found = waiting._read_several(all_asked)

    assert [getattr(one, "code", "read") for one in found] == [
        "read", "not_found", "read", "bad_credential", "bad_credential"
    ]  # fmt: skip
    several = [one for one in found if isinstance(one, waiting._State)]
    assert [one.content for one in several] == [
        waiting._read(all_asked[place][0]).content for place in (0, 2)
    ]
    assert len(captured) <= 5, [one["sql"] for one in captured.captured_queries]
    used = Credential.objects.exclude(last_used_at=None).values_list("agent", flat=True)
    assert set(used) == {desks[0].agent.pk, desks[1].agent.pk, desks[2].agent.pk}


@pytest.mark.django_db(transaction=True)
def test_a_change_of_authority_costs_one_query_for_all_who_listen() -> None:
    desks = [desk() for _ in range(3)]
    comers = [(doors.Comer(the.headers["Authorization"], "127.0.0.1"), "") for the in desks]
    opened = [one for one in events._opened(comers) if isinstance(one, events.Stream)]
    assert [one.agent_id for one in opened] == [the.agent.pk for the in desks]
    assert events._no_longer_good(opened) == []
    credentials.revoke(credential_id=desks[1].credential.pk, actor=desks[1].agent.owner)

    with CaptureQueriesContext(connection) as captured:
        ended = events._no_longer_good(opened)

    assert ended == [opened[1]]
    assert len(captured) == 2


@pytest.mark.django_db(transaction=True)
def test_after_a_lost_connection_only_those_wake_whose_proposal_has_changed() -> None:
    the = desk()
    still, changed, unread = (the.propose() for _ in range(3))

    async def catch_up() -> list[bool]:
        hub = waiting.Hub()
        ears = []
        for proposal, version in ((still, 1), (changed, 2), (unread, 0)):
            ear = waiting.Ear()
            ear.version = version
            hub._waiting[str(proposal.pk)].add(ear)
            ears.append(ear)
        await hub._catch_up()
        doors.close()
        return [ear.is_set() for ear in ears]

    assert asyncio.run(catch_up()) == [False, True, True]
