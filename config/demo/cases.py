"""What an agent of the demo proposes, and what a good reviewer makes of it. Pure."""

import copy
from collections.abc import Callable
from dataclasses import dataclass, field
from typing import Any, Literal

from config.demo.world import Moment

Truth = Literal["approve", "edit", "reject", "return"]


@dataclass(slots=True)
class Case:
    """One proposal with its story. `expected` are the arguments an edit, or the agent's answer to a question, leads to.

    `reason` and `comment` are the reviewer's; `reply` is the agent's to a returned proposal."""

    arguments: dict[str, Any]
    summary: str
    reasoning: str
    context: list[dict[str, str]]
    subject: tuple[str, str]
    priority: str = "normal"
    confidence: float = 0.9
    current_state: dict[str, Any] | None = None
    truth: Truth = "approve"
    expected: dict[str, Any] | None = None
    reason: str = ""
    comment: str = ""
    reply: str = ""

    def mended(self, reason: str, comment: str, **wrong: Any) -> "Case":
        """The agent got `wrong` wrong (keys are paths, `__` between steps); a reviewer edits it back to what it was.

        Where the story is already so, there is no mistake."""
        changed = _with(self.arguments, wrong)
        if changed == self.arguments:
            return self
        self.expected, self.arguments = self.arguments, changed
        self.truth, self.reason, self.comment = "edit", reason, comment
        return self

    def refused(self, reason: str, comment: str, **wrong: Any) -> "Case":
        """Nothing to mend: a reviewer rejects it."""
        self.arguments = _with(self.arguments, wrong)
        self.truth, self.reason, self.comment = "reject", reason, comment
        return self

    def asked(self, question: str, reply: str, **unclear: Any) -> "Case":
        """A reviewer returns it with a question; the agent's answer is what it should have been."""
        changed = _with(self.arguments, unclear)
        if changed == self.arguments:
            return self
        self.expected, self.arguments = self.arguments, changed
        self.truth, self.comment, self.reply = "return", question, reply
        return self


Story = Callable[[Moment], Case]
Mistake = Callable[[Moment, Case], Case]


@dataclass(frozen=True, slots=True)
class Kind:
    """How cases of one action type come about: the story when all is well, and what goes wrong in it."""

    story: Story
    mistakes: tuple[Mistake, ...] = field(default=())


def tell(kind: Kind, moment: Moment, accuracy: float) -> Case:
    """One case; with probability `accuracy` the agent is right. A wrong one is a bit less confident, not always."""
    case = kind.story(moment)
    rng = moment.rng
    if kind.mistakes and rng.random() >= accuracy:
        case = rng.choice(kind.mistakes)(moment, case)
        case.confidence = round(rng.uniform(0.48, 0.97), 2)
    else:
        case.confidence = round(min(0.99, rng.gauss(0.91, 0.05)), 2)
    return case


def user(text: str) -> dict[str, str]:
    return {"role": "user", "content": text}


def assistant(text: str) -> dict[str, str]:
    return {"role": "assistant", "content": text}


def tool(name: str, text: str) -> dict[str, str]:
    return {"role": "tool", "name": name, "content": text}


def _with(arguments: dict[str, Any], changes: dict[str, Any]) -> dict[str, Any]:
    changed = copy.deepcopy(arguments)
    for path, value in changes.items():
        target: Any = changed
        *outer, last = path.split("__")
        for part in outer:
            target = target[int(part)] if part.isdigit() else target.setdefault(part, {})
        target[int(last) if last.isdigit() else last] = value
    return changed
