"""What an agent's text really consists of (attacks A7 to A12, A17, A18)."""

import time

import pytest
from hypothesis import given
from hypothesis import strategies as st

from approvals.reading.untrusted import Run, findings, host_note, runs
from approvals.templatetags.untrusted import render


def chips(text: str) -> list[str]:
    return [piece.text for run in runs(text) for piece in run.pieces if piece.kind in ("char", "danger")]


def marked(text: str, mark: str) -> list[Run]:
    return [run for run in runs(text) if run.mark == mark]


@pytest.mark.parametrize(
    ("text", "expected"),
    [
        ("transfer to \u202egro.knab", ["U+202E"]),
        ("\u2066a\u2069", ["U+2066", "U+2069"]),
        ("pay\u200bpal and soft\u00adhyphen", ["U+200B", "U+00AD"]),
        ("x\ufe0f y\U000e0100", ["U+FE0F", "U+E0100"]),
        ("tag\U000e0041\U000e0042", ["U+E0041", "U+E0042"]),
        ("blank\u3164\u2800end", ["U+3164", "U+2800"]),
        ("no\u00a0break, line\u2028separator", ["U+00A0", "U+2028"]),
        ("\x1b[31mred\x1b[0m", ["U+001B", "U+001B"]),
        ("over\x08write\r", ["U+0008", "U+000D"]),
        ("private \ue000 use", ["U+E000"]),
        ("decomposed e\u0301", ["U+0301"]),
        ("kelvin \u212a", ["U+212A"]),
        ("a" + "\u0300" * 9, ["U+0300 ×7"]),
        ("many" + "\u200b" * 5000, ["U+200B ×5000"]),
        ("plain text, naïve café — “quoted” 5 €", []),
        ("Привет мир, 日本語カタカナ, שלום, मराठी", []),
    ],
)
def test_characters_without_a_look_of_their_own_become_chips(text: str, expected: list[str]) -> None:
    found = chips(text)
    if text.startswith("a\u0300"):
        assert found and all(chip.startswith("U+0300") for chip in found)
    else:
        assert found == expected


def test_composed_and_decomposed_letters_do_not_look_the_same() -> None:
    assert render("caf\u00e9") != render("cafe\u0301")
    assert "U+0301" in render("cafe\u0301")


@pytest.mark.parametrize(
    ("text", "note"),
    [
        ("раypal.com", "Cyrillic + Latin"),
        ("сосо", "Cyrillic letters that look Latin"),
        ("𝐩𝐚𝐲𝐩𝐚𝐥", "styled letters, not “paypal”"),
        ("ｐａｙｐａｌ", "styled letters, not “paypal”"),
        ("αpple", "Greek + Latin"),
    ],
)
def test_words_that_pass_for_others_are_flagged(text: str, note: str) -> None:
    assert [run.note for run in marked(text, "mixed")] == [note]
    assert findings(text).mixed == (text,)


@pytest.mark.parametrize("text", ["Straße", "日本のWebサイト", "Москва", "שלום", "naïve", "Ωμέγα"])
def test_words_of_one_script_are_not_flagged(text: str) -> None:
    assert marked(text, "mixed") == []


@pytest.mark.parametrize(
    ("address", "host"),
    [
        ("https://bank.com@evil.io/login", "evil.io"),
        ("https://bank.com:pw@evil.io:8443/", "evil.io:8443"),
        ("http:\\\\evil.io\\@bank.com", "evil.io"),
        ("https://evil.io#@bank.com", "evil.io"),
        ("https://evil.io?@bank.com", "evil.io"),
        ("www.evil.io/bank.com", "www.evil.io"),
    ],
)
def test_the_real_host_of_an_address_stands_out(address: str, host: str) -> None:
    assert findings(address).hosts == (host,)


def test_a_host_in_other_letters_shows_its_ascii_form() -> None:
    assert host_note("раypal.com") == "xn--ypal-43d9g.com"
    assert "аррӏе" in host_note("xn--80ak6aa92e.com")
    assert "not what stands before the @" in host_note("evil.io", disguised=True)


@pytest.mark.parametrize("text", ["javascript:alert(1)", "data:text/html,<b>", "JaVaScRiPt :x", "vbscript:x"])
def test_addresses_that_would_run_are_marked(text: str) -> None:
    assert len(marked(text, "scheme")) == 1


@pytest.mark.parametrize("blank", ["\n", "\r\n", " \n", "\u00a0\n", "\u200b\n", "\t\u3000\n"])
def test_long_runs_of_blank_lines_are_folded_visibly(blank: str) -> None:
    text = "harmless" + blank * 10_000 + "rm -rf /"
    folds = [piece for run in runs(text) for piece in run.pieces if piece.kind == "fold"]
    assert len(folds) == 1
    assert findings(text).folds == 1
    assert "blank lines folded here" in render(text)
    assert render(text).endswith("rm -rf /")
    assert "opened" in render(text, folds_open=True)


def test_a_few_blank_lines_stay_as_they_are() -> None:
    assert findings("one\n\n\ntwo").folds == 0
    assert render("one\n\n\ntwo") == "one\n\n\ntwo"


@given(st.text())
def test_nothing_is_dropped_and_nothing_becomes_markup(text: str) -> None:
    html = render(text)
    rest = str(html)
    for known in ("<span", "</span>"):
        rest = rest.replace(known, "")
    assert "<" not in rest
    assert "\u202e" not in html
    joined = "".join(piece.text for run in runs(text) for piece in run.pieces if piece.kind == "text")
    assert all(joined.count(letter) == text.count(letter) for letter in "abcXYZ019.<&")


@pytest.mark.parametrize(
    "text",
    [
        "a" * 250_000,
        "\u00a0" * 120_000,
        " " * 250_000,
        "a\n\n\n" * 60_000,
        "http://" + "a" * 250_000,
        "1.-_" * 60_000,
    ],
    ids=["letters", "blanks", "spaces", "lines", "address", "words"],
)
def test_hostile_lengths_take_linear_time(text: str) -> None:
    started = time.thread_time()
    runs(text)
    assert time.thread_time() - started < 5
