"""docs/connect/verify-a-grant.md as it is printed: each of its ways takes a real grant, and refuses every other."""

import base64
import json
from collections.abc import Callable
from datetime import timedelta
from typing import Any

import pytest
import time_machine
from countersign import AlreadyRedeemed, Countersign
from django.conf import settings
from django.utils import timezone

from approvals.models import Proposal, Verdict
from approvals.services import rotate_key
from tests.factories import Desk
from tests.live import serving
from tests.sdk.pages import blocks, demo_desk

pytestmark = pytest.mark.django_db(transaction=True)
ARGUMENTS = {"refund_id": "rf_0123456789", "amount": 42.5, "reason": "The parcel turned up after all."}
Verify = Callable[..., Any]


def ways() -> dict[str, dict[str, Any]]:
    """What each part of the page defines, by its library."""
    library, carry_out, joserfc, pyjwt = blocks("verify-a-grant.md", "python")
    found = {}
    for name, source in (
        ("countersign", f"{library}\n{carry_out}"),
        ("joserfc", joserfc),
        ("pyjwt", pyjwt),
    ):
        found[name] = {"__name__": name}
        exec(source, found[name])
    return found


def approved(client: Countersign, the: Desk, arguments: dict[str, Any] = ARGUMENTS) -> str:
    """The token of a grant."""
    proposal = client.propose("reverse_refund", arguments)
    the.decide(Proposal.objects.get(pk=proposal.id), Verdict.APPROVE)
    decided = client.wait(proposal)
    assert decided.grant is not None
    return decided.grant.token


def altered(token: str, part: int, **change: Any) -> str:
    """The same with other members in its header or payload, under the old signature."""
    parts = token.split(".")
    document = json.loads(base64.urlsafe_b64decode(parts[part] + "=" * (-len(parts[part]) % 4))) | change
    parts[part] = base64.urlsafe_b64encode(json.dumps(document).encode()).rstrip(b"=").decode()
    return ".".join(parts)


def refuses(verify: Verify, *given: Any) -> bool:
    """By raising anything: what must not be is an answer."""
    try:
        verify(*given)
    except Exception:  # noqa: BLE001  each library has errors of its own
        return True
    return False


def test_every_way_takes_the_grant_and_nothing_else(monkeypatch: pytest.MonkeyPatch) -> None:
    the = demo_desk(monkeypatch)
    with serving() as url, Countersign(url, the.token) as client:
        token, keys, issuer = approved(client, the), client.keys(), settings.PUBLIC_URL
        rotate_key.rotate_key()
        later, newer = approved(client, the), client.keys()
        unsigned = altered(token, 0, alg="none").rsplit(".", 1)[0] + "."
        other = {"keys": [one for one in newer["keys"] if one not in keys["keys"]]}
        assert len(other["keys"]) == 1
        for name, defined in ways().items():
            verify = defined["verified"]
            for claims in (verify(token, ARGUMENTS, keys, issuer), verify(token, ARGUMENTS, newer, issuer)):
                told = claims.raw if name == "countersign" else claims
                assert (told["sub"], told["aud"]) == (the.agent.slug, "executor:reverse_refund")
            verify(later, ARGUMENTS, newer, issuer)
            wrong = {
                "arguments": (token, ARGUMENTS | {"amount": 4250}, keys, issuer),
                "more arguments": (token, ARGUMENTS | {"to": "me"}, keys, issuer),
                "issuer": (token, ARGUMENTS, keys, "https://evil.example"),
                "payload": (altered(token, 1, exp=9_999_999_999), ARGUMENTS, keys, issuer),
                "no signature": (unsigned, ARGUMENTS, keys, issuer),
                "another algorithm": (altered(token, 0, alg="HS256"), ARGUMENTS, keys, issuer),
                "a key of one's own": (token, ARGUMENTS, {"keys": []}, issuer),
                "another key": (altered(token, 0, kid=other["keys"][0]["kid"]), ARGUMENTS, newer, issuer),
                "a key not at hand": (later, ARGUMENTS, keys, issuer),
            }
            assert [what for what, given in wrong.items() if not refuses(verify, *given)] == [], name
            with time_machine.travel(timezone.now() + timedelta(minutes=10), tick=False):
                assert refuses(verify, token, ARGUMENTS, keys, issuer), name
            with time_machine.travel(timezone.now() - timedelta(minutes=10), tick=False):
                assert refuses(verify, token, ARGUMENTS, keys, issuer), name


def test_a_grant_for_another_executor_is_refused(monkeypatch: pytest.MonkeyPatch) -> None:
    the = demo_desk(monkeypatch)
    the.action_type.executor = "executor:somebody_else"
    the.action_type.save(update_fields=["executor"])
    with serving() as url, Countersign(url, the.token) as client:
        token, keys = approved(client, the), client.keys()
    for name, defined in ways().items():
        assert refuses(defined["verified"], token, ARGUMENTS, keys, settings.PUBLIC_URL), name


def test_it_is_carried_out_once(monkeypatch: pytest.MonkeyPatch) -> None:
    the = demo_desk(monkeypatch)
    carry_out, paid = ways()["countersign"]["carry_out"], []

    def act(**arguments: Any) -> str:
        paid.append(arguments)
        return "done"

    with serving() as url, Countersign(url, the.token) as client:
        given = (client, approved(client, the), ARGUMENTS, client.keys(), settings.PUBLIC_URL, act)
        assert carry_out(*given) == "done"
        with pytest.raises(AlreadyRedeemed):
            carry_out(*given)
    assert paid == [ARGUMENTS]
    assert Proposal.objects.get().state == "succeeded"
