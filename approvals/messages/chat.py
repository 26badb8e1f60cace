"""Chat and pager services through apprise: which addresses are taken, how they are kept, and the one door out.

A person's address makes this server send requests, so it is narrow (SSRF): only the services below are known, none
that calls any URL, writes files or runs something; only options that say to whom; no redirects; and every connection
goes to a public address of the Internet, checked when it is opened (a name may point elsewhere by then), except to the
hosts that the installation allows by COUNTERSIGN_CHAT_HOSTS. The secret in an address is never logged or shown."""

import importlib
import logging
import re
from dataclasses import dataclass
from typing import Any

from cryptography.fernet import Fernet, InvalidToken
from django.conf import settings

from approvals.messages import egress, sealing

_TO = frozenset({"to", "channel", "channels", "thread", "topic", "team", "image", "footer", "mode"})
_BY = frozenset(
    {"region", "priority", "severity", "group", "class", "tags", "from", "botname", "silent", "preview"}
)
_TEAMS = frozenset(
    {"id", "sig", "sp", "sv", "ver", "api-version", "route", "workflow", "pa", "powerautomate"}
)
_OPTIONS = _TO | _BY


@dataclass(frozen=True, slots=True)
class Service:
    """A service by the schemes of its addresses and the apprise plugin that speaks to it. `example` is for people.

    `is_hosted_by_anyone`: the address names the server, which `unencrypted` may reach without TLS (allowed hosts only).
    """

    name: str
    schemes: tuple[str, ...]
    module: str
    plugin: str
    example: str
    is_hosted_by_anyone: bool = False
    unencrypted: str = ""
    options: frozenset[str] = _OPTIONS


SERVICES = (
    Service("Slack", ("slack",), "slack", "NotifySlack", "https://hooks.slack.com/services/…"),
    Service(
        "Microsoft Teams",
        ("workflow", "workflows"),
        "workflows",
        "NotifyWorkflows",
        "https://….logic.azure.com/workflows/…",
        is_hosted_by_anyone=True,
        options=_TEAMS,
    ),
    Service(
        "Google Chat",
        ("gchat",),
        "google_chat",
        "NotifyGoogleChat",
        "https://chat.googleapis.com/v1/spaces/…",
        options=frozenset({"key", "token", "thread"}),
    ),
    Service("Discord", ("discord",), "discord", "NotifyDiscord", "https://discord.com/api/webhooks/…"),
    Service(
        "Mattermost",
        ("mmosts",),
        "mattermost",
        "NotifyMattermost",
        "mmosts://chat.example.com/TOKEN",
        is_hosted_by_anyone=True,
        unencrypted="mmost",
    ),
    Service(
        "Rocket.Chat",
        ("rockets",),
        "rocketchat",
        "NotifyRocketChat",
        "rockets://WEBHOOK@chat.example.com",
        is_hosted_by_anyone=True,
        unencrypted="rocket",
    ),
    Service(
        "Matrix",
        ("matrixs",),
        "matrix",
        "NotifyMatrix",
        "matrixs://USER:PASSWORD@matrix.example.com/#ROOM",
        is_hosted_by_anyone=True,
        unencrypted="matrix",
    ),
    Service("Zulip", ("zulip",), "zulip", "NotifyZulip", "zulip://BOT@ORGANIZATION/TOKEN/STREAM"),
    Service("Webex", ("wxteams", "webex"), "webexteams", "NotifyWebexTeams", "webex://TOKEN"),
    Service("Telegram", ("tgram",), "telegram", "NotifyTelegram", "tgram://BOT_TOKEN/CHAT_ID"),
    Service(
        "PagerDuty", ("pagerduty",), "pagerduty", "NotifyPagerDuty", "pagerduty://INTEGRATION_KEY@API_KEY"
    ),
    Service("Opsgenie", ("opsgenie",), "opsgenie", "NotifyOpsgenie", "opsgenie://API_KEY"),
    Service("Jira", ("jira",), "jira", "NotifyJira", "jira://API_KEY"),
    Service("Splunk On-Call", ("splunk", "victorops"), "splunk", "NotifySplunk", "splunk://ROUTE@API_KEY"),
    Service("ilert", ("ilert",), "ilert", "NotifyILert", "ilert://INTEGRATION_KEY"),
    Service("incident.io", ("incidentio",), "incidentio", "NotifyIncidentIO", "incidentio://SOURCE@TOKEN"),
    Service("SIGNL4", ("signl4",), "signl4", "NotifySIGNL4", "signl4://TEAM_SECRET"),
    Service("Squadcast", ("squadcast",), "squadcast", "NotifySquadcast", "squadcast://API_KEY"),
    Service("Pushover", ("pover",), "pushover", "NotifyPushover", "pover://USER_KEY@TOKEN"),
    Service("Twilio", ("twilio",), "twilio", "NotifyTwilio", "twilio://SID:TOKEN@FROM/TO"),
)


class BadAddress(ValueError):
    """An address that is not taken; its text tells the person why, without repeating the address."""


class Undelivered(Exception):
    """A message did not get through; the text says why, for people. `for_good`: trying again would not help."""

    def __init__(self, why: str, *, for_good: bool = False) -> None:
        super().__init__(why)
        self.for_good = for_good


@dataclass(frozen=True, slots=True)
class Destination:
    """An address that was understood. `where` may be shown: the service, and the server's name where it has one."""

    service: Service
    parts: dict[str, Any]

    @property
    def where(self) -> str:
        host = self.parts.get("host")
        return (
            f"{self.service.name}, {host}" if self.service.is_hosted_by_anyone and host else self.service.name
        )


def understand(address: str) -> Destination:
    """Read an address without going anywhere. Raises `BadAddress`."""
    address = address.strip()
    scheme = address.split(":", 1)[0].lower()
    if not re.fullmatch(r"[!-~]{8,1000}", address) or "://" not in address:
        raise BadAddress("It is no address such as slack://… or https://hooks.slack.com/…")
    for service in SERVICES:
        if scheme in (*service.schemes, service.unencrypted):
            parts = _plugin(service).parse_url(address)
            break
        if scheme == "https" and (parts := _native(service, address)):
            break
    else:
        raise BadAddress("This service is not among those that Countersign sends to.")
    if not parts:
        raise BadAddress(f"It is no complete address of {service.name}, such as {service.example}")
    _check(service, scheme, parts)
    try:
        _instance(service, parts)
    except (
        TypeError
    ) as error:  # what apprise raises for a part that cannot be right; its text may hold the secret
        raise BadAddress(f"It is no complete address of {service.name}, such as {service.example}") from error
    return Destination(service, parts)


def check_reachable(destination: Destination) -> None:
    """Refuse a server of one's own that is not on the public Internet. Raises `BadAddress`; looks the name up."""
    host = str(destination.parts.get("host") or "")
    if destination.service.is_hosted_by_anyone:
        try:
            egress.public_addresses(host, 443)
        except OSError as error:
            raise BadAddress(str(error)) from error


def seal(address: str, destination: Destination) -> bytes:
    """With where it leads, so that a page can say so without apprise."""
    return _box().encrypt(f"{destination.where}\n{address.strip()}".encode())


def where(sealed: bytes) -> str | None:
    """Where a sealed address leads, without its secret; None where it was sealed under another SECRET_KEY."""
    found = _unsealed(sealed)
    return found[0] if found else None


def opened(sealed: bytes) -> Destination | None:
    """The destination behind a sealed address; None where it was sealed under another SECRET_KEY, or is no longer
    taken."""
    found = _unsealed(sealed)
    try:
        return understand(found[1]) if found else None
    except BadAddress:
        return None


def _unsealed(sealed: bytes) -> tuple[str, str] | None:
    try:
        where, _, address = _box().decrypt(bytes(sealed)).decode().partition("\n")
    except InvalidToken:
        return None
    return where, address


def send(destination: Destination, *, title: str, body: str) -> None:
    """Deliver one message, or raise `Undelivered`. Takes `egress.LONGEST` seconds at most for each request."""
    from apprise import Apprise  # apprise costs a second and 20 MB, which only the worker needs to pay

    heard = _Heard()
    logger = logging.getLogger("apprise")
    logger.addHandler(heard)
    try:
        egress.guard()
        services = Apprise(asset=_asset())
        services.add(_instance(destination.service, destination.parts))
        taken = bool(services.notify(title=title, body=body, body_format="text"))
    except Exception as error:
        raise Undelivered(f"{destination.service.name} could not be reached.") from error
    finally:
        logger.removeHandler(heard)
    if not taken:
        raise Undelivered(heard.reason(destination.service.name))


class _Heard(logging.Handler):
    """Listens for the HTTP status in what a plugin says about a failure; the rest of it may hold secrets and is not
    kept."""

    def __init__(self) -> None:
        super().__init__(logging.WARNING)
        self.status = ""

    def emit(self, record: logging.LogRecord) -> None:
        found = re.search(r"error=(\d{3})\b", record.getMessage())
        self.status = found[1] if found else self.status

    def reason(self, service: str) -> str:
        return f"{service} answered {self.status}." if self.status else f"{service} could not be reached."


def _check(service: Service, scheme: str, parts: dict[str, Any]) -> None:
    if scheme == service.unencrypted and str(parts.get("host") or "").lower() not in settings.CHAT_HOSTS:
        raise BadAddress(f"Without encryption anybody on the way reads it; write {service.schemes[0]}://…")
    given: dict[str, Any] = parts.get("qsd") or {}
    for name in given:
        if name.lower() not in service.options:
            raise BadAddress("It has an option that is not allowed here; leave everything after the ? away.")


def _native(service: Service, address: str) -> dict[str, Any] | None:
    """The parts of an address as the service itself hands it out, where apprise knows its form."""
    native = getattr(_plugin(service), "parse_native_url", None)
    found: dict[str, Any] | None = native(address) if native else None
    return found


def _plugin(service: Service) -> Any:
    """The plugin's class. It is imported by name, so the code of no other service is ever loaded."""
    return getattr(importlib.import_module(f"apprise.plugins.{service.module}"), service.plugin)


def _instance(service: Service, parts: dict[str, Any]) -> Any:
    return _plugin(service)(**{**parts, "asset": _asset()})


def _asset() -> Any:
    from apprise import AppriseAsset

    return AppriseAsset(
        app_id="Countersign",
        app_desc="Countersign",
        app_url=settings.PUBLIC_URL,
        image_url_mask="",  # no picture is fetched from anywhere
        image_url_logo="",
        async_mode=False,
        http_redirects=False,
        secure_logging=True,
    )


def _box() -> Fernet:
    return sealing.box("countersign chat addresses v1")
