"""Notifications as plain words for e-mail and chat: nothing hidden, nothing that another program makes a link,
an image, a mention or markup of.

What an agent wrote is in these texts (titles, at least). It passes the same cleaning as on the page, and the only
addresses that stay addresses are Countersign's own."""

import re
import unicodedata
from collections.abc import Sequence
from dataclasses import dataclass
from datetime import datetime
from zoneinfo import ZoneInfo

from approvals.messages.choices import words
from approvals.models import Notification
from approvals.reading.untrusted import Piece, Run, runs
from approvals.states import State

SUBJECT = 120
TITLE = 300
LISTED = 50
"""So many notifications stand in one message; the rest is counted and waits in the page."""
_BLANKS = re.compile(r"\s+")
_DOTTED = re.compile(r"(?<=[^\W_])\.(?=[^\W\d_]{2,})")
_SCHEMED = re.compile(r"(?i)(:)(?=[/\\])|\b(mailto|javascript|vbscript|data|file|tel|sms):(?=\S)|\b(www)\.")
_MARKUP = str.maketrans({"<": "‹", ">": "›", "*": "∗", "`": "ˋ", "~": "∼", "|": "¦"})


def plain(text: str) -> str:
    """One line in which every character can be seen: hidden ones as their code point, mixed scripts named, and
    addresses spelled so that no program makes a link of them."""
    line = "".join(_run(run) for run in runs(text))
    line = _SCHEMED.sub(_taken_apart, _DOTTED.sub("[.]", line))
    return _BLANKS.sub(" ", line).strip()


def _taken_apart(found: re.Match[str]) -> str:
    return f"{found[0][:-1]}[{found[0][-1]}]"


def _run(run: Run) -> str:
    text = "".join(map(_piece, run.pieces))
    if run.mark in ("url", "host", "scheme"):
        text = text.replace(":", "[:]")
    if run.mark == "host":
        text = text.replace(".", "[.]")
    if not run.note:
        return text
    note = "".join(
        _piece(piece) for part in runs(run.note) for piece in part.pieces
    )  # it repeats what was written
    return f"{text} ({note})"


def _piece(piece: Piece) -> str:
    match piece.kind:
        case "char" | "danger":
            return f"[{piece.text}]"
        case "fold":
            return f" [{piece.text} blank lines] "
        case "gap":
            return f" [{piece.text} spaces] "
        case _:
            return "".join(" " if unicodedata.category(letter) == "Cc" else letter for letter in piece.text)


def for_chat(text: str) -> str:
    """Words of others without what chat programs take for a mention, a link, an image or markup."""
    without_links = plain(text).replace("@", "[at]").replace("](", "] (")
    return without_links.translate(_MARKUP)


def cut(text: str, length: int) -> str:
    return text if len(text) <= length else text[: length - 1].rstrip() + "…"


@dataclass(frozen=True, slots=True)
class Message:
    subject: str
    body: str


def for_email(notifications: Sequence[Notification], *, site: str, zone: ZoneInfo) -> Message:
    """One message for one or several notifications of a person, newest last."""
    if len(notifications) == 1:
        only = notifications[0]
        body = [plain(only.text), "", *_particulars(only, zone), f"Open it: {_link(only, site)}", ""]
        subject = f"{words(only.kind).subject}: {plain(_title(only))}"
    else:
        subject = f"{len(notifications)} notifications"
        body = []
        for one in notifications[:LISTED]:
            body += [
                f"{words(one.kind).subject}: {plain(one.text)}{_meanwhile(one)}",
                f"  {_link(one, site)}",
                "",
            ]
        body += [f"{line}\n" for line in _more(notifications, site)]
    body += [
        "-- ",
        "Neither this message nor opening the link decides anything.",
        f"What comes by e-mail, and when, is your choice: {site}/notifications/settings/",
        "",
    ]
    return Message(f"[Countersign] {cut(subject, SUBJECT)}", "\n".join(body))


def for_chat_message(notifications: Sequence[Notification], *, site: str) -> Message:
    """The same, short, for chat and pager services."""
    if len(notifications) == 1:
        only = notifications[0]
        text = cut(for_chat(only.text), TITLE)
        return Message(
            f"Countersign: {words(only.kind).subject}", f"{text}{_meanwhile(only)}\n{_link(only, site)}"
        )
    lines = []
    for one in notifications[:LISTED]:
        lines += [
            f"{words(one.kind).subject}: {cut(for_chat(one.text), SUBJECT)}{_meanwhile(one)}",
            _link(one, site),
        ]
    return Message(
        f"Countersign: {len(notifications)} notifications", "\n".join([*lines, *_more(notifications, site)])
    )


def _meanwhile(notification: Notification) -> str:
    """A message may have waited for the morning: whoever reads it need not open what is settled."""
    proposal = notification.proposal
    if proposal is None or proposal.state == State.PENDING:
        return ""
    return f" (meanwhile {State(proposal.state).label.lower()})"


def _more(notifications: Sequence[Notification], site: str) -> list[str]:
    rest = len(notifications) - LISTED
    return [f"And {rest} more: {site}/notifications/"] if rest > 0 else []


def _title(notification: Notification) -> str:
    return notification.proposal.title if notification.proposal else notification.text


def _particulars(notification: Notification, zone: ZoneInfo) -> list[str]:
    """What and where, as far as people of this installation named it; of the agent's words only the title."""
    proposal = notification.proposal
    if proposal is None:
        return []
    lines = [
        f"Proposal: {cut(plain(proposal.title), TITLE)}",
        f"Action: {proposal.action_type.label} ({proposal.action_type.risk} risk)",
        f"Agent: {proposal.agent.name}",
    ]
    if proposal.queue is not None:
        lines.append(f"Queue: {proposal.queue.name}")
    lines.append(f"State: {proposal.get_state_display()}")
    if proposal.due_at is not None:
        lines.append(f"Due: {_moment(proposal.due_at, zone)}")
    return [*lines, ""]


def _moment(moment: datetime, zone: ZoneInfo) -> str:
    return moment.astimezone(zone).strftime("%a %d %b %Y, %H:%M %Z")


def _link(notification: Notification, site: str) -> str:
    """The page, never an address that decides."""
    if notification.link:
        return f"{site}{notification.link}"
    return (
        f"{site}/proposals/{notification.proposal_id}/"
        if notification.proposal_id
        else f"{site}/notifications/"
    )
