"""What a page sends of a passkey's signature, beside the ballot (static/js/sign.js)."""

import msgspec
from django.http import QueryDict

from accounts.exceptions import Invalid
from approvals.signing import Answer
from audit.tlog.assertions import BadAssertion, bytes_of


class _Posted(msgspec.Struct, forbid_unknown_fields=True):
    nonce: str
    credential: str
    authenticator_data: str
    client_data: str
    signature: str


LONGEST = 12_000
"""Characters: each part has its own, lower bound."""


def answer_of(data: QueryDict, *, session: str) -> Answer | None:
    """The signature that came with a decision, None where none did. Raises `Invalid` for what is none."""
    text = data.get("assertion", "")
    if not text:
        return None
    try:
        if len(text) > LONGEST:
            raise BadAssertion("The signature is too long.")
        said = msgspec.json.decode(text.encode(), type=_Posted)
        parts = {name: bytes_of(getattr(said, name), name) for name in said.__struct_fields__}
    except (msgspec.DecodeError, UnicodeEncodeError, BadAssertion) as error:
        raise Invalid(
            "Nothing was decided: the passkey's signature could not be read. Approve again.",
            errors=[{"field": "assertion", "message": str(error)}],
        ) from error
    return Answer(session=session, **parts)
