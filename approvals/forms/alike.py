"""What a reviewer sends about several look-alikes: a choice per row, none of them made for him."""

import time
from collections.abc import Sequence
from dataclasses import dataclass
from datetime import UTC, datetime, timedelta
from typing import Any
from uuid import UUID

from django import forms
from django.core import signing
from django.http import QueryDict

from accounts.models import User
from approvals.alike_rows import Row
from approvals.ballots import Ballot
from approvals.models import Queue, Verdict
from approvals.services.decide_several import Choice

_SALT = "countersign.alike"
_REMEMBERED = timedelta(hours=12)
ROW = "row"


@dataclass(frozen=True, slots=True)
class Seen:
    """A row that this person was shown: which revision and version, when, and why it could not be approved there."""

    proposal_id: UUID
    revision: int
    version: int
    at: float
    alone: str


def ticket(row: Row, person: User, *, at: float | None = None) -> str:
    """What was shown, signed: nobody can decide here what no page showed him, or pretend that it was offered."""
    shown = [str(row.proposal.pk), row.revision.number, row.proposal.version, at or time.time(), row.alone]
    return signing.dumps([person.pk, *shown], salt=_SALT, compress=True)


def seen(text: str, person: User) -> Seen | None:
    """What a ticket of this person says, or None where it is forged, old or another's."""
    try:
        who, pk, revision, version, at, alone = signing.loads(text, salt=_SALT, max_age=_REMEMBERED)
        return Seen(UUID(pk), revision, version, at, alone) if who == person.pk else None
    except (signing.BadSignature, ValueError, TypeError):
        return None


def tickets(data: QueryDict, person: User, *, most: int) -> dict[UUID, Seen]:
    """The rows that were sent, in their order, without those that nobody showed this person."""
    found = {}
    for text in data.getlist(ROW)[: 2 * most]:
        one = seen(text, person)
        if one is not None:
            found[one.proposal_id] = one
    return found


class RowForm(forms.Form):
    """One row: approve, reject or leave it (which is what stands there at first), and a reason of its own."""

    choice = forms.ChoiceField(required=False, initial="", widget=forms.RadioSelect)
    reason = forms.ChoiceField(required=False)

    def __init__(self, data: QueryDict | None, *, proposal_id: UUID, queue: Queue, may_approve: bool) -> None:
        super().__init__(data, prefix=f"r{proposal_id.hex}")
        choice, reason = self.fields["choice"], self.fields["reason"]
        assert isinstance(choice, forms.ChoiceField) and isinstance(reason, forms.ChoiceField)
        choice.choices = [
            *([("approve", "Approve")] if may_approve else []),
            ("reject", "Reject"),
            ("", "Leave"),
        ]
        choice.error_messages["invalid_choice"] = "It cannot be approved together with others."
        reason.choices = [("", "as below"), *queue.reasons]
        if not queue.reasons:
            del self.fields["reason"]


class SharedForm(forms.Form):
    """The reason and the words that go with every rejection which has none of its own."""

    reason = forms.ChoiceField(label="Reason for what is rejected", required=False)
    comment = forms.CharField(
        label="In your words",
        required=False,
        max_length=4000,
        help_text="Goes with every decision of this page; the agent reads it.",
        widget=forms.Textarea(attrs={"rows": 2}),
    )

    def __init__(self, data: QueryDict | None, *, queue: Queue) -> None:
        super().__init__(data, prefix="all")
        reason = self.fields["reason"]
        assert isinstance(reason, forms.ChoiceField)
        reason.choices = [("", "Choose a reason"), *queue.reasons]
        if not queue.reasons:
            del self.fields["reason"]


@dataclass(slots=True)
class AlikeForms:
    """The forms of one page together; each row is checked by itself."""

    queue: Queue
    shown: dict[UUID, Seen]
    rows: dict[UUID, RowForm]
    shared: SharedForm
    problem: str = ""

    @classmethod
    def sent(cls, data: QueryDict, *, queue: Queue, person: User, most: int) -> "AlikeForms":
        shown = tickets(data, person, most=most)
        rows = {
            pk: RowForm(data, proposal_id=pk, queue=queue, may_approve=not one.alone)
            for pk, one in shown.items()
        }
        return cls(queue, shown, rows, SharedForm(data, queue=queue))

    @classmethod
    def fresh(cls, rows: Sequence[Row], *, queue: Queue) -> "AlikeForms":
        forms_by_row = {
            row.proposal.pk: RowForm(
                None, proposal_id=row.proposal.pk, queue=queue, may_approve=not row.alone
            )
            for row in rows
        }
        return cls(queue, {}, forms_by_row, SharedForm(None, queue=queue))

    def choices(self) -> list[Choice] | None:
        """What was chosen, or None where something has to be put right first; the forms then say what."""
        valid = self.shared.is_valid()
        chosen: list[Choice] = []
        for pk, form in self.rows.items():
            if not form.is_valid():
                valid = False
                continue
            choice = self._choice(self.shown[pk], form)
            if choice is not None:
                chosen.append(choice)
            valid = valid and not form.errors
        if not self.shown:
            self.problem = "That page was too old, or not yours. Look at the rows again."
        elif valid and not chosen:
            self.problem = "Nothing is chosen yet. Choose for at least one row."
        return chosen if valid and chosen else None

    def _choice(self, shown: Seen, form: RowForm) -> Choice | None:
        verdict = form.cleaned_data["choice"]
        if not verdict:
            return None
        shared: dict[str, Any] = getattr(self.shared, "cleaned_data", {})
        reason = form.cleaned_data.get("reason") or shared.get("reason", "")
        comment = shared.get("comment", "")
        rejected = verdict == Verdict.REJECT
        if rejected and not reason and self.queue.reasons:
            form.add_error("choice", "Choose a reason here, or one for all below.")
            return None
        if rejected and not self.queue.reasons and not comment.strip():
            self.shared.add_error("comment", "Say why they are rejected.")
        ballot = Ballot(
            verdict=Verdict(verdict),
            revision=shown.revision,
            version=shown.version,
            reason=reason if rejected else "",
            comment=comment,
            opened_at=datetime.fromtimestamp(shown.at, UTC),
        )
        return Choice(proposal_id=shown.proposal_id, ballot=ballot, alone=shown.alone)
