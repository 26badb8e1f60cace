"""A policy's rules: CEL conditions and their effects (DESIGN.md §5). Pure.

A rule is {"name", "when", and one of "deny": sentence, "review": {"queue"?, "quorum"?, "roles"?, "required"?},
"cap": tier}; `required` asks for votes by team: [{"team", "votes"}].
Conditions see `args`, `amount` (number or null), `agent`, `action`, `subject` and `history`. The CEL library has no
cost limit and holds the interpreter's lock, so expressions are short and macros may not be nested; the schema's
`maxItems` and the body limit bound what they walk over. Whatever goes wrong in a rule sends the proposal to
review, never through."""

import re
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from typing import Any

import cel
import rfc8785

from agents import strict_json
from agents.autonomy import Tier

MAX_EXPRESSION = 500
MAX_RULES = 100
VARIABLES = frozenset({"args", "amount", "agent", "action", "subject", "history"})
_MACRO = re.compile(r"\.\s*(?:all|exists|exists_one|map|filter)\s*\(")
_BINDING = re.compile(r"\.\s*(?:all|exists|exists_one|map|filter)\s*\(\s*([A-Za-z_]\w*)\s*,")
_LITERAL = re.compile(
    r"""[rRbB]{0,2}(?:'{3}.*?'{3}|"{3}.*?"{3}|'(?:\\.|[^'\\])*'|"(?:\\.|[^"\\])*")|//[^\n]*""", re.DOTALL
)
_EFFECTS = ("deny", "review", "cap")


@dataclass(frozen=True, slots=True)
class Rule:
    """One compiled rule; exactly one of `deny`, `review`, `cap` is set."""

    name: str
    when: str
    program: cel.Program
    deny: str | None = None
    review: Mapping[str, Any] | None = None
    cap: Tier | None = None


@dataclass(frozen=True, slots=True)
class Findings:
    """What the rules say of one proposal; `errors` are (rule, message) and count as reasons for review."""

    denied_by: Rule | None = None
    reviews: list[Rule] = field(default_factory=list)
    caps: list[Rule] = field(default_factory=list)
    errors: list[tuple[Rule, str]] = field(default_factory=list)


def check_rules(rules: Any) -> None:
    """Raise ValueError with one sentence, naming the rule, when the rules cannot be published."""
    compile_rules(rules)


def compile_rules(rules: Any) -> list[Rule]:
    """The compiled rules in order; ValueError as in `check_rules`."""
    if not isinstance(rules, list):
        raise ValueError("rules must be a list")
    if len(rules) > MAX_RULES:
        raise ValueError(f"a policy has at most {MAX_RULES} rules, this one has {len(rules)}")
    try:
        strict_json.check_strings(rules)
        rfc8785.dumps(rules)
    except ValueError as error:
        raise ValueError(f"the rules have a value that cannot be stored exactly: {error}") from error
    compiled: list[Rule] = []
    for position, rule in enumerate(rules, 1):
        if not isinstance(rule, Mapping):
            raise ValueError(f"rule {position} must be a mapping with name, when and an effect")
        compiled.append(_compile(rule, position))
    names = [rule.name for rule in compiled]
    for name in names:
        if names.count(name) > 1:
            raise ValueError(f"rule {name!r} stands twice; names must differ")
    return compiled


def queues_named(rules: Sequence[Mapping[str, Any]]) -> set[str]:
    """Slugs of the queues that the rules send proposals to."""
    return {
        r["review"]["queue"]
        for r in rules
        if isinstance(r.get("review"), Mapping) and r["review"].get("queue")
    }


def needs_history(rules: Sequence[Rule]) -> bool:
    """Whether any condition speaks of `history`, which costs queries."""
    return any("history" in rule.when for rule in rules)


def evaluate(rules: Sequence[Rule], context: Mapping[str, Any]) -> Findings:
    """Run the rules in order; the first that denies ends it."""
    reviews: list[Rule] = []
    caps: list[Rule] = []
    errors: list[tuple[Rule, str]] = []
    denied_by = None
    if not rules:
        return Findings()
    values = cel.Context(variables=dict(context))  # converted once, not once per rule
    for rule in rules:
        try:
            matched = rule.program.execute(values)
            if not isinstance(matched, bool):
                raise TypeError(f"the condition gave {type(matched).__name__}, not true or false")
        except Exception as error:  # noqa: BLE001 - the library raises many kinds; all of them mean review
            errors.append((rule, str(error).split(".")[0][:160]))
            continue
        if not matched:
            continue
        if rule.deny is not None:
            denied_by = rule
            break
        (reviews if rule.review is not None else caps).append(rule)
    return Findings(denied_by, reviews, caps, errors)


def _compile(rule: Mapping[str, Any], position: int) -> Rule:
    name = rule.get("name")
    if not isinstance(name, str) or not re.fullmatch(r"[a-z0-9][a-z0-9_-]{0,59}", name):
        raise ValueError(f"rule {position} needs a name of a-z, 0-9, - and _ (at most 60 characters)")
    unknown = set(rule) - {"name", "when", "note", *_EFFECTS}
    if unknown:
        raise ValueError(f"rule {name!r} has the unknown field {sorted(unknown)[0]!r}")
    when = rule.get("when")
    if not isinstance(when, str) or not when.strip():
        raise ValueError(f"rule {name!r} needs a condition in 'when'; \"true\" matches always")
    effects = [effect for effect in _EFFECTS if rule.get(effect) is not None]
    if len(effects) != 1:
        raise ValueError(f"rule {name!r} needs exactly one effect: deny, review or cap")
    return Rule(
        name=name,
        when=when,
        program=_program(name, when),
        deny=_deny(name, rule.get("deny")),
        review=_review(name, rule.get("review")),
        cap=_cap(name, rule.get("cap")),
    )


def _program(name: str, when: str) -> cel.Program:
    if len(when) > MAX_EXPRESSION:
        raise ValueError(f"rule {name!r}: the condition has {len(when)} characters; at most {MAX_EXPRESSION}")
    if _nested_macro(when):
        raise ValueError(f"rule {name!r}: all, exists, map and filter may not stand inside one another")
    try:
        program = cel.compile(when)
    except ValueError as error:
        raise ValueError(f"rule {name!r}: {' '.join(str(error).split())[:200]}") from error
    unknown = set(program.variables()) - VARIABLES - set(_BINDING.findall(when))
    if unknown:
        known = ", ".join(sorted(VARIABLES))
        raise ValueError(f"rule {name!r} speaks of {sorted(unknown)[0]!r}; conditions know {known}")
    return program


def _nested_macro(expression: str) -> bool:
    """Whether a macro stands inside another's parentheses; those within string literals and comments are text."""
    expression = _LITERAL.sub("''", expression)
    for match in _MACRO.finditer(expression):
        depth, position = 1, match.end()
        while position < len(expression) and depth:
            depth += {"(": 1, ")": -1}.get(expression[position], 0)
            position += 1
        if _MACRO.search(expression, match.end(), position):
            return True
    return False


def _deny(name: str, value: Any) -> str | None:
    if value is None:
        return None
    if not isinstance(value, str) or not value.strip():
        raise ValueError(f"rule {name!r}: deny needs a sentence that tells the agent why")
    return value


def _review(name: str, value: Any) -> Mapping[str, Any] | None:
    if value is None:
        return None
    if not isinstance(value, Mapping) or set(value) - {"queue", "quorum", "roles", "required"}:
        raise ValueError(f"rule {name!r}: review takes queue, quorum, roles and required")
    quorum = value.get("quorum", 1)
    if not isinstance(quorum, int) or isinstance(quorum, bool) or not 1 <= quorum <= 9:
        raise ValueError(f"rule {name!r}: quorum must be a whole number from 1 to 9")
    roles = value.get("roles", [])
    if not isinstance(roles, list) or not all(isinstance(role, str) for role in roles):
        raise ValueError(f"rule {name!r}: roles must be a list of team names")
    _check_required(name, value.get("required", []))
    if not isinstance(value.get("queue", ""), str):
        raise ValueError(f"rule {name!r}: queue must be the slug of a queue")
    return value


def _check_required(name: str, seats: Any) -> None:
    words = f"rule {name!r}: required must be a list of a team and its votes (1 to 9), each team once"
    if not isinstance(seats, list) or len(seats) > 9:
        raise ValueError(words)
    for seat in seats:
        if not isinstance(seat, Mapping) or set(seat) != {"team", "votes"}:
            raise ValueError(words)
        votes = seat["votes"]
        if not isinstance(seat["team"], str) or not seat["team"]:
            raise ValueError(words)
        if not isinstance(votes, int) or isinstance(votes, bool) or not 1 <= votes <= 9:
            raise ValueError(words)
    if len({seat["team"] for seat in seats}) != len(seats):
        raise ValueError(words)


def _cap(name: str, value: Any) -> Tier | None:
    if value is None:
        return None
    if value not in Tier.values:
        raise ValueError(f"rule {name!r}: cap must be one of {', '.join(Tier.values)}")
    return Tier(value)
