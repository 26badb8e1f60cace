"""A file of recorded behaviour, and the thresholds by which it is to be judged."""

from typing import Any

from django import forms

from agents.autonomy import Tier
from agents.backtest import TIERS
from agents.backtest_report import Options
from agents.tier_model import Thresholds
from approvals.services.backtest import MAX_BYTES

CEILINGS = [(tier, Tier(tier).label) for tier in reversed(TIERS)]
TOO_LARGE = "The file is larger than 10 MB: split it by agent."
_DEFAULTS = Thresholds()


def threshold(label: str, help_text: str = "") -> forms.FloatField:
    """A field for one of the model's thresholds; empty is what stands in force."""
    step = {"step": "any", "inputmode": "decimal"}
    return forms.FloatField(
        required=False, label=label, help_text=help_text, widget=forms.NumberInput(attrs=step)
    )


class UploadForm(forms.Form):
    """What is uploaded. The file is looked at for size and kind only; a worker reads it."""

    file = forms.FileField(
        label="File", help_text="One JSON object a line, as text, at most 10 MB.", allow_empty_file=False
    )
    ceiling = forms.ChoiceField(label="Highest tier", choices=CEILINGS)
    on_p0 = threshold("Accuracy for on the loop", f"Empty: {_DEFAULTS.on_p0:g}")
    out_p0 = threshold("Accuracy for out of the loop", f"Empty: {_DEFAULTS.out_p0:g}")
    alpha = threshold("Chance of a false promotion (α)", f"Empty: {_DEFAULTS.alpha:g}, for high risk 0.01")
    audit_on = threshold("Audits on the loop", f"Empty: {_DEFAULTS.audit_on:g}")
    audit_out = threshold("Audits out of the loop", f"Empty: {_DEFAULTS.audit_out:g}")
    catch_rate = forms.FloatField(
        label="Share of errors reviewers catch",
        initial=1,
        min_value=0,
        max_value=1,
        widget=forms.NumberInput(attrs={"step": "any", "inputmode": "decimal"}),
    )
    seeds = forms.IntegerField(
        label="Draws", initial=5, min_value=1, max_value=20, help_text="More of them, and ranges say more."
    )
    no_times = forms.BooleanField(
        required=False, label="Days count for nothing", help_text="Cool-down, exposure and maturity are 0."
    )

    def __init__(self, data: Any = None, files: Any = None, *, size: int = 0) -> None:
        """`size` of the whole request: of one that is too large the door cuts the rest off, and the file with it."""
        super().__init__(data, files)
        if size > MAX_BYTES:
            self.fields["file"].error_messages["required"] = TOO_LARGE

    def clean_file(self) -> Any:
        found = self.cleaned_data["file"]
        if found.size > MAX_BYTES:
            raise forms.ValidationError(TOO_LARGE)
        head = found.read(4)
        found.seek(0)
        if head.startswith((b"\x1f\x8b", b"PK", b"BZh", b"\xfd7zX", b"(\xb5/\xfd")) or b"\x00" in head:
            raise forms.ValidationError("This is not a text. Unpack it first: one JSON object a line.")
        return found

    def clean(self) -> dict[str, Any]:
        cleaned = super().clean() or {}
        if not self.errors:
            try:
                self.options()
            except ValueError as error:
                self._blame(str(error))
        return cleaned

    def _blame(self, words: str) -> None:
        """The model names the field at fault before the colon."""
        name, _, why = words.partition(": ")
        if name in self.fields:
            self.add_error(name, f"{why[:1].upper()}{why[1:]}.")
        else:
            self.add_error(None, f"{words}.")

    def options(self) -> Options:
        """What was chosen; call it when the form is valid. A lower audit rate takes that of the first ones along."""
        given = self.cleaned_data
        names = ("on_p0", "out_p0", "alpha", "audit_on", "audit_out")
        overrides = {name: given[name] for name in names if given.get(name) is not None}
        for often, early in (("audit_on", "early_on"), ("audit_out", "early_out")):
            if often in overrides:
                overrides[early] = max(overrides[often], getattr(_DEFAULTS, early))
        return Options(
            overrides=overrides,
            ceiling=given["ceiling"],
            catch_rate=given["catch_rate"],
            seeds=given["seeds"],
            no_times=given["no_times"],
        )
