"""The reference and the code name the same: every type of event and every problem code, and no other."""

import re

from approvals import outbox, problems
from tests.sdk.pages import ROOT

API = (ROOT / "docs" / "api.md").read_text(encoding="utf-8")
WEBHOOKS = (ROOT / "docs" / "webhooks.md").read_text(encoding="utf-8")
TYPE = re.compile(r"`((?:proposal|rollback|webhook)\.[a-z_]+)`")


def rows(text: str, heading: str) -> dict[str, list[str]]:
    """The table below a heading: its rows by what stands between backticks in the first column."""
    [section] = re.findall(rf"^## {heading}$(.*?)(?=^## |\Z)", text, re.DOTALL | re.MULTILINE)
    found = [
        [cell.strip() for cell in line.strip().strip("|").split("|")]
        for line in section.splitlines()
        if line[:1] == "|"
    ]
    return {cells[0].strip("`"): cells[1:] for cells in found if cells[0][:1] == "`"}


def test_every_problem_code_is_in_the_reference_as_it_is() -> None:
    said = rows(API, "Problem codes")
    assert said == {
        code: [str(one.status), one.meaning, one.remedy] for code, one in problems.PROBLEMS.items()
    }


def test_every_type_of_event_is_in_the_reference() -> None:
    """A proposal is never seen as `submitted`: the transaction that takes it in takes it on."""
    told = set(outbox.TYPES) - {"proposal.submitted"}
    assert set(rows(API, "Events")) == told


def test_the_webhooks_page_names_no_type_that_there_is_not() -> None:
    assert set(TYPE.findall(WEBHOOKS)) <= {*outbox.TYPES, outbox.TEST}
    assert outbox.TEST in WEBHOOKS and outbox.ROLLBACK_REQUESTED in WEBHOOKS
    assert "`proposal.<state>` for each state" in WEBHOOKS  # which are listed in docs/api.md
