"""Approvals of high risk are signed with a passkey over the digest of exactly what is approved. Steps and reading.

Who has a passkey signs; who has none may approve without where signing is offered, and nobody where it is required
(COUNTERSIGN_SIGNED_APPROVALS). Rejecting, returning and vetoing never ask for it: stopping must be quick. An assertion
counts once: its challenge is of one person, session, proposal, revision and digest, and goes with the decision."""

import hashlib
from collections.abc import Mapping
from dataclasses import dataclass
from datetime import datetime, timedelta
from typing import Any
from urllib.parse import urlsplit

from allauth.mfa.models import Authenticator
from django.conf import settings
from django.db.models import Max

from accounts import passkey_keys
from accounts.models import User
from accounts.passkey_keys import PublicKey
from agents.models import Risk
from approvals.exceptions import SignatureNeeded, SignatureRefused, SignatureStale
from approvals.models import Challenge, Proposal, Signature, Verdict
from audit.tlog import assertions, cose
from audit.tlog.assertions import Assertion, BadAssertion

VALID = timedelta(minutes=5)
"""From the question to the decision; the browser gives a person two minutes of it."""
RISKS = (Risk.HIGH, Risk.CRITICAL)
VERDICTS = (Verdict.APPROVE, Verdict.EDIT)
REQUIRED, OFFERED = "required", "offered"


@dataclass(frozen=True, slots=True)
class Answer:
    """What a page sends along with the ballot. `session` is the hash of the session in which it came."""

    nonce: bytes
    credential: bytes
    authenticator_data: bytes
    client_data: bytes
    signature: bytes
    session: str


@dataclass(frozen=True, slots=True)
class Passkey:
    """A person's passkey."""

    row: Authenticator
    public: PublicKey

    @property
    def credential(self) -> bytes:
        return self.public.credential

    @property
    def label(self) -> str:
        return str(self.row.data.get("name") or "")[:120]


def is_asked(proposal: Proposal, verdict: str) -> bool:
    """Whether this verdict on this proposal is one that a passkey signs. No query."""
    return verdict in VERDICTS and proposal.action_type.risk in RISKS


def origin(host: str = "") -> str:
    """The one address at which passkeys sign here, as browsers write it: the public one. Without https that may be a
    number, so that somebody who tries it out at localhost (`host`, as his request says it) signs there."""
    if not settings.IS_HTTPS and host.partition(":")[0] == "localhost":
        return f"http://{host}"
    parts = urlsplit(settings.PUBLIC_URL)
    usual = {"https": 443, "http": 80}.get(parts.scheme)
    port = "" if parts.port in (None, usual) else f":{parts.port}"
    return f"{parts.scheme}://{parts.hostname or ''}{port}"


def why_impossible(host: str = "") -> str:
    """Why no browser signs with a passkey at this installation's address; empty where it does."""
    try:
        assertions.host_of(origin(host))
    except BadAssertion:
        return (
            f"Passkeys sign at an https address with a name, or at localhost, and this one is {origin(host)}."
        )
    return ""


def passkeys(person: User, *, to_use: bool = False) -> list[Passkey]:
    """The passkeys he has registered, the oldest first. One query; `to_use` locks them, so that a counter is compared
    and moved on by one decision at a time."""
    rows = Authenticator.objects.filter(user=person, type=Authenticator.Type.WEBAUTHN).order_by("pk")
    if to_use:
        rows = rows.select_for_update(of=("self",), no_key=True)
    return [Passkey(row, key) for row in rows if (key := passkey_keys.of(row)) is not None]


def session_of(session_key: str | None) -> str:
    """By which a challenge knows the session that asked for it."""
    return hashlib.sha256((session_key or "").encode()).hexdigest()


def take(
    proposal: Proposal, person: User, answer: Answer | None, *, digest: str, at: datetime, host: str = ""
) -> Signature | None:
    """A step, under the proposal's lock: accept the signature of an approval, and use its challenge up.

    `host` is the one that the request was for. None where no signature is needed. Raises `SignatureNeeded`,
    `SignatureRefused`, `SignatureStale`."""
    keys = passkeys(person, to_use=answer is not None)
    if answer is None:
        _check_may_go_unsigned(bool(keys), host)
        return None
    _use_up(proposal, person, answer, digest, at)
    passkey = next((one for one in keys if one.credential == answer.credential), None)
    if passkey is None:
        raise SignatureRefused(
            "Nothing was decided: this passkey is not one of yours. Approve again with yours."
        )
    made = Assertion(
        credential=passkey.credential,
        key=passkey.public.cose,
        nonce=answer.nonce,
        origin=origin(host),
        authenticator_data=answer.authenticator_data,
        client_data=answer.client_data,
        signature=answer.signature,
    )
    try:
        assertions.check(made, digest)
    except BadAssertion as error:
        raise SignatureRefused(
            f"Nothing was decided: the passkey's signature does not hold. {error}"
        ) from error
    _check_counter(passkey, made.counter)
    passkey.row.last_used_at = at
    passkey.row.save(update_fields=["last_used_at"])
    return _stored(proposal, person, made, passkey.label, digest, at)


def _check_may_go_unsigned(has_passkey: bool, host: str) -> None:
    way = _way(has_passkey, host)
    if way.name == "sign":
        raise SignatureNeeded(
            "Nothing was decided: an approval of this risk is signed with your passkey. Approve it again on its page; "
            "that takes JavaScript. Rejecting and returning need no passkey."
        )
    if way.name == "refused":
        raise SignatureNeeded(f"Nothing was decided. {way.words}")


def _use_up(proposal: Proposal, person: User, answer: Answer, digest: str, at: datetime) -> None:
    """The challenge of this answer, taken away; two decisions cannot both find it."""
    asked = Challenge.objects.filter(nonce=answer.nonce, person=person, proposal=proposal)
    found = asked.first()
    if found is None or found.expires_at <= at:
        raise SignatureStale(
            "Nothing was decided: what your passkey signed was too old, or has been used. Approve it again."
        )
    if found.session != answer.session:
        raise SignatureRefused(
            "Nothing was decided: another session asked for this signature. Approve it again."
        )
    if found.digest != digest:
        raise SignatureStale(
            "Nothing was decided: what your passkey signed is not what would be approved. Read it again, then approve."
        )
    deleted, _ = asked.delete()
    if deleted != 1:
        raise SignatureStale("Nothing was decided: this signature has been used. Approve it again.")


def _check_counter(passkey: Passkey, counter: int) -> None:
    """WebAuthn §6.1.1: an authenticator that counts never says the same number twice; a copy of it would."""
    used = Signature.objects.filter(credential=passkey.credential).aggregate(most=Max("counter"))["most"]
    before = max(passkey.public.counter, used or 0)
    if (counter or before) and counter <= before:
        raise SignatureRefused(
            "Nothing was decided: your passkey counts its signatures, and this number was used before. There may be a "
            "copy of it. Remove it under your sign-in settings, register another one, and tell an admin."
        )


def _stored(
    proposal: Proposal, person: User, made: Assertion, label: str, digest: str, at: datetime
) -> Signature:
    return Signature.objects.create(
        proposal=proposal,
        person=person,
        revision=proposal.revision,
        digest=digest,
        nonce=made.nonce,
        credential=made.credential,
        key=made.key,
        label=label,
        origin=made.origin,
        authenticator_data=made.authenticator_data,
        client_data=made.client_data,
        signature=made.signature,
        counter=made.counter,
        signed_at=at,
    )


def check_is_registered(signature: Signature) -> None:
    """Before a held verdict counts: whoever has removed the passkey meanwhile does not want it to sign any more."""
    if bytes(signature.credential) not in {one.credential for one in passkeys(signature.person)}:
        raise SignatureRefused("Your decision was not recorded: the passkey that signed it has been removed.")


def named(proposal: Proposal, verdict: str, signature: Signature | None) -> dict[str, Any]:
    """What a vote's event says of it: the whole assertion, so that every export of the event proves it; null where an
    approval of high risk was not signed, nothing where none is asked for."""
    if signature is None:
        return {"signature": None} if is_asked(proposal, verdict) else {}
    return {"signature": {**signature.assertion.said(), "signed_at": signature.signed_at.isoformat()}}


@dataclass(frozen=True, slots=True)
class Way:
    """How a person approves here: `sign`, `unsigned` or `refused`; `words` say why not signed."""

    name: str
    words: str = ""


def way_of(person: User, proposal: Proposal, *, host: str) -> Way | None:
    """None where his approval of this proposal is not one that is signed; then no query."""
    return _way(bool(passkeys(person)), host) if is_asked(proposal, Verdict.APPROVE) else None


def _way(has_passkey: bool, host: str) -> Way:
    impossible = why_impossible(host)
    if has_passkey and not impossible:
        return Way("sign")
    remedy = (
        impossible or "Register a passkey in your sign-in settings; then your approval is signed with it."
    )
    if settings.SIGNED_APPROVALS == REQUIRED:
        return Way("refused", f"An approval of this risk has to be signed with a passkey. {remedy}")
    return Way("unsigned", f"Your approval will not be signed. {remedy}")


@dataclass(frozen=True, slots=True)
class Shown:
    """A signature as pages tell it, checked at this moment; `fault` says what does not hold. `assertion` is None where
    what is recorded cannot even be read."""

    who: str
    label: str
    at: datetime | None
    digest: str
    assertion: Assertion | None
    fault: str = ""

    @property
    def algorithm(self) -> str:
        try:
            return cose.algorithm(self.assertion.key) if self.assertion else ""
        except cose.BadKey:
            return ""


def shown(signature: Signature) -> Shown:
    """A stored signature. Pure but for the row: what it says is checked again, not believed."""
    return _checked(
        signature.assertion, signature.digest, str(signature.person), signature.label, signature.signed_at
    )


def shown_in(said: Mapping[str, Any], who: str, at: datetime) -> Shown | None:
    """The signature that a vote's event tells (`AuditEvent.data`), or None where it tells none."""
    told = (said.get("detail") or {}).get("signature")
    if not told:
        return None
    digest = str((said.get("after") or {}).get("digest", ""))
    try:
        return _checked(Assertion.read(told), digest, who, "", at)
    except BadAssertion as error:
        return Shown(who, "", at, digest, None, str(error))


def _checked(made: Assertion, digest: str, who: str, label: str, at: datetime) -> Shown:
    try:
        assertions.check(made, digest)
    except BadAssertion as error:
        return Shown(who, label, at, digest, made, str(error))
    return Shown(who, label, at, digest, made)
