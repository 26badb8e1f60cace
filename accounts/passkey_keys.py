"""What a registered passkey is: its id and its public key, as the log names them and as signatures are checked."""

import hashlib
from dataclasses import dataclass

from allauth.mfa.models import Authenticator
from fido2 import cbor
from fido2.utils import websafe_encode


@dataclass(frozen=True, slots=True)
class PublicKey:
    """`cose` are the bytes of the key (COSE, in the canonical order of CTAP2); `counter` what the passkey said at its
    registration."""

    credential: bytes
    cose: bytes
    counter: int


def of(row: Authenticator) -> PublicKey | None:
    """Of a row of type webauthn; None where what is kept holds no key."""
    data = row.wrap().authenticator_data
    if data.credential_data is None:
        return None
    key = cbor.encode(data.credential_data.public_key)
    return PublicKey(bytes(data.credential_data.credential_id), key, data.counter)


def facts_of(row: Authenticator) -> dict[str, str]:
    """What the events of a passkey name, so that whoever verifies the log knows whose key signed an approval
    (docs/audit.md)."""
    found = of(row)
    if found is None:
        return {}
    return {
        "credential": websafe_encode(found.credential),
        "key_sha256": hashlib.sha256(found.cose).hexdigest(),
    }
