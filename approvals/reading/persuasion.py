"""Text that speaks to the reviewer instead of describing the action (attack A19). Pure, and only ever a hint."""

import re
import unicodedata
from typing import Any

_READ = 4000
"""So many characters of each text are read: whoever wants to persuade does not hide it behind pages of other words."""

_COMMANDS = (
    r"(?:click|press|hit|choose|select|tap)\s+(?:on\s+)?(?:the\s+)?[\"'“‘«]?(?:approve|accept|confirm|yes)\b",
    r"(?:ignore|disregard|forget|skip|override|bypass)\s+(?:all\s+|any\s+|the\s+|your\s+|these\s+)*"
    r"(?:previous|prior|above|earlier|usual|other|policy|policies|warnings?|signals?|rules?|instructions?|checks?|review)\b",
    r"(?:no\s+need|not\s+necessary|unnecessary|not\s+required|no\s+reason)\s+(?:for\s+you\s+)?to\s+"
    r"(?:check|review|verify|read|look|wait|escalate|confirm)",
    r"(?:do\s+not|don['’]?t|never)\s+(?:check|verify|review|reject|escalate|read|question|open|look)\b",
    r"(?:please|you\s+(?:must|should|can|may|need\s+to|have\s+to)|just|simply|kindly)\s+(?:now\s+|safely\s+|immediately\s+)?"
    r"approve\b",
    r"approve\s+(?:this|it|now|immediately|at\s+once|without|right\s+away|asap)\b",
    r"(?:dear|hello|hi|attention|note\s+to(?:\s+the)?|message\s+(?:to|for)(?:\s+the)?)\s*:?\s*(?:reviewer|approver)",
    r"(?:^|\n)[\[<(#*]{0,3} ?(?:system|admin(?:istrator)?|security\s+team|countersign|reviewer) ?"
    r"(?:message|notice|note)? ?[\])>*]{0,3} ?:",
)
_CLAIMS = (
    r"\b(?:already|pre|auto)[\s-]*(?:been\s+)?(?:fully\s+)?(?:approved|authori[sz]ed|cleared|countersigned|signed[\s-]off)\b",
    r"\b(?:approved|authori[sz]ed|cleared|signed[\s-]off|waved\s+through)\s+by\s+(?:the\s+|our\s+|your\s+)*"
    r"(?:security|compliance|legal|risk|audit|board|ceo|cfo|management|admin(?:istrator)?s?|system|policy|reviewers?)\b",
    r"\bapproval\s+(?:is|was|has\s+been)\s+(?:already\s+)?(?:given|granted|obtained|waived)\b",
)
_COMMANDS_RE = re.compile("|".join(f"(?:{one})" for one in _COMMANDS), re.IGNORECASE)
_ALL_RE = re.compile("|".join(f"(?:{one})" for one in (*_COMMANDS, *_CLAIMS)), re.IGNORECASE)

# Letters and blanks with which such words would be hidden from this very check.
_DISGUISES = str.maketrans("асеорѕхуіјВНКМТ\u00a0\u2007\u202f", "aceopsxyijBHKMT   ")


def addressed(value: Any, *, spoken_by_others: bool = False) -> str:
    """The words that speak to the reviewer, or nothing.

    `spoken_by_others` is for a conversation: people in it tell of approvals all day, so only commands count there."""
    expression = _COMMANDS_RE if spoken_by_others else _ALL_RE
    for text in _strings(value):
        match = expression.search(_undisguised(text[:_READ]))
        if match:
            return " ".join(match.group().split())[:80]
    return ""


def _undisguised(text: str) -> str:
    """The text in plain letters, each run of blanks as one space or line end: the expressions stay linear."""
    plain = unicodedata.normalize("NFKC", text).translate(_DISGUISES)
    seen = "".join(one for one in plain if unicodedata.category(one) not in ("Cf", "Mn"))
    return "\n".join(" ".join(line.split()) for line in seen.splitlines() if line.strip())


def _strings(value: Any) -> list[str]:
    if isinstance(value, str):
        return [value]
    if isinstance(value, dict):
        return [text for item in value.values() for text in _strings(item)]
    if isinstance(value, list):
        return [text for item in value for text in _strings(item)]
    return []
