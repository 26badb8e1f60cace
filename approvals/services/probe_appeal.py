"""A reviewer says that a probe was right to approve; an admin who did not make it answers."""

from django.db import transaction
from django.utils import timezone

from accounts.exceptions import Conflict, Invalid, NotAllowed, NotFound
from accounts.models import User
from approvals import judging, notifications, permissions, probe_records, probing, transitions
from approvals.models import ProbeServing, Vote
from approvals.notifications import Topic
from audit import recording
from audit.events import Kind, Target

MOST = 4000


def appeal(*, serving_id: int, reviewer: User, text: str) -> ProbeServing:
    """Only against what counts against oneself, and once for a serving, whoever of its voters it is.

    Raises `NotFound` for others' probes, `Conflict`, `Invalid`."""
    _check_words(text, "text", "Say why it was right to approve.")
    with transaction.atomic(durable=True):
        locked = ProbeServing.objects.select_for_update(of=("self",), no_key=True).filter(pk=serving_id)
        if not locked.exists():
            raise NotFound("There is no such probe in your record.")
        own = probe_records.own_serving(reviewer, serving_id)
        serving = own.serving
        if serving.appealed_at is not None:
            if serving.appealed_by_id == reviewer.pk:
                return serving
            raise Conflict("A colleague has appealed it already; the answer will count for you as well.")
        if own.caught is not False:
            raise Conflict("It does not count against you.")
        serving.appeal, serving.appealed_by, serving.appealed_at = text.strip(), reviewer, timezone.now()
        serving.save(update_fields=["appeal", "appealed_by", "appealed_at"])
        recording.record(
            actor=reviewer.actor(),
            kind=Kind.PROBE_APPEALED,
            target=Target("probe", str(serving.probe_id)),
            detail={"serving": serving.pk, "text": serving.appeal},
        )
        notifications.tell(
            set(probing.admins_but(serving.probe.author)) - {reviewer.pk},
            topic=Topic.PROBE,
            text=f"{reviewer} appeals a probe of “{serving.probe.action_type.label}”.",
            key=f"probe_appeal:{serving.pk}",
            link="/probes/appeals/",
        )
    return serving


def answer(*, serving_id: int, actor: User, upheld: bool, words: str, retire: bool = False) -> ProbeServing:
    """Upheld: the serving measures nobody any more, from the evidence to the record. `retire` ends the probe's use.

    Not by its author, nor by whoever voted on it. Raises `NotAllowed`, `NotFound`, `Conflict`, `Invalid`."""
    permissions.check_can_answer_appeals(actor)
    _check_words(words, "words", "Answer in words.")
    with transaction.atomic(durable=True):
        proposal_id = ProbeServing.objects.filter(pk=serving_id).values_list("proposal", flat=True).first()
        if proposal_id is None:
            raise NotFound("There is no such appeal.")
        judging.lock(proposal_id)
        transitions.locked(proposal_id)
        serving = (
            ProbeServing.objects.select_for_update(of=("self",), no_key=True)
            .select_related("probe__action_type", "appealed_by", "proposal")
            .get(pk=serving_id)
        )
        _check_may_answer(actor, serving)
        if serving.answered_at is not None:
            if serving.answered_by_id == actor.pk and serving.upheld == upheld:
                return serving
            raise Conflict("It has been answered already.")
        serving.upheld, serving.answer = upheld, words.strip()
        serving.answered_by, serving.answered_at = actor, timezone.now()
        serving.save(update_fields=["upheld", "answer", "answered_by", "answered_at"])
        if upheld:
            judging.unprobed(serving)
        if retire and serving.probe.active:
            serving.probe.active = False
            serving.probe.save(update_fields=["active"])
        recording.record(
            actor=actor.actor(),
            kind=Kind.PROBE_ANSWERED,
            target=Target("probe", str(serving.probe_id)),
            after={"upheld": upheld},
            detail={"serving": serving.pk, "words": serving.answer, "retired": retire},
        )
        _tell(serving)
    return serving


def _check_may_answer(actor: User, serving: ProbeServing) -> None:
    his = actor.is_admin or permissions.leads(actor, serving.proposal.queue if serving.proposal else None)
    if serving.appealed_at is None or not his:
        raise NotFound("There is no such appeal, or it is not for you to see.")
    if serving.probe.author_id == actor.pk:
        raise NotAllowed("You made this probe; another admin answers the appeal.")
    took_part = Vote.objects.filter(proposal=serving.proposal_id, reviewer=actor).exists()
    if took_part or actor.pk in (serving.appealed_by_id, serving.reviewer_id):
        raise NotAllowed("You have judged this probe yourself; another admin answers the appeal.")


def _check_words(text: str, field: str, ask: str) -> None:
    if not text.strip():
        raise Invalid(ask, errors=[{"field": field, "message": "must not be empty"}])
    if len(text) > MOST or "\x00" in text:
        message = f"must have at most {MOST} characters, and no NUL"
        raise Invalid("Write it shorter.", errors=[{"field": field, "message": message}])


def _tell(serving: ProbeServing) -> None:
    """Who appealed hears the answer; where it was upheld, everybody whom the probe counted for."""
    people = {serving.appealed_by_id}
    if serving.upheld:
        people |= set(Vote.objects.filter(proposal=serving.proposal_id).values_list("reviewer", flat=True))
    label = serving.probe.action_type.label
    said = "upheld: it counts for nobody" if serving.upheld else f"not upheld: {serving.answer}"
    notifications.tell(
        [pk for pk in people if pk is not None],
        topic=Topic.PROBE,
        text=f"The appeal against a probe of “{label}” was {said}",
        key=f"probe_answer:{serving.pk}",
        link=f"/probes/mine/#probe-{serving.pk}",
    )
