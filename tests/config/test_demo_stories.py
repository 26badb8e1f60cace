"""The made-up company's blueprints and stories fit each other."""

import json
import random
from collections import Counter
from datetime import UTC, datetime
from typing import Any

import pytest

from agents import schemas
from approvals import blueprint
from approvals.blueprint import Blueprint
from config.demo import company, people, world

NOW = datetime(2026, 11, 18, 10, tzinfo=UTC)


@pytest.fixture(scope="module")
def loaded() -> list[Blueprint]:
    return [blueprint.parse(path.read_bytes()) for path in company.BLUEPRINTS]


@pytest.fixture(scope="module")
def types(loaded: list[Blueprint]) -> dict[str, dict[str, Any]]:
    return {name: item for one in loaded for name, item in one.action_types.items()}


def test_blueprints_cover_four_domains(loaded: list[Blueprint]) -> None:
    assert [one.domain for one in loaded] == [
        "customer_operations", "accounts_payable", "procurement", "service_desk",
    ]  # fmt: skip
    assert all(4 <= len(one.action_types) <= 6 and 2 <= len(one.queues) <= 3 for one in loaded)


def test_every_action_type_has_a_story_and_every_worker_a_mandate(
    loaded: list[Blueprint], types: dict[str, dict[str, Any]]
) -> None:
    mandates = {
        (agent.slug, item.action_type) for one in loaded for agent in one.agents for item in agent.mandates
    }

    assert set(company.KINDS) == set(types)
    worked = {(worker.slug, name) for worker in company.WORKERS for name in worker.weights}
    assert worked | {(company.NEWCOMER, "reverse_refund")} == mandates
    assert all(set(worker.accuracy) == set(worker.weights) for worker in company.WORKERS)


def test_people_of_blueprints_and_queues_exist(loaded: list[Blueprint]) -> None:
    emails = {person.email for person in people.PEOPLE}

    assert {agent.owner for one in loaded for agent in one.agents} <= emails
    assert {agent.team for one in loaded for agent in one.agents} <= set(people.TEAMS)
    assert set(people.REVIEWED_BY) == {slug for one in loaded for slug in one.queues}
    owners = {agent.owner for one in loaded for agent in one.agents}
    assert not any(person.email in owners and set(person.teams) - {people.OWNERS} for person in people.PEOPLE)


def test_every_queue_has_two_reviewers_with_each_role_a_rule_asks_for(loaded: list[Blueprint]) -> None:
    for one in loaded:
        for rule in one.rules:
            review = rule.get("review")
            if review is None:
                continue
            queue = review.get("queue", one.default_queue)
            may = [
                person
                for person in people.PEOPLE
                if set(person.teams) & set(people.REVIEWED_BY[queue])
                and (not review.get("roles") or set(person.teams) & set(review["roles"]))
            ]
            assert len(may) >= review.get("quorum", 1), rule["name"]
            for seat in review.get("required", []):
                assert sum(seat["team"] in person.teams for person in may) > seat["votes"], rule["name"]


def test_stories_fit_schemas_and_differ(types: dict[str, dict[str, Any]], loaded: list[Blueprint]) -> None:
    codes = {
        item["code"] for one in loaded for queue in one.queues.values() for item in queue["reason_codes"]
    }
    rng = random.Random(7)
    truths: Counter[str] = Counter()
    seen = set()

    for _ in range(3000):
        _, name, case = company.next_case(rng, NOW)
        assert not schemas.errors(types[name]["schema"], case.arguments), name
        truths[case.truth] += 1
        seen.add(json.dumps(case.arguments, sort_keys=True))
        if case.truth in ("edit", "return"):
            assert case.expected is not None and case.expected != case.arguments
            assert not schemas.errors(types[name]["schema"], case.expected), name
        if case.truth == "reject":
            assert case.reason in codes and case.comment

    assert len(seen) > 2700
    assert set(truths) == {"approve", "edit", "reject", "return"}
    assert 0.85 < truths["approve"] / 3000 < 0.96


def test_same_seed_tells_the_same_story() -> None:
    def told() -> list[dict[str, Any]]:
        rng = random.Random("again")
        return [company.next_case(rng, NOW)[2].arguments for _ in range(50)]

    assert told() == told()


def test_planted_attacks_occur() -> None:
    rng = random.Random(3)
    texts = [json.dumps(company.next_case(rng, NOW)[2].arguments, ensure_ascii=False) for _ in range(6000)]

    assert any("\u202e" in text for text in texts), "reversed text"
    assert any("\u0430" in text for text in texts), "Cyrillic look-alikes"
    assert any("pixel.collect.example" in text for text in texts), "an image that leaks"


def test_ibans_have_right_check_digits() -> None:
    for vendor in world.VENDORS:
        moved = vendor.iban[4:] + vendor.iban[:4]
        assert int("".join(str(int(letter, 36)) for letter in moved)) % 97 == 1
