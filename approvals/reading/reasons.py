"""Why a proposal went where it went, in words: rules spelled out, tiers, limits and the draw as sentences. Pure.

Simple conditions are read aloud (`amount > 500` becomes “the amount is more than 500”). What this small reader does not
know is not guessed at: then the rule's note speaks, and the condition itself stands in small print in any case."""

import re
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from typing import Any

from approvals import policy_words
from approvals.reading import figures

Label = Callable[[str], str]
"""Names an argument for people, by its JSON Pointer."""

_TOKEN = re.compile(
    r"\s*(?:(?P<number>\d+(?:\.\d+)?)|(?P<text>'[^'\\]*'|\"[^\"\\]*\")|(?P<name>[A-Za-z_]\w*)"
    r"|(?P<sign>&&|\|\||[<>=!]=|[<>!()\[\],.\-]))"
)
_COMPARED = {
    ">": "is more than",
    ">=": "is at least",
    "<": "is less than",
    "<=": "is at most",
    "==": "is",
    "!=": "is not",
}
_TESTS = {"startsWith": "begins with", "endsWith": "ends with", "contains": "contains"}
_FACTS = {
    "amount": "the amount",
    "agent.name": "the agent",
    "agent.version": "the agent’s version",
    "agent.team": "the agent’s team",
    "action.name": "the action",
    "action.domain": "the domain",
    "action.risk": "the risk",
    "subject.type": "the kind of subject",
    "subject.id": "the subject",
    "history.proposed": "the number it proposed in 30 days",
    "history.rejected": "the number rejected in 30 days",
    "history.succeeded": "the number that succeeded in 30 days",
    "history.subject_count": "the number about the same subject in 24 hours",
    "history.subject_amount": "the sum about the same subject in 24 hours",
    "history.subject_total_count": "the number of all the agent did about the same subject in 24 hours",
    "history.subject_total_amount": "the sum of all the agent did about the same subject in 24 hours",
    "history.agent_count": "the number of all the agent did in 24 hours",
    "history.agent_amount": "the sum of all the agent did in 24 hours",
}


@dataclass(frozen=True, slots=True)
class Why:
    """One reason: a sentence, the rule's note, the rule with its effect, and the condition as it is written."""

    code: str
    sentence: str
    note: str = ""
    rule: str = ""
    effect: str = ""
    expression: str = ""


def in_words(
    reasons: Sequence[Mapping[str, Any]], rules: Sequence[Mapping[str, Any]], *, action: str, label: Label
) -> list[Why]:
    """The stored reasons of a proposal, each as a person would say it; `rules` are those of its policy version."""
    named = {str(rule.get("name")): rule for rule in rules}
    return [_why(reason, named, action, label) for reason in reasons]


def sampling(probability: float | None, *, drawn: bool) -> Why | None:
    """What the draw for a later review did, where there was one and it fell on this proposal."""
    if not drawn or not probability:
        return None
    chance = f"{probability * 100:.3g} %"
    return Why("sampled", f"It was drawn at random for a review after the fact; {chance} of its kind are.")


def _why(reason: Mapping[str, Any], named: Mapping[str, Mapping[str, Any]], action: str, label: Label) -> Why:
    code, name, detail = (str(reason.get(key) or "") for key in ("code", "rule", "detail"))
    rule = named.get(name, {})
    note, when = str(rule.get("note") or ""), str(rule.get("when") or "")
    effect = policy_words.effect(rule) if rule else ""
    if code == "rule":
        when = detail or when
        words = spelled(when, action=action, label=label)
        sentence = _sentence(words) if words else note or f"The rule {name} asks for a review."
        return Why(code, sentence, note if note != sentence else "", name, effect, when)
    if code == "cap" and when:
        words = spelled(when, action=action, label=label)
        because = f" because {words}" if words else ""
        return Why(code, f"{detail.rstrip('.')}{because}.", note, name, effect, when)
    return Why(code, _grouped(detail), note, name, effect, when)


def _grouped(detail: str) -> str:
    """Limits as they are stored (`More than the mandate's 12000.00 per action.`), their figures made readable."""
    return re.sub(r"\b\d{4,}(?:\.\d+)?\b", lambda match: figures.money(match.group()), detail)


def _sentence(words: str) -> str:
    return f"{words[0].upper()}{words[1:]}."


def spelled(expression: str, *, action: str, label: Label) -> str:
    """The condition in words, without what is true of every proposal of this action; empty if it is not that simple."""
    try:
        reader = _Reader(_tokens(expression), action, label)
        words = reader.either()
        if reader.rest:
            return ""
    except _TooHard:
        return ""
    if words.startswith("(") and words.find(")") == len(words) - 1:
        words = words[1:-1]
    return words if words != _ALWAYS[1:-1] else "every proposal of this kind is reviewed"


class _TooHard(ValueError):
    """The condition says something this reader has no words for."""


_ALWAYS = "(always)"
"""What is true of every proposal of this action; no words that it could be mistaken for begin with a parenthesis."""


def _tokens(expression: str) -> list[tuple[str, str]]:
    found, position = [], 0
    text = expression.strip()
    while position < len(text):
        match = _TOKEN.match(text, position)
        if match is None or match.lastgroup is None:
            raise _TooHard
        found.append((match.lastgroup, match[match.lastgroup]))
        position = match.end()
    return found


class _Reader:
    """Recursive descent over: or, and, not, parentheses, comparisons, `in` lists, has(), size(), three text tests."""

    def __init__(self, tokens: list[tuple[str, str]], action: str, label: Label) -> None:
        self.rest = tokens
        self.action = action
        self.label = label

    def either(self) -> str:
        parts = [self.both()]
        while self.take("||"):
            parts.append(self.both())
        if _ALWAYS in parts:
            return _ALWAYS
        known = [part for part in parts if part]
        return " or ".join(known)

    def both(self) -> str:
        parts = [self.single()]
        while self.take("&&"):
            parts.append(self.single())
        if "" in parts:
            return ""  # it speaks of another action: false here
        known = [part for part in parts if part != _ALWAYS]
        return " and ".join(known) if known else _ALWAYS

    def single(self) -> str:
        if self.take("!"):
            return self.negated()
        if self.take("("):
            inner = self.either()
            self.need(")")
            return f"({inner})" if " or " in inner else inner
        if self.peek() == ("name", "true"):
            self.rest.pop(0)
            return _ALWAYS
        if self.peek() == ("name", "has"):
            return f"{self.given()} is given"
        return self.comparison()

    def negated(self) -> str:
        if self.peek() == ("name", "has"):
            return f"{self.given()} is not given"
        subject, path = self.subject()
        if path == "action.reversible":
            return "it cannot be undone"
        if not path.startswith("args."):
            raise _TooHard
        return f"{subject} is no"

    def given(self) -> str:
        self.rest.pop(0)
        self.need("(")
        subject, _ = self.subject()
        self.need(")")
        return subject

    def comparison(self) -> str:
        subject, path = self.subject()
        if path == "test":
            return subject
        kind, sign = self.peek()
        if kind == "sign" and sign in _COMPARED:
            self.rest.pop(0)
            return self.compared(subject, path, sign)
        if (kind, sign) == ("name", "in"):
            self.rest.pop(0)
            self.need("[")
            values = [self.literal()]
            while self.take(","):
                values.append(self.literal())
            self.need("]")
            return (
                f"{subject} is one of {', '.join(values)}" if len(values) > 1 else f"{subject} is {values[0]}"
            )
        if path == "action.reversible":
            return "it can be undone"
        if path.startswith("args."):
            return f"{subject} is yes"
        raise _TooHard

    def compared(self, subject: str, path: str, sign: str) -> str:
        kind, raw = self.peek()
        value = self.literal()
        if path == "action.name" and sign == "==":
            return _ALWAYS if raw[1:-1] == self.action else ""
        if path == "action.reversible":
            undone = (raw == "true") == (sign == "==")
            return "it can be undone" if undone else "it cannot be undone"
        if raw == "null":
            return f"{subject} is not there" if sign == "==" else f"{subject} is given"
        if (kind, raw) in (("name", "true"), ("name", "false")) and sign in ("==", "!="):
            return f"{subject} is {'yes' if (raw == 'true') == (sign == '==') else 'no'}"
        return f"{subject} {_COMPARED[sign]} {value}"

    def subject(self) -> tuple[str, str]:
        """What is compared, in words and as it is written."""
        if self.peek() == ("name", "size"):
            self.rest.pop(0)
            self.need("(")
            inner, path = self.subject()
            self.need(")")
            return f"the length of {inner}", f"size {path}"
        names = [self.name()]
        while self.take("."):
            name = self.name()
            if name in _TESTS and self.take("("):
                value = self.literal()
                self.need(")")
                return f"{self.worded(names)} {_TESTS[name]} {value}", "test"
            names.append(name)
        return self.worded(names), ".".join(names)

    def worded(self, names: list[str]) -> str:
        path = ".".join(names)
        if names[0] == "args" and len(names) > 1:
            return f"“{self.label('/' + '/'.join(names[1:]))}”"
        if path in _FACTS:
            return _FACTS[path]
        if path == "action.reversible":
            return path
        raise _TooHard

    def literal(self) -> str:
        minus = "-" if self.take("-") else ""
        kind, text = self.peek()
        if kind == "number":
            self.rest.pop(0)
            whole = text.removesuffix(".0")
            return minus + (figures.money(whole, "JPY") if len(whole) > 3 else whole)
        if kind == "text":
            self.rest.pop(0)
            return f"“{text[1:-1]}”"
        if kind == "name" and text in ("true", "false", "null"):
            self.rest.pop(0)
            return text
        raise _TooHard

    def name(self) -> str:
        kind, text = self.peek()
        if kind != "name":
            raise _TooHard
        self.rest.pop(0)
        return text

    def peek(self) -> tuple[str, str]:
        return self.rest[0] if self.rest else ("", "")

    def take(self, sign: str) -> bool:
        if self.peek() == ("sign", sign):
            self.rest.pop(0)
            return True
        return False

    def need(self, sign: str) -> None:
        if not self.take(sign):
            raise _TooHard
