"""What each case sends where an empty form would be refused before the question who may; and about which thing."""

from collections.abc import Callable
from typing import Any
from uuid import uuid4

from django.utils import timezone

from approvals.models import Proposal
from tests.access.asking import Sent
from tests.access.world import World
from tests.factories import ARGUMENTS

Make = Callable[[World], Sent]


def form(**data: Any) -> Make:
    return lambda world: Sent(data)


def seen(which: str = "pending", **more: Any) -> Make:
    """A vote's form: what its page showed."""

    def make(world: World) -> Sent:
        now = Proposal.objects.get(pk=getattr(world.here, which).pk)
        return Sent({"revision": now.revision, "version": now.version, "seen": "on", **more})

    return make


def json(**data: Any) -> Make:
    """From an agent; what is a function is asked for its value."""

    def make(world: World) -> Sent:
        body = {name: value(world) if callable(value) else value for name, value in data.items()}
        return Sent(body, json=True, headers={"Idempotency-Key": uuid4().hex})

    return make


def _kind(world: World) -> str:
    return world.here.the.action_type.name


def _digest(world: World) -> str:
    return Proposal.objects.get(pk=world.here.decided.pk).digest


def _item() -> dict[str, str]:
    return {"kind": "prompt", "trace_id": "t-1", "name": "chat", "started_at": timezone.now().isoformat()}


def _batch(world: World) -> list[dict[str, Any]]:
    return [{"key": uuid4().hex, "action_type": _kind(world), "arguments": ARGUMENTS}]


def _dispute(world: World) -> Sent:
    from agents.models import Evidence

    row = Evidence.judgements().filter(proposal_id=world.here.decided.pk).first()
    return Sent({"evidence": row.pk if row else 0, "claim": "wrong", "text": "It was wrong."})


def _incident(world: World) -> Sent:
    return Sent(
        {
            "title": "Refunded twice",
            "severity": "major",
            "description": "A customer wrote.",
            "proposals": str(world.here.decided.pk),
            "answers": world.here.the.agent.owner_id,
        }
    )


def _pull(world: World) -> Sent:
    return Sent({"what": f"agent:{world.here.the.agent.slug}", "reason": "Odd"})


def _registered(world: World) -> Sent:
    """Only admins are asked for the owner."""
    named = {"slug": f"new-{uuid4().hex[:6]}", "name": "New", "version": "1", "owner": world.boss.pk}
    return Sent(named)


def _answered(world: World) -> Sent:
    return Sent({f"answer-{world.signature.pk}-reason": "Seen", "sign": "1"})


def _appealed(world: World) -> Sent:
    return Sent({f"answer-{world.here.serving.pk}-words": "Right", "uphold": "1"})


def _whose(world: World) -> Sent:
    name = f"{world.here.word}-customer"
    return Sent({"subject_type": "customer", "subject_id": name, "typed": name, "reason": "Asked"})


SENT: dict[str, Make] = {
    "POST api/v1/activity": json(items=lambda world: [_item()]),
    "POST api/v1/proposals": json(action_type=_kind, arguments=ARGUMENTS),
    "POST api/v1/proposals/batch": json(items=_batch),
    "POST api/v1/import/agent-inbox": json(
        action_request=lambda world: {"action": _kind(world), "args": ARGUMENTS},
        config={"allow_accept": True, "allow_respond": True},
    ),
    "POST api/v1/import/humanlayer/function_calls": json(
        run_id="run-1",
        call_id=lambda world: uuid4().hex,
        spec=lambda world: {"fn": _kind(world), "kwargs": ARGUMENTS},
    ),
    "POST api/v1/proposals/<uuid:proposal_id>/redeem": json(digest=_digest),
    "POST api/v1/proposals/<uuid:proposal_id>/outcome": json(status="succeeded"),
    "POST api/v1/proposals/<uuid:proposal_id>/withdraw": json(),
    "POST api/v1/proposals/<uuid:proposal_id>/revise": json(arguments=ARGUMENTS),
    "POST v1/traces": lambda world: Sent({}, json=True),
    "POST monitor/<uuid:proposal_id>/veto/": seen("watched", reason="not_allowed"),
    "POST monitor/<uuid:proposal_id>/recall/": seen("decided", reason="Wrong"),
    "POST monitor/<uuid:proposal_id>/rollback/": seen("decided", reason="Wrong"),
    "POST monitor/<uuid:proposal_id>/pause/": form(reason="Odd"),
    "POST proposals/<uuid:proposal_id>/assign/": lambda world: Sent({"to": world.here.the.second.pk}),
    "POST proposals/<uuid:proposal_id>/escalate/": seen(note="Beyond me"),
    "POST agents/<slug:slug>/managers/add/": lambda world: Sent({"to": f"person-{world.here.the.second.pk}"}),
    "POST proposals/<uuid:proposal_id>/comment/": form(text="Look"),
    "POST proposals/<uuid:proposal_id>/approve/": seen(),
    "POST proposals/<uuid:proposal_id>/reject/": seen(reason="not_allowed"),
    "POST proposals/<uuid:proposal_id>/return/": seen(comment="Which?"),
    "POST proposals/<uuid:proposal_id>/veto/": seen("watched", reason="not_allowed"),
    "POST proposals/<uuid:proposal_id>/dispute/": _dispute,
    "POST incidents/report/": _incident,
    "POST incidents/<int:incident_id>/write/": form(root_cause="A", correction="B"),
    "POST stops/pull/": _pull,
    "POST stops/<int:stop_id>/lift/": form(reason="Mended"),
    "POST outcomes/<uuid:proposal_id>/settle/": form(status="succeeded", note="Statement"),
    "POST agents/-/register/": _registered,
    "POST agents/<slug:slug>/suspend/": form(reason="Odd"),
    "POST agents/<slug:slug>/resume/": form(reason="Fine"),
    "POST agents/<slug:slug>/retire/": form(reason="Over"),
    "POST agents/<slug:slug>/versions/answers/<int:signature_id>/": _answered,
    "POST setup/signatures/<int:signature_id>/sign/": form(answer="Seen"),
    "POST setup/signatures/<int:signature_id>/decline/": form(answer="No"),
    "POST audit/subjects/": _whose,
    "POST audit/subjects/erase/": _whose,
    "POST audit/holds/": _whose,
    "POST audit/holds/<int:hold_id>/lift/": form(reason="Settled"),
    "POST probes/appeals/<int:serving_id>/answer/": _appealed,
    "POST reviews/<int:review_id>/judge/": form(judgement="right", comment=""),
    "POST access/changes/<int:change_id>/decline/": form(answer="No"),
    "POST access/requests/<int:request_id>/approve/": form(answer="Yes"),
    "POST access/requests/<int:request_id>/decline/": form(answer="No"),
    "POST notifications/settings/chat/add/": form(label="Chat", address="mailto://x"),
}

ABOUT: dict[str, Callable[[World], dict[str, object]]] = {
    "monitor/<uuid:proposal_id>/veto/": lambda world: {"proposal_id": world.here.watched.pk},
    "monitor/<uuid:proposal_id>/recall/": lambda world: {"proposal_id": world.here.decided.pk},
    "monitor/<uuid:proposal_id>/rollback/": lambda world: {"proposal_id": world.here.decided.pk},
    "proposals/<uuid:proposal_id>/veto/": lambda world: {"proposal_id": world.here.watched.pk},
    "proposals/<uuid:proposal_id>/as-decided/": lambda world: {"proposal_id": world.here.decided.pk},
    "proposals/<uuid:proposal_id>/dispute/": lambda world: {"proposal_id": world.here.decided.pk},
    "api/v1/proposals/<uuid:proposal_id>/redeem": lambda world: {"proposal_id": world.here.decided.pk},
    "outcomes/<uuid:proposal_id>/settle/": lambda world: {"proposal_id": world.here.unknown.pk},
    "notifications/settings/test/<slug:way>/": lambda world: {"way": "email"},
}
"""Addresses about another thing than the pending proposal and the queue's own."""

SPELLED: dict[str, str] = {
    r"scim/v2/^": "/scim/v2/Nothing",
    r"tlog/\Atile/": "/tlog/tile/0/000",
    r"tlog/\Acheckpoints/": "/tlog/checkpoints/2026-01-01",
    r"tlog/\Atimestamps/": "/tlog/timestamps/1.tsr",
    r"tlog/\Acosignatures/": "/tlog/cosignatures/1",
    r"^account/(?:email": "/account/signup/",
    r"account/^confirm-email/": "/account/confirm-email/abc/",
    r"account/^password/reset/key/": "/account/password/reset/key/1-abc/",
    r"admin/^(?P<app_label>": "/admin/approvals/",
    r"admin/(?P<url>.*)$": "/admin/no-such-page",
}
"""Addresses written as regular expressions: how each begins, and one that it takes."""
