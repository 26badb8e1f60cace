"""What is typed about earned autonomy. Shares are typed in percent, as people say them, and stored as fractions."""

from decimal import Decimal
from typing import Any

from django import forms

from agents.autonomy import LADDER, Tier, rank
from agents.models import Mandate
from agents.standing_words import from_costs
from agents.tier_model import Thresholds
from approvals.threshold_words import defaults_of, name_of

MOST_REASON = 300


class ReasonForm(forms.Form):
    """Every change says why. `values` is what a preview was made of: all but the reason."""

    reason = forms.CharField(
        max_length=MOST_REASON, help_text="Why. It stays in the tier history and the audit log."
    )

    def values(self) -> dict[str, object]:
        return {name: value for name, value in self.cleaned_data.items() if name != "reason"}


class TierForm(ReasonForm):
    """Down by hand, to any lower tier."""

    tier = forms.ChoiceField(label="Lower it to")
    field_order = ("tier", "reason")

    def __init__(self, data: Any = None, *, tiers: list[Tier]) -> None:
        super().__init__(data)
        _choices(self.fields["tier"], tiers)


class CeilingForm(ReasonForm):
    """The highest tier it may earn; more than now is offered to admins alone."""

    ceiling = forms.ChoiceField(help_text="The highest tier it may earn. Only admins can raise it.")
    field_order = ("ceiling", "reason")

    def __init__(self, data: Any = None, *, mandate: Mandate, is_admin: bool) -> None:
        super().__init__(data, initial={"ceiling": mandate.ceiling})
        highest = Tier.OUT_OF_THE_LOOP if is_admin else Tier(mandate.ceiling)
        _choices(
            self.fields["ceiling"],
            [tier for tier in LADDER if rank(mandate.tier) <= rank(tier) <= rank(highest)],
        )


class AutomaticForm(ReasonForm):
    """Whether to ask the owner once more; the choice is the one that is not made now."""

    automatic = forms.TypedChoiceField(
        label="A tier that was earned",
        coerce=lambda value: value == "yes",
        choices=[("no", "waits until I confirm it"), ("yes", "is carried out at once")],
    )
    field_order = ("automatic", "reason")

    def __init__(self, data: Any = None, *, mandate: Mandate) -> None:
        super().__init__(data, initial={"automatic": "yes" if mandate.automatic else "no"})


class EarningForm(ReasonForm):
    """The owner's half of two signatures."""


class AnswerForm(forms.Form):
    """An admin's answer to a request for a signature."""

    answer = forms.CharField(
        max_length=MOST_REASON,
        label="Your reason",
        help_text="The owner reads it, and it stays in the audit log.",
    )


def _percent(low: str, high: str, **extra: Any) -> forms.DecimalField:
    return forms.DecimalField(
        min_value=Decimal(low), max_value=Decimal(high), max_digits=9, decimal_places=4, **extra
    )


class ThresholdsForm(ReasonForm):
    """Every threshold of the model, and the arithmetic that gives the tolerated error rate."""

    on_p0 = _percent("60", "99.99", help_text="In percent. More errors than that are not tolerated.")
    out_p0 = _percent("60", "99.99", help_text="In percent; at least as much as on the loop.")
    alpha = _percent("0.01", "20", help_text="In percent, over all attempts and all time.")
    critical_q0 = _percent("0.001", "10", help_text="In percent. Asked for where an error can be critical.")
    cool_down_days = forms.DecimalField(
        min_value=0, max_value=365, help_text="Days in a tier before the next."
    )
    exposure_days = forms.DecimalField(
        min_value=0, max_value=365, help_text="Days between the first and the last review."
    )
    reviewers = forms.IntegerField(min_value=1, max_value=5, help_text="People who reviewed it, at least.")
    maturity_hours = forms.DecimalField(
        min_value=0, max_value=2160, help_text="Hours in which a failure may still turn up."
    )
    completion = _percent("50", "100", help_text="In percent. An audit not done in time counts as an error.")
    audit_on = _percent("1", "100", help_text="In percent of what runs on the loop.")
    early_on = _percent("1", "100", help_text="In percent, at the beginning on the loop.")
    audit_out = _percent("1", "100", help_text="In percent of what runs out of the loop.")
    early_out = _percent("1", "100", help_text="In percent, at the beginning out of the loop.")
    early_audits = forms.IntegerField(
        min_value=0, max_value=100_000, help_text="Audits until the beginning is over."
    )
    probe_in = _percent("0", "50", help_text="In percent of the proposals that wait for people.")
    probe_audit = _percent("0", "50", help_text="In percent of the audits.")
    second = _percent("0", "100", help_text="In percent of the approvals: somebody else judges again, blind.")
    alarm_on = forms.DecimalField(
        min_value=100, max_value=100_000, help_text="On average, before a good agent is demoted on the loop."
    )
    alarm_out = forms.DecimalField(min_value=100, max_value=100_000, help_text="The same, out of the loop.")

    GROUPS = (
        ("What it has to show", ("on_p0", "out_p0", "alpha", "critical_q0")),
        (
            "For how long, and to whom",
            ("cool_down_days", "exposure_days", "reviewers", "maturity_hours", "completion"),
        ),
        (
            "How much is looked at afterwards",
            ("audit_on", "early_on", "audit_out", "early_out", "early_audits"),
        ),
        ("How the reviewers are measured", ("probe_in", "probe_audit", "second")),
        ("When its tier is taken back", ("alarm_on", "alarm_out")),
    )

    def __init__(self, data: Any = None, *, mandate: Mandate, now: Thresholds) -> None:
        self.mandate = mandate
        defaults = defaults_of(mandate).as_json()
        super().__init__(data, initial={name: _typed(name, value) for name, value in now.as_json().items()})
        for name in defaults:
            field = self.fields[name]
            field.label = name_of(name)
            field.help_text = f"{field.help_text} Default: {_typed(name, defaults[name])}."

    def groups(self) -> list[tuple[str, list[forms.BoundField]]]:
        return [(title, [self[name] for name in names]) for title, names in self.GROUPS]

    def thresholds(self) -> dict[str, object]:
        """As the model takes them; call it when the fields are valid."""
        return {name: _stored(name, self.cleaned_data[name]) for _, names in self.GROUPS for name in names}

    def clean(self) -> dict[str, Any]:
        values = super().clean() or self.cleaned_data
        if set(self.errors) - {"reason"}:
            return values
        if values["out_p0"] < values["on_p0"]:
            self.add_error("out_p0", "More autonomy needs no less accuracy than on the loop.")
        for later, early in (("audit_on", "early_on"), ("audit_out", "early_out")):
            if values[early] < values[later]:
                self.add_error(early, "The first audits are no rarer than later ones.")
        if not set(self.errors) - {"reason"}:
            try:
                Thresholds.of(self.thresholds(), risk=self.mandate.action_type.risk)
            except ValueError as error:
                name, _, message = str(error).partition(": ")
                self.add_error(name if name in self.fields else None, f"{message[:1].upper()}{message[1:]}.")
        return values


class CostsForm(forms.Form):
    """What a review costs and what an error costs; the tolerated error rate is the one divided by the other."""

    review_cost = forms.DecimalField(
        min_value=Decimal("0.0001"),
        max_digits=14,
        decimal_places=4,
        help_text="Of one person looking at one action, in any currency.",
    )
    error_cost = forms.DecimalField(
        min_value=Decimal("0.0001"),
        max_digits=14,
        decimal_places=4,
        help_text="Of one wrong action that runs, in the same currency.",
    )

    def q0(self) -> float:
        """The tolerated error rate; call it when the form is valid."""
        return from_costs(float(self.cleaned_data["review_cost"]), float(self.cleaned_data["error_cost"]))


_IN_PERCENT = frozenset(
    {
        *("on_p0", "out_p0", "alpha", "critical_q0", "completion", "audit_on", "early_on", "audit_out"),
        *("early_out", "probe_in", "probe_audit", "second"),
    }
)
_WHOLE = frozenset({"reviewers", "early_audits"})


def _typed(name: str, value: float) -> str:
    """As it stands in its field."""
    shown = Decimal(str(value)) * 100 if name in _IN_PERCENT else Decimal(str(value))
    return f"{shown.normalize():f}"


def _stored(name: str, value: Decimal | int) -> float:
    if name in _WHOLE:
        return int(value)
    return float(Decimal(value) / 100) if name in _IN_PERCENT else float(value)


def _choices(field: forms.Field, tiers: list[Tier]) -> None:
    assert isinstance(field, forms.ChoiceField)
    field.choices = [(tier.value, tier.label) for tier in tiers]
