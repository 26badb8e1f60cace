"""How e-mail leaves this installation, from the environment.

`EMAIL_URL` says it in one line: `smtp://user:password@host:587` (with STARTTLS, always),
`smtps://…` (TLS from the beginning), `smtp+plain://host:25` (no encryption; for a relay on the same machine or net).
Without it, `EMAIL_HOST`, `EMAIL_PORT`, `EMAIL_HOST_USER`, `EMAIL_HOST_PASSWORD`, `EMAIL_USE_TLS` and `EMAIL_USE_SSL`
are read as Django names them. With neither, e-mails are written to files (config/mail_folder.py)."""

from collections.abc import Mapping
from dataclasses import dataclass
from urllib.parse import unquote, urlsplit

from config.problem import Problem


class MailProblem(Problem):
    """A setting that cannot be right; the text names the variable and never a password."""


@dataclass(frozen=True, slots=True)
class Mail:
    """Where e-mail goes. `starttls` and `tls` exclude each other; an empty host means that none is set up."""

    host: str
    port: int
    user: str
    password: str
    starttls: bool
    tls: bool
    sender: str

    @property
    def is_set_up(self) -> bool:
        return bool(self.host)


_PORTS = {"smtp": 587, "smtps": 465, "smtp+plain": 25}


def from_environment(environment: Mapping[str, str], *, public_url: str) -> Mail:
    """Raises `MailProblem`."""
    host = urlsplit(public_url).hostname or "localhost"
    sender = environment.get("EMAIL_FROM") or f"Countersign <countersign@{host}>"
    if any(character in sender for character in "\r\n"):
        raise MailProblem("EMAIL_FROM must be one line, such as Countersign <countersign@example.com>")
    if url := environment.get("EMAIL_URL", ""):
        return _from_url(url, sender)
    starttls, tls = (environment.get(name, "") == "1" for name in ("EMAIL_USE_TLS", "EMAIL_USE_SSL"))
    if starttls and tls:
        raise MailProblem(
            "EMAIL_USE_TLS and EMAIL_USE_SSL exclude each other; 587 takes the first, 465 the second"
        )
    port = environment.get("EMAIL_PORT", "")
    if port and not port.isdigit():
        raise MailProblem("EMAIL_PORT must be a number")
    return Mail(
        host=environment.get("EMAIL_HOST", ""),
        port=int(port or (465 if tls else 587 if starttls else 25)),
        user=environment.get("EMAIL_HOST_USER", ""),
        password=environment.get("EMAIL_HOST_PASSWORD", ""),
        starttls=starttls,
        tls=tls,
        sender=sender,
    )


def _from_url(url: str, sender: str) -> Mail:
    try:
        parts = urlsplit(url)
        host, port = parts.hostname or "", parts.port
    except ValueError:
        host, port = "", None
    if not host or parts.scheme not in _PORTS:
        raise MailProblem("EMAIL_URL must look like smtp://user:password@mail.example.com:587")
    user, password = unquote(parts.username or ""), unquote(parts.password or "")
    if parts.scheme == "smtp+plain" and password:
        raise MailProblem("EMAIL_URL would send a password unencrypted; use smtp:// or smtps://")
    return Mail(
        host=host,
        port=port or _PORTS[parts.scheme],
        user=user,
        password=password,
        starttls=parts.scheme == "smtp",
        tls=parts.scheme == "smtps",
        sender=sender,
    )
