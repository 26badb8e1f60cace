"""Codes that people type: those of an authenticator app (RFC 6238) and recovery codes. Needs an open transaction."""

import hmac
import re

from allauth.mfa.models import Authenticator
from allauth.mfa.recovery_codes.internal.auth import RecoveryCodes
from allauth.mfa.totp.internal import auth as totp

from accounts.models import User

_NOT_DIGITS = re.compile(r"[\s-]+")
GROUP = 4


def used(person: User, typed: str) -> Authenticator | None:
    """The authenticator whose code this is, which from now on is used up; None where it is nobody's or was used."""
    code = digits(typed)
    rows = Authenticator.objects.select_for_update().filter(user_id=person.pk).order_by("pk")
    for row in rows.filter(type=Authenticator.Type.TOTP):
        counter = counter_of(totp.decrypt(row.data["secret"]), code)
        if counter is not None and counter > int(row.data.get("counter", -1)):
            row.data["counter"] = counter
            row.save(update_fields=["data"])
            return row
    for row in rows.filter(type=Authenticator.Type.RECOVERY_CODES):
        if RecoveryCodes(row).validate_code(code):
            return Authenticator.objects.get(pk=row.pk)
    return None


def digits(typed: str) -> str:
    """A code as it was meant: people type it in groups."""
    return _NOT_DIGITS.sub("", typed)[:40]


def counter_of(secret: str, code: str) -> int | None:
    """Which thirty seconds this code is of, among the present ones and those beside them: clocks differ a little."""
    for counter in totp.yield_hotp_counters_from_time():
        expected = totp.format_hotp_value(totp.hotp_value(secret, counter))
        if hmac.compare_digest(expected.encode(), code.encode()):
            return int(counter)
    return None


def unused(row: Authenticator) -> list[str]:
    """The recovery codes that are left, in groups that a person can copy."""
    return [in_groups(code) for code in RecoveryCodes(row).get_unused_codes()]


def in_groups(code: str) -> str:
    return "-".join(code[place : place + GROUP] for place in range(0, len(code), GROUP))
