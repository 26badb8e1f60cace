"""Other thresholds, other limits, one more rule: what a what-if asks for. Sent by GET, since nothing is stored."""

from decimal import Decimal
from typing import Any

from django import forms

from agents import standings
from agents.backtest import TIERS
from agents.models import Mandate
from agents.tier_model import Thresholds
from approvals.forms.backtest import CEILINGS, threshold
from approvals.services import what_if, what_if_limits
from approvals.services.what_if_limits import DAYS, LIMITS, RULE

_NAMES = ("on_p0", "out_p0", "alpha", "audit_on", "audit_out", "early_on", "early_out")
_EFFECTS: dict[str, dict[str, Any]] = {
    "review": {"review": {}},
    "deny": {"deny": "It is being tried out."},
    "cap": {"cap": "in_the_loop"},
}


class EvidenceForm(forms.Form):
    """The thresholds of the mandate, to be changed; what is left as it is stays in force."""

    part = forms.CharField(widget=forms.HiddenInput, initial="evidence")
    on_p0 = threshold("Accuracy for on the loop")
    out_p0 = threshold("Accuracy for out of the loop")
    alpha = threshold("Chance of a false promotion (α)")
    audit_on = threshold("Audits on the loop")
    early_on = threshold("… of the first ones")
    audit_out = threshold("Audits out of the loop")
    early_out = threshold("… of the first ones there")
    ceiling = forms.ChoiceField(label="Highest tier", choices=CEILINGS)

    def __init__(self, data: Any = None, *, mandate: Mandate) -> None:
        in_force = standings.thresholds_of(mandate, mandate.action_type)
        ceiling = mandate.ceiling if mandate.ceiling in TIERS[1:] else TIERS[-1]
        initial = {name: f"{getattr(in_force, name):g}" for name in _NAMES}
        super().__init__(data, initial={**initial, "ceiling": ceiling}, auto_id="id_evidence_%s")
        self.mandate = mandate

    def clean(self) -> dict[str, Any]:
        cleaned = super().clean() or {}
        if not self.errors:
            given = {**self.mandate.thresholds, **self._overrides(cleaned)}
            try:
                Thresholds.of(given, risk=self.mandate.action_type.risk)
            except ValueError as error:
                name, _, why = str(error).partition(": ")
                if name in self.fields:
                    self.add_error(name, f"{why[:1].upper()}{why[1:]}.")
                else:
                    self.add_error(None, f"{error}.")
        return cleaned

    @staticmethod
    def _overrides(cleaned: dict[str, Any]) -> dict[str, float]:
        return {name: cleaned[name] for name in _NAMES if cleaned.get(name) is not None}

    def asked(self) -> what_if.Asked:
        """Call it when the form is valid."""
        return what_if.Asked(self._overrides(self.cleaned_data), self.cleaned_data["ceiling"])


def _amount(label: str) -> forms.DecimalField:
    return forms.DecimalField(
        label=label, required=False, min_value=Decimal(0), max_digits=18, decimal_places=2
    )


def _count(label: str) -> forms.IntegerField:
    return forms.IntegerField(label=label, required=False, min_value=0, max_value=1_000_000)


class LimitsForm(forms.Form):
    """The limits of the mandate, to be changed, and one more rule."""

    part = forms.CharField(widget=forms.HiddenInput, initial="limits")
    max_amount = _amount("Amount per action")
    window_hours = forms.IntegerField(label="Window in hours", min_value=1, max_value=24 * 92)
    window_count = _count("Actions within it")
    window_amount = _amount("Sum within it")
    subject_count = _count("Actions about one subject")
    subject_amount = _amount("Sum about one subject")
    when = forms.CharField(
        label="A rule's condition",
        required=False,
        max_length=500,
        help_text="As in a policy, for instance amount > 500.0",
        widget=forms.TextInput(attrs={"spellcheck": "false", "autocomplete": "off"}),
    )
    effect = forms.ChoiceField(
        label="What the rule does",
        choices=[("review", "Sends to review"), ("cap", "Caps the tier at in the loop"), ("deny", "Denies")],
    )
    days = forms.TypedChoiceField(
        label="Looking back", coerce=int, choices=[(days, f"{days} days") for days in DAYS]
    )

    def __init__(self, data: Any = None, *, mandate: Mandate) -> None:
        initial = {name: getattr(mandate, name) for name in (*LIMITS, "window_hours")}
        super().__init__(
            data, initial={**initial, "effect": "review", "days": DAYS[0]}, auto_id="id_limits_%s"
        )

    def clean_when(self) -> str:
        when = str(self.cleaned_data["when"]).strip()
        if when:
            try:
                what_if_limits.compile_rule({"name": RULE, "when": when, "review": {}})
            except ValueError as error:
                words = str(error).removeprefix(f"rule {RULE!r}: ").removeprefix(f"rule {RULE!r} ")
                raise forms.ValidationError(f"{words[:1].upper()}{words[1:]}.") from error
        return when

    def asked(self) -> what_if_limits.Asked:
        """Call it when the form is valid."""
        given = self.cleaned_data
        rule = {"name": RULE, "when": given["when"], **_EFFECTS[given["effect"]]} if given["when"] else None
        return what_if_limits.Asked(
            limits={name: given[name] for name in LIMITS},
            window_hours=given["window_hours"],
            rule=rule,
            days=given["days"],
        )
