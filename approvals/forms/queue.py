"""What is typed about a queue: its particulars, times, chain, pace and the reasons it offers."""

from typing import Any

from django import forms
from django.contrib.auth.models import Group
from django.forms import formset_factory

from accounts.models import Calendar
from agents.models import Risk
from approvals import pacing
from approvals.models import Queue
from approvals.services import set_up
from approvals.services.set_up import PRIORITIES, QueueDefinition

MAX_REASONS = 40
MAX_STEPS = 12


class ReasonForm(forms.Form):
    """One reason offered to reviewers; a row left empty is no reason."""

    code = forms.SlugField(required=False, max_length=60)
    label = forms.CharField(required=False, max_length=120)
    not_agents_fault = forms.BooleanField(required=False, label="Not the agent's fault")

    def clean(self) -> dict[str, Any]:
        values = super().clean() or self.cleaned_data
        if bool(values.get("code")) != bool(values.get("label")):
            self.add_error(
                "code" if not values.get("code") else "label",
                "A reason needs a code and a label; or neither.",
            )
        return values


ReasonFormSet = formset_factory(ReasonForm, extra=3, max_num=MAX_REASONS, validate_max=True)


def reasons_in(formset: Any) -> list[dict[str, Any]]:
    """The reasons of a valid formset in the form in which queues keep them."""
    found = []
    for form in formset.forms:
        values = form.cleaned_data
        if values.get("code"):
            reason: dict[str, Any] = {"code": values["code"], "label": values["label"]}
            found.append(reason | ({"not_agents_fault": True} if values["not_agents_fault"] else {}))
    return found


class StepForm(forms.Form):
    """One step of the chain; a row left empty is no step. `to` is queue:<slug> or team:<name>."""

    after = forms.IntegerField(required=False, min_value=1, label="After, in minutes")
    to = forms.ChoiceField(required=False, label="Hand on to a queue, or tell a team")

    def __init__(self, *args: Any, targets: list[Any], **extra: Any) -> None:
        super().__init__(*args, **extra)
        field = self.fields["to"]
        assert isinstance(field, forms.ChoiceField)
        field.choices = [("", "Nobody"), *targets, *self._vanished(targets)]

    def _vanished(self, targets: list[Any]) -> list[tuple[str, str]]:
        """A target that is gone stays visible, so that saving the page is refused instead of dropping a step."""
        to = str(self.data.get(self.add_prefix("to")) if self.is_bound else self.initial.get("to", ""))
        kind, _, name = to.partition(":")
        there = any(to == value for _, group in targets for value, _ in group)
        return [] if there or kind not in ("queue", "team") else [(to, f"{name} (does not exist)")]

    def clean(self) -> dict[str, Any]:
        values = super().clean() or self.cleaned_data
        if not self.errors and bool(values.get("after")) != bool(values.get("to")):
            self.add_error("to" if not values.get("to") else "after", "A step needs minutes and somebody.")
        return values


def targets() -> list[Any]:
    """Everything a step can lead to, read once for all rows."""
    return [
        (
            "Hand on to the queue",
            [(f"queue:{one.slug}", one.name) for one in Queue.objects.order_by("name")],
        ),
        ("Tell the team", [(f"team:{one.name}", one.name) for one in Group.objects.order_by("name")]),
    ]


StepFormSet = formset_factory(StepForm, extra=2, max_num=MAX_STEPS, validate_max=True)


def steps_in(formset: Any) -> list[dict[str, Any]]:
    """The chain of a valid formset in the form in which queues keep it, earliest first."""
    found = []
    for form in formset.forms:
        values = form.cleaned_data
        if values.get("to"):
            kind, _, name = str(values["to"]).partition(":")
            found.append({"after": values["after"], kind: name})
    return sorted(found, key=lambda step: int(step["after"]))


def steps_as_typed(chain: list[dict[str, Any]]) -> list[dict[str, Any]]:
    """A stored chain as the rows of the formset."""
    return [
        {
            "after": step["after"],
            "to": f"queue:{step['queue']}" if "queue" in step else f"team:{step['team']}",
        }
        for step in chain
    ]


def _minutes(least: int = 1, **extra: Any) -> forms.IntegerField:
    return forms.IntegerField(min_value=least, max_value=90 * 1440, **extra)


def _seconds(label: str, **extra: Any) -> forms.IntegerField:
    return forms.IntegerField(
        min_value=0, max_value=pacing.LONGEST, required=False, label=f"{label} risk", **extra
    )


class QueueForm(forms.Form):
    """A queue. Its slug is named in policies and addresses, so it stays."""

    name = forms.CharField(max_length=120)
    slug = forms.SlugField(max_length=60, label="Short name", help_text="Named in policies, so it stays.")
    domain = forms.SlugField(max_length=60, help_text="The part of the business it belongs to.")
    quorum = forms.IntegerField(
        min_value=1, max_value=9, label="Approvals needed", help_text="A policy can ask for more."
    )
    lease_minutes = forms.IntegerField(
        min_value=1, label="A claim lasts, in minutes", help_text="Then colleagues may take it over."
    )
    undo_seconds = forms.IntegerField(
        min_value=0,
        max_value=120,
        label="A decision can be undone for, in seconds",
        help_text="The agent hears of it only afterwards. 0: at once, and nothing can be undone.",
    )

    calendar = forms.ModelChoiceField(
        queryset=Calendar.objects.none(),
        required=False,
        to_field_name="name",
        empty_label="By the clock, day and night",
        help_text="All minutes below pass only in its hours.",
    )
    due_minutes = _minutes(
        label="Due within, in minutes", help_text="For priority normal and for those left empty."
    )
    due_urgent = _minutes(
        required=False, label="Due when urgent", help_text="In minutes, like the two beside it."
    )
    due_high = _minutes(required=False, label="Due when high", help_text="Between urgent and normal.")
    due_low = _minutes(required=False, label="Due when low", help_text="What may wait longest.")
    remind_minutes = _minutes(
        0,
        label="Remind, in minutes before it is due",
        help_text="Who holds it, or else all who may decide it. 0: no such reminder; when it is overdue all are told.",
    )
    expires_minutes = _minutes(
        label="Expires after, in minutes", help_text="Unanswered never means approved."
    )

    view_low = _seconds(
        "Low", help_text="Seconds that a proposal is open before it can be approved. Empty: none."
    )
    view_medium = _seconds("Medium", help_text="Its reviewer is told how many seconds are missing.")
    view_high = _seconds("High", help_text="Added to the time for reading, up to two minutes in all.")
    view_critical = _seconds("Critical", help_text="All of it must have been in view besides.")
    reading_rate = forms.IntegerField(
        min_value=0,
        max_value=1000,
        label="Reading, in characters a second",
        help_text="Adds time by length; people skim about 50 a second. 0: length does not count.",
    )
    approvals_per_minute = forms.IntegerField(
        min_value=0,
        max_value=120,
        label="Approvals a minute",
        help_text="The most that one reviewer may give in a minute. 0: no cap.",
    )
    bulk_amount = forms.DecimalField(
        required=False,
        min_value=0,
        max_digits=18,
        decimal_places=2,
        label="Several at once, up to",
        help_text="The largest amount that may be decided together with look-alikes, in the action's currency; "
        "never for high or critical risk. Empty: always one by one.",
    )

    needs_second_factor = forms.BooleanField(
        required=False,
        label="High risk: two factors",
        help_text="Its reviewers need a passkey or an authenticator app besides the password.",
    )
    allows_self_approval = forms.BooleanField(
        required=False,
        label="Owners may approve low risk",
        help_text="An agent's owner who reviews here may approve its actions of low risk. Each one says so in the log.",
    )

    BASICS = ("name", "slug", "domain", "quorum", "lease_minutes", "undo_seconds")
    TIMES = (
        "calendar",
        "due_minutes",
        "due_urgent",
        "due_high",
        "due_low",
        "remind_minutes",
        "expires_minutes",
    )
    WHO = ("needs_second_factor", "allows_self_approval")
    LOOKS = ("view_low", "view_medium", "view_high", "view_critical")
    PACE = ("reading_rate", "approvals_per_minute", "bulk_amount")

    def __init__(self, data: Any = None, *, existing: Queue | None = None) -> None:
        known = (
            set_up.queue_definition(existing) if existing else QueueDefinition(slug="", name="", domain="")
        )
        initial = {name: getattr(known, name) for name in QueueDefinition.__dataclass_fields__}
        initial |= {f"due_{name}": minutes for name, minutes in known.due_by_priority.items()}
        initial |= {f"view_{risk}": seconds for risk, seconds in known.view_seconds.items()}
        super().__init__(data, initial=initial)
        calendar = self.fields["calendar"]
        assert isinstance(calendar, forms.ModelChoiceField)
        calendar.queryset = Calendar.objects.order_by("name")
        self.existing = existing
        if existing:
            del self.fields["slug"]

    def section(self, names: tuple[str, ...]) -> list[Any]:
        return [self[name] for name in names if name in self.fields]

    @property
    def basics(self) -> list[Any]:
        return self.section(self.BASICS)

    @property
    def times(self) -> list[Any]:
        return self.section(self.TIMES)

    @property
    def who(self) -> list[Any]:
        return self.section(self.WHO)

    @property
    def looks(self) -> list[Any]:
        return self.section(self.LOOKS)

    @property
    def pace(self) -> list[Any]:
        return self.section(self.PACE)

    def clean_slug(self) -> str:
        slug = str(self.cleaned_data["slug"])
        if Queue.objects.filter(slug=slug).exists():
            raise forms.ValidationError("There is a queue of this short name already.")
        return slug

    def definition(self, reasons: list[dict[str, Any]], chain: list[dict[str, Any]]) -> QueueDefinition:
        values = self.cleaned_data
        plain = {name: values[name] for name in QueueDefinition.__dataclass_fields__ if name in values}
        due = {name: values.get(f"due_{name}") for name in PRIORITIES}
        seconds = {risk: values.get(f"view_{risk}") for risk in map(str, Risk)}
        more: dict[str, Any] = {
            "slug": self.existing.slug if self.existing else values.get("slug", ""),
            "calendar": values["calendar"].name if values["calendar"] else "",
            "due_by_priority": {name: minutes for name, minutes in due.items() if minutes},
            "view_seconds": {risk: number for risk, number in seconds.items() if number},
            "escalation": chain,
            "reason_codes": reasons,
        }
        return QueueDefinition(**{**plain, **more})

    def check(self, reasons: list[dict[str, Any]], chain: list[dict[str, Any]]) -> bool:
        """Whether the use case would take it; its faults are told at their fields, those of the chain above all."""
        for fault in set_up.queue_faults(self.definition(reasons, chain)):
            name, message = fault["field"], fault["message"]
            if name == "due_by_priority":
                name = f"due_{message.split()[0]}"
            if name in self.fields:
                self.add_error(name, f"It {message}.")
            else:
                self.add_error(None, f"{name.replace('_', ' ').capitalize()}: {message}.")
        return not self.errors
