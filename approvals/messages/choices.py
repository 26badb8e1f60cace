"""What a person wants to be told, by which way and when. Pure; kept in `User.preferences["notify"]`.

In the page everything is told. A *way* outside it is "email" or a chat address, named by `chat_way`. Quiet hours hold
everything back until they end; a digest gathers e-mails. What is overdue or escalated waits for no digest, and breaks
quiet hours only where the person chose so."""

from collections.abc import Iterable, Mapping
from dataclasses import dataclass, field
from datetime import UTC, datetime, time, timedelta
from enum import StrEnum
from typing import Any
from zoneinfo import ZoneInfo, ZoneInfoNotFoundError

EMAIL = "email"
TEST = "test"
UNDELIVERED = "undelivered"
"""Kinds of notification nobody chooses: a message to try a way out, and the news that one does not work."""


class Topic(StrEnum):
    """What a notification is about; each person chooses a way for each."""

    ASSIGNED = "assigned"
    MENTIONED = "mentioned"
    COMMENTED = "commented"
    DUE_SOON = "due_soon"
    OVERDUE = "overdue"
    ESCALATED = "escalated"
    TAKEN_OVER = "taken_over"
    ANSWERED = "answered"
    DROPPED = "dropped"
    ROLLBACK = "rollback"
    PACING = "pacing"
    DISPUTE = "dispute"
    PROBE = "probe"
    INCIDENT = "incident"
    TIER = "tier"
    STOPPED = "stopped"
    AGENT = "agent"
    LOG = "log"
    ACCESS = "access"


URGENT = frozenset({Topic.OVERDUE, Topic.ESCALATED, Topic.STOPPED, Topic.LOG})


class Digest(StrEnum):
    OFF = "off"
    HOURLY = "hourly"
    DAILY = "daily"


@dataclass(frozen=True, slots=True)
class Words:
    """How a kind of notification is called: in a subject, in the settings, and by which icon."""

    subject: str
    choice: str
    icon: str


WORDS: dict[str, Words] = {
    Topic.ASSIGNED: Words(
        "Assigned to you", "A proposal is given to you, or to whom you stand in for", "hand"
    ),
    Topic.MENTIONED: Words("You were mentioned", "Somebody names you in a comment", "message-square-quote"),
    Topic.COMMENTED: Words("New comment", "A comment where you have taken part", "message-square-quote"),
    Topic.DUE_SOON: Words("Due soon", "Something you can decide is due soon", "timer"),
    Topic.OVERDUE: Words("Overdue", "Something you can decide is overdue", "timer-off"),
    Topic.ESCALATED: Words(
        "Escalated to you", "Something was escalated to your queue or team", "shield-alert"
    ),
    Topic.TAKEN_OVER: Words("Taken over", "A colleague takes over what you held, or you his", "users"),
    Topic.ANSWERED: Words("Answered", "An agent answers the question you returned it with", "corner-up-left"),
    Topic.DROPPED: Words(
        "Your decision did not take effect", "A decision of yours could not take effect", "undo-2"
    ),
    Topic.ROLLBACK: Words(
        "Rollback", "What becomes of a rollback that you or your people asked for", "undo-2"
    ),
    Topic.PACING: Words("Pacing", "Somebody approves faster than one can read (for admins)", "circle-pause"),
    Topic.TIER: Words(
        "A tier has changed", "An agent of yours has earned a tier, or lost one", "shield-alert"
    ),
    Topic.PROBE: Words(
        "A probe", "What you decided was a probe, or an appeal against one is made or answered", "eye"
    ),
    Topic.STOPPED: Words("A stop switch", "An agent of yours is stopped, or may begin again", "octagon-x"),
    Topic.AGENT: Words(
        "An agent needs its people",
        "A credential of an agent of yours ends soon, or nobody answers for an agent (for admins)",
        "bot",
    ),
    Topic.LOG: Words(
        "The audit log", "For admins: events are not sealed, or a sealed one is gone", "triangle-alert"
    ),
    Topic.DISPUTE: Words(
        "A judgement in dispute",
        "A judgement of yours or of your agent is disputed, or settled",
        "scroll-text",
    ),
    Topic.INCIDENT: Words("An incident", "An incident you answer for, or of your agent", "triangle-alert"),
    Topic.ACCESS: Words(
        "Access",
        "Access that you asked for, a change that waits for your word, or a review of who may do what",
        "key-round",
    ),
    TEST: Words("A test message", "A test message", "mail"),
    UNDELIVERED: Words("Messages do not arrive", "Messages do not arrive", "triangle-alert"),
}


def words(kind: str) -> Words:
    """Also for a kind that an earlier release wrote."""
    return WORDS.get(kind) or Words(kind.replace("_", " ").capitalize(), kind, "circle-alert")


USUAL_EMAIL = frozenset(
    {
        Topic.ASSIGNED,
        Topic.MENTIONED,
        Topic.OVERDUE,
        Topic.ESCALATED,
        Topic.DROPPED,
        Topic.ANSWERED,
        Topic.ROLLBACK,
        Topic.TIER,
        Topic.STOPPED,
        Topic.LOG,
        Topic.AGENT,
        Topic.DISPUTE,
        Topic.INCIDENT,
        Topic.ACCESS,
    }
)
USUAL_CHAT = frozenset({Topic.ASSIGNED, Topic.MENTIONED, Topic.OVERDUE, Topic.ESCALATED})
"""What a chat address gets from the moment it is added."""


def chat_way(address_id: int) -> str:
    """The name of a chat address as a way: at most ten characters, as `Delivery.channel` holds."""
    return f"c{address_id}"


def chat_address_id(way: str) -> int | None:
    return int(way[1:]) if way[:1] == "c" and way[1:].isdigit() else None


def _usual() -> dict[Topic, frozenset[str]]:
    return {topic: frozenset({EMAIL}) if topic in USUAL_EMAIL else frozenset() for topic in Topic}


@dataclass(frozen=True, slots=True)
class Choice:
    """One person's choice. `quiet` is from and until, by his clock; until before from runs over midnight."""

    ways: Mapping[Topic, frozenset[str]] = field(default_factory=_usual)
    quiet: tuple[time, time] | None = None
    urgent_at_once: bool = False
    digest: Digest = Digest.OFF
    digest_hour: int = 8

    def stored(self) -> dict[str, Any]:
        """As JSON for the person's preferences; `read` is the way back."""
        return {
            "ways": {str(topic): sorted(self.ways.get(topic, ())) for topic in Topic},
            "quiet": [f"{moment:%H:%M}" for moment in self.quiet] if self.quiet else None,
            "urgent_at_once": self.urgent_at_once,
            "digest": str(self.digest),
            "digest_hour": self.digest_hour,
        }

    def with_way(self, way: str, topics: Iterable[Topic]) -> "Choice":
        """The same with another way for these topics, and for no others."""
        wanted = frozenset(topics)
        ways = {
            topic: (self.ways.get(topic, frozenset()) - {way}) | ({way} if topic in wanted else set())
            for topic in Topic
        }
        return Choice(ways, self.quiet, self.urgent_at_once, self.digest, self.digest_hour)


def read(preferences: Mapping[str, Any]) -> Choice:
    """The choice in a person's preferences. What is missing or of an earlier form counts as not chosen: a notification
    must not fail for a preference."""
    stored = preferences.get("notify")
    if not isinstance(stored, dict):
        return Choice()
    ways, usual = stored.get("ways"), _usual()
    if isinstance(ways, dict):
        usual |= {
            topic: frozenset(str(way) for way in ways[topic])
            for topic in Topic
            if isinstance(ways.get(topic), list)
        }
    digest = stored.get("digest")
    hour = stored.get("digest_hour")
    return Choice(
        ways=usual,
        quiet=_quiet(stored.get("quiet")),
        urgent_at_once=stored.get("urgent_at_once") is True,
        digest=Digest(digest) if digest in list(Digest) else Digest.OFF,
        digest_hour=hour if isinstance(hour, int) and 0 <= hour <= 23 else 8,
    )


def _quiet(stored: Any) -> tuple[time, time] | None:
    try:
        start, end = (time.fromisoformat(text) for text in stored)
    except (TypeError, ValueError):
        return None
    return (start, end) if start != end else None


def zone_of(name: str) -> ZoneInfo:
    """A person's time zone; UTC where he has named none, or one that this machine does not know."""
    try:
        return ZoneInfo(name or "UTC")
    except (ZoneInfoNotFoundError, ValueError):
        return ZoneInfo("UTC")


def not_before(choice: Choice, *, topic: str, way: str, now: datetime, zone: ZoneInfo) -> datetime:
    """When a message of now may go this way: never earlier than now, and never later than a day and its quiet hours."""
    if topic in URGENT:
        return now if choice.urgent_at_once else _after_quiet(now, choice, zone)
    moment = _next_digest(now, choice, zone) if way == EMAIL else now
    return _after_quiet(moment, choice, zone)


def _after_quiet(moment: datetime, choice: Choice, zone: ZoneInfo) -> datetime:
    if choice.quiet is None:
        return moment
    start, end = choice.quiet
    local = moment.astimezone(zone)
    clock = local.time()
    over_midnight = start > end
    if not (clock >= start or clock < end if over_midnight else start <= clock < end):
        return moment
    day = local.date() + timedelta(days=1 if over_midnight and clock >= start else 0)
    over = datetime.combine(day, end, tzinfo=zone).replace(fold=local.fold)
    return max(moment, over.astimezone(UTC))


def _next_digest(now: datetime, choice: Choice, zone: ZoneInfo) -> datetime:
    if choice.digest == Digest.OFF:
        return now
    if choice.digest == Digest.HOURLY:
        return now.astimezone(UTC).replace(minute=0, second=0, microsecond=0) + timedelta(hours=1)
    local = now.astimezone(zone)
    at = time(choice.digest_hour)
    today = datetime.combine(local.date(), at, tzinfo=zone).astimezone(UTC)
    if today > now:
        return today
    return datetime.combine(local.date() + timedelta(days=1), at, tzinfo=zone).astimezone(UTC)
