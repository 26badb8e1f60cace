"""Reviews of access: begun by an admin, answered by who answers for each right, ended by the clock.

Dropping ends the right at once, by the steps by which it would be taken anywhere. Whoever is late is reminded; what is
unanswered at the end stays or is dropped, as was chosen when it began, and the log says which."""

from collections.abc import Collection
from dataclasses import replace
from datetime import datetime, timedelta

from django.db import transaction
from django.utils import timezone

from accounts import assigning
from accounts import permissions as people
from accounts.exceptions import Conflict, DomainError, Invalid, NotAllowed, NotFound
from accounts.models import AccessReview, AccessReviewItem, RoleAssignment, User
from accounts.roles import Scope
from agents.models import Agent, Mandate
from agents.services import mandates
from approvals import access_reviews, notifications
from approvals.access_requests import exists, where_is
from approvals.notifications import Topic
from audit import recording
from audit.events import Actor, Kind, Target, system

Verdict = AccessReviewItem.Verdict
MOST_NOTE = 300
REMINDED = (timedelta(days=7), timedelta(days=3), timedelta(days=1))
"""So long before the end who has not answered is reminded."""
BY_CLOCK = system("access_reviews")


def begin(
    *, name: str, scope: Scope, scope_id: str, due_at: datetime, drops_unanswered: bool, actor: User
) -> AccessReview:
    """Ask of every live right there whether it is still needed. Who is asked hears of it."""
    with transaction.atomic(durable=True):
        people.check_is_admin(actor)
        name, now = " ".join(name.split()), timezone.now()
        if not name or len(name) > 120 or "\x00" in name:
            raise _invalid("name", "must have 1 to 120 characters")
        if due_at <= now:
            raise _invalid("due", "must be still to come")
        if not exists(scope, scope_id):
            raise _invalid("place", "is gone; choose again")
        review = AccessReview.objects.create(
            name=name,
            scope=scope,
            scope_id=scope_id,
            drops_unanswered=drops_unanswered,
            begun_by=actor,
            begun_at=now,
            due_at=due_at,
        )
        items = _items(review, now)
        if not items:
            raise Conflict("Nobody holds a role there, and no mandate there is unused. Nothing was begun.")
        AccessReviewItem.objects.bulk_create(items)
        _record(
            review,
            Kind.ACCESS_REVIEW_BEGUN,
            actor.actor(),
            covers=where_is(scope, scope_id),
            due_at=due_at.isoformat(),
            items=len(items),
            drops_unanswered=drops_unanswered,
        )
        _tell(review, {item.asked_id for item in items}, "begun")
    return review


def _items(review: AccessReview, now: datetime) -> list[AccessReviewItem]:
    covered = list(access_reviews.covered(Scope(review.scope), review.scope_id).order_by("pk"))
    askers = access_reviews.askers(covered)
    items = [
        AccessReviewItem(
            review=review,
            assignment=row,
            asked_id=askers.asked(row),
            unused_days=access_reviews.unused_days(row, now=now),
        )
        for row in covered
    ]
    for mandate in access_reviews.unused_mandates(Scope(review.scope), review.scope_id):
        owner = mandate.agent.owner
        asked = owner.pk if owner is not None and owner.is_active else next(iter(askers.admins), None)
        items.append(
            AccessReviewItem(
                review=review,
                mandate_id=mandate.pk,
                asked_id=asked,
                unused_days=access_reviews.UNUSED.days,
            )
        )
    return items


def keep(*, review_id: int, item_ids: Collection[int], actor: User, note: str = "") -> int:
    """Confirm these rights, all of them or none. Returns how many."""
    note = _checked(note)
    if not item_ids:
        raise Invalid("Mark what you keep.", errors=[{"field": "item", "message": "choose at least one"}])
    if len(item_ids) > access_reviews.PAGE:
        raise Invalid(f"At most {access_reviews.PAGE} at once: what one can see.")
    with transaction.atomic(durable=True):
        review = _running(review_id)
        items = _answerable(review, item_ids, actor)
        for item in items:
            if item.assignment_id is not None:
                assignment = _assignment(item.assignment_id)
                if not assignment.is_live:
                    raise Conflict(f"{assignment} has ended meanwhile. Look at the page again.")
                assignment.confirmed_at, assignment.confirmed_by = timezone.now(), actor
                assignment.save(update_fields=["confirmed_at", "confirmed_by"])
            _answer(item, review, Verdict.KEEP, note, by=actor)
    return len(items)


def drop(*, review_id: int, item_id: int, actor: User, note: str) -> AccessReviewItem:
    """End one right, at once, and say why."""
    note = _checked(note)
    if not note:
        raise _invalid("note", "must say why")
    with transaction.atomic(durable=True):
        review = _running(review_id)
        item = _answerable(review, [item_id], actor)[0]
        _end(item, review, by=actor, why=f"dropped in the review “{review.name}”: {note}")
        _answer(item, review, Verdict.DROP, note, by=actor)
    return item


def end_due(*, now: datetime, limit: int = 200) -> int:
    """End what is due: each unanswered right in a transaction of its own, then the review. Killed in between, the next
    run goes on; two at once share the rows. Returns how many rows and reviews were settled."""
    done = 0
    for review in AccessReview.objects.filter(ended_at=None, due_at__lte=now).order_by("due_at"):
        if review.drops_unanswered:
            waiting = review.items.filter(answered_at=None).order_by("pk")
            for item_id in list(waiting.values_list("pk", flat=True)[: limit - done]):
                done += _drop_unanswered(item_id)
        done += _finish(review.pk, now)
    return done


def remind(*, now: datetime) -> int:
    """Tell who is late, once at each of the three moments before the end."""
    told = 0
    for review in AccessReview.objects.filter(ended_at=None, due_at__gt=now):
        passed = [span for span in REMINDED if review.begun_at < review.due_at - span <= now]
        if passed:
            late = review.items.filter(answered_at=None, asked__isnull=False)
            with transaction.atomic(durable=True):
                told += _tell(review, set(late.values_list("asked", flat=True)), f"late:{passed[-1].days}")
    return told


def _drop_unanswered(item_id: int) -> int:
    with transaction.atomic(durable=True):
        item = (
            AccessReviewItem.objects.select_for_update(of=("self",), no_key=True, skip_locked=True)
            .select_related("review")
            .filter(pk=item_id, answered_at=None)
            .first()
        )
        if item is None:
            return 0
        review = item.review
        try:
            with transaction.atomic():
                _end(item, review, by=None, why=f"nobody confirmed it in the review “{review.name}”")
        except DomainError as error:
            _answer(item, review, Verdict.KEEP, error.detail, by=None)
        else:
            _answer(item, review, Verdict.DROP, "Nobody answered in time.", by=None)
    return 1


def _finish(review_id: int, now: datetime) -> int:
    with transaction.atomic(durable=True):
        review = (
            AccessReview.objects.select_for_update(of=("self",), no_key=True, skip_locked=True)
            .filter(pk=review_id, ended_at=None)
            .first()
        )
        if review is None:
            return 0
        waiting = list(review.items.filter(answered_at=None).order_by("pk").values_list("pk", flat=True))
        if review.drops_unanswered and waiting:
            return 0
        review.ended_at = now
        review.save(update_fields=["ended_at"])
        verdicts = {
            str(verdict): review.items.filter(verdict=verdict).count()
            for verdict in (Verdict.KEEP, Verdict.DROP)
        }
        _record(
            review,
            Kind.ACCESS_REVIEW_ENDED,
            BY_CLOCK,
            kept=verdicts["keep"],
            dropped=verdicts["drop"],
            unanswered=len(waiting),
            unanswered_items=waiting[:500],
            drops_unanswered=review.drops_unanswered,
        )
        _tell(review, {review.begun_by_id}, "ended")
    return 1


def _end(item: AccessReviewItem, review: AccessReview, *, by: User | None, why: str) -> None:
    """End what the item is about, where it has not ended by another way."""
    if item.assignment_id is not None:
        assignment = _assignment(item.assignment_id)
        if assignment.ended_at is None:
            assigning.taken(assignment, by=by, why=why)
        return
    assert item.mandate_id is not None
    agent_id = Mandate.objects.filter(pk=item.mandate_id).values_list("agent_id", flat=True).first()
    if agent_id is None:
        return
    agent = Agent.objects.select_for_update(of=("self",), no_key=True).get(pk=agent_id)
    mandate = Mandate.objects.select_related("action_type").get(pk=item.mandate_id)
    mandates.store(
        agent,
        mandate.action_type,
        replace(mandates.as_terms(mandate), active=False),
        actor=by.actor() if by is not None else BY_CLOCK,
        changed_by=by,
        reason=why[:MOST_NOTE],
    )


def _answer(
    item: AccessReviewItem, review: AccessReview, verdict: str, note: str, *, by: User | None
) -> None:
    item.verdict, item.note = verdict, note[:MOST_NOTE]
    item.answered_at, item.answered_by = timezone.now(), by
    item.save(update_fields=["verdict", "note", "answered_at", "answered_by"])
    about: dict[str, object] = {"mandate": item.mandate_id}
    if item.assignment is not None:
        about = assigning.facts(item.assignment)
    _record(
        review,
        Kind.ACCESS_REVIEW_ANSWERED,
        by.actor() if by is not None else BY_CLOCK,
        item=item.pk,
        verdict=str(verdict),
        note=note,
        unused_days=item.unused_days,
        about=about,
    )


def _running(review_id: int) -> AccessReview:
    """The review under a lock that answers share and its end does not."""
    review = AccessReview.objects.select_for_update(of=("self",), no_key=True).filter(pk=review_id).first()
    if review is None:
        raise NotFound("There is no such review, or it is not for you to see.")
    if review.ended_at is not None or review.due_at <= timezone.now():
        raise Conflict("The review is over; nothing was changed.")
    return review


def _answerable(review: AccessReview, item_ids: Collection[int], actor: User) -> list[AccessReviewItem]:
    """These items, locked in one order; all of them are his to answer."""
    wanted = set(item_ids)
    rows = AccessReviewItem.objects.select_for_update(of=("self",), no_key=True)
    found = list(
        rows.filter(review=review, pk__in=wanted)
        .select_related("assignment__person", "assignment__team")
        .order_by("pk")
    )
    if len(found) != len(wanted):
        raise NotFound("There is no such line in this review.")
    for item in found:
        if item.answered_at is not None:
            raise Conflict("One of them was answered meanwhile. Look at the page again.")
    mine = access_reviews.answerable_by(actor, AccessReviewItem.objects.filter(pk__in=wanted))
    if not actor.is_active or set(mine.values_list("pk", flat=True)) != wanted:
        raise NotAllowed("Somebody else is asked about this, or it is about yourself.")
    return found


def _assignment(assignment_id: int) -> RoleAssignment:
    rows = RoleAssignment.objects.select_for_update(of=("self",), no_key=True)
    return rows.select_related("person", "team").get(pk=assignment_id)


def _tell(review: AccessReview, asked: Collection[int | None], what: str) -> int:
    words = {
        "begun": f"You are asked who still needs access: {review.name}, until {review.due_at:%Y-%m-%d}.",
        "ended": f"The review {review.name} has ended.",
    }
    silence = "what nobody confirms is dropped" if review.drops_unanswered else "what nobody confirms stays"
    late = f"You have not answered all of {review.name}; on {review.due_at:%Y-%m-%d} {silence}."
    return notifications.tell(
        [pk for pk in asked if pk is not None],
        topic=Topic.ACCESS,
        text=words.get(what, late),
        key=f"access-review:{review.pk}:{what}",
        link=f"/access/reviews/{review.pk}/",
    )


def _checked(note: str) -> str:
    note = " ".join(note.split())
    if len(note) > MOST_NOTE or "\x00" in note:
        raise _invalid("note", f"must have at most {MOST_NOTE} characters")
    return note


def _invalid(name: str, message: str) -> Invalid:
    return Invalid("Nothing was changed.", errors=[{"field": name, "message": message}])


def _record(review: AccessReview, kind: Kind, actor: Actor, **detail: object) -> None:
    recording.record(
        actor=actor,
        kind=kind,
        target=Target("access_review", str(review.pk)),
        detail={"review": review.name, **detail},
    )
