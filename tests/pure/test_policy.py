"""Policies: what may be published, and that whatever goes wrong in a rule sends to review."""

from typing import Any

import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from agents.autonomy import Tier
from approvals import policy
from tests.pure.test_strict_json import VALUES


def rule(**values: Any) -> dict[str, Any]:
    return {"name": "r", "when": "true", "cap": "advisory", **values}


def context(**args: Any) -> dict[str, Any]:
    return {"args": args, "amount": None, "agent": {}, "action": {}, "subject": {}, "history": {}}


@pytest.mark.parametrize(
    ("rules", "why"),
    [
        ({}, "list"),
        (["x"], "rule 1"),
        ([rule()] * 101, "at most"),
        ([rule(), rule()], "twice"),
        ([rule(name="Nope!")], "name"),
        ([rule(name=None)], "name"),
        ([rule(when="")], "when"),
        ([rule(when=None)], "when"),
        ([rule(when="1 +")], "'r'"),
        ([rule(when="x" * 501)], "characters"),
        ([rule(when="secret > 1")], "secret"),
        ([rule(when="args.a.all(x, args.b.exists(y, y == x))")], "inside"),
        ([rule(when="args.a.all(x, x != ')' && args.b.exists(y, y == x))")], "inside"),
        ([rule(when='args.a.all(x, x != ")" && args.b.exists(y, y == x))')], "inside"),
        ([rule(when='args.a.all(x, x != "\\")" && args.b.exists(y, y == x))')], "inside"),
        ([rule(when="args.a.all(x, x != ''')''' && args.b.exists(y, y == x))")], "inside"),
        ([rule(when="args.a.all(x, // )\n args.b.exists(y, y == x))")], "inside"),
        ([rule(cap=None)], "exactly one effect"),
        ([rule(deny="no")], "exactly one effect"),
        ([rule(cap="root")], "cap"),
        ([rule(cap=["advisory"])], "cap"),
        ([rule(cap=None, deny="  ")], "deny"),
        ([rule(cap=None, review={"quorum": 0})], "quorum"),
        ([rule(cap=None, review={"quorum": True})], "quorum"),
        ([rule(cap=None, review={"quorum": 1.0})], "quorum"),
        ([rule(cap=None, review={"roles": "Finance"})], "roles"),
        ([rule(cap=None, review={"queue": 5})], "queue"),
        ([rule(cap=None, review={"who": "me"})], "review takes"),
        ([rule(unless="x")], "unless"),
        ([rule(note=2**53)], "exactly"),
        ([rule(note=float("nan"))], "exactly"),
        ([rule(note="a\x00b")], "NUL"),
        ([rule(cap=None, deny="No.\x00")], "NUL"),
        ([rule(when="args.a == '\x00'")], "NUL"),
        ([rule(note="\ud800")], "exactly"),
    ],
    ids=lambda value: str(value)[:60],
)
def test_check_rules_refuses(rules: Any, why: str) -> None:
    with pytest.raises(ValueError, match=why):
        policy.check_rules(rules)


@pytest.mark.parametrize(
    "when",
    [
        "args.a.all(x, x == '(') && args.b.exists(y, y > 0)",
        "args.s == '.all(x, y.exists(' && args.b.exists(y, y > 0)",
        "true",
    ],
)
def test_check_rules_accepts(when: str) -> None:
    policy.check_rules([rule(when=when)])


def test_the_first_rule_that_denies_ends_it_and_errors_are_kept() -> None:
    rules = policy.compile_rules(
        [
            {"name": "broken", "when": "args.nothing > 5", "deny": "Too much."},
            {"name": "no-answer", "when": "args.a", "cap": "advisory"},
            {"name": "capped", "when": "args.a > 1", "cap": "in_the_loop"},
            {"name": "second", "when": "args.a > 1", "review": {"quorum": 2}},
            {"name": "stop", "when": "args.a > 1", "deny": "No."},
            {"name": "never", "when": "true", "cap": "advisory"},
        ]
    )
    found = policy.evaluate(rules, context(a=2))
    assert [broken.name for broken, _ in found.errors] == ["broken", "no-answer"]
    assert [one.name for one in found.caps] == ["capped"]
    assert found.caps[0].cap == Tier.IN_THE_LOOP
    assert [one.name for one in found.reviews] == ["second"]
    assert found.denied_by is not None
    assert found.denied_by.name == "stop"


EXPRESSIONS = [
    "args.a + 9223372036854775807 > 0",
    "args.a / 0 > 1",
    "args.a % 0 == 1",
    "(-9223372036854775807 - 1) / args.a > 0",
    "args.l[5] == 1",
    "args.l[args.a] == 1",
    "args.s.matches(args.s)",
    "args.s.matches('(')",
    "int(args.s) > 1 || int(args.a) > 1",
    "timestamp(args.s) > timestamp('2020-01-01T00:00:00Z')",
    "duration(args.s) > duration('1s')",
    "string(args.a) == args.s",
    "args.s.size() > args.a",
    "args.n > 1",
    "args.l.map(x, x / 0) == []",
    "args.l.filter(x, x > 1).size() > 0",
    "args.a in args.l",
    "args.s in args",
    "{args.a: 1} == {}",
    "args.s < args.n",
    "args.a < args.s",
    "args == args.l",
    "args.s[0] == 'a'",
    "args[args.s] == 1",
    "amount > 1000.0",
    "size(args) > 0 && args.l.exists_one(x, x == args.a)",
]
RULES = policy.compile_rules(
    [{"name": f"r{n}", "when": when, "cap": "advisory"} for n, when in enumerate(EXPRESSIONS)]
)


@settings(suppress_health_check=[HealthCheck.too_slow], deadline=None)
@given(st.fixed_dictionaries({}, optional=dict.fromkeys("alsn", VALUES)))
def test_no_arguments_make_a_rule_fail_in_any_other_way(args: dict[str, Any]) -> None:
    """A panic of the native library is no `Exception`: it would pass every handler and end in a 500."""
    found = policy.evaluate(RULES, context(**args))
    judged = {one.name for one in found.caps} | {one.name for one, _ in found.errors}
    assert judged <= {one.name for one in RULES}


@settings(deadline=None)
@given(st.text(st.sampled_from("args.amount()[]{}<>=!&|?:+-*/%'\"\\, 0123456789xemapall\n"), max_size=60))
def test_any_text_compiles_or_is_refused_with_a_sentence(when: str) -> None:
    try:
        compiled = policy.compile_rules([rule(when=when)])
    except ValueError as refusal:
        assert str(refusal)
        return
    policy.evaluate(compiled, context(a=1))


@pytest.mark.parametrize("when", ["(" * 240 + "true" + ")" * 240, "!" * 480 + "true", "args" + ".a" * 200])
def test_deep_expressions_do_no_harm(when: str) -> None:
    try:
        compiled = policy.compile_rules([rule(when=when)])
    except ValueError:
        return
    policy.evaluate(compiled, context(a=1))
