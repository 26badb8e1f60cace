"""The dark theme stands twice in tokens.css, for the device's wish and for the person's: both must say the same."""

import re
from pathlib import Path

TOKENS = (Path(__file__).resolve().parents[2] / "static" / "css" / "tokens.css").read_text()


def declarations(block: str) -> dict[str, str]:
    return dict(re.findall(r"(--[\w-]+|color-scheme):\s*([^;]+);", block))


def test_both_copies_of_the_dark_theme_agree_and_name_no_unknown_token() -> None:
    by_device = re.search(r':root:not\(\[data-theme="light"\]\) \{(.*?)\}', TOKENS, re.DOTALL)
    by_choice = re.search(r':root\[data-theme="dark"\] \{(.*?)\}', TOKENS, re.DOTALL)
    light = re.search(r":root \{\n(.*?)\n\}", TOKENS, re.DOTALL)
    assert by_device and by_choice and light
    assert declarations(by_device[1]) == declarations(by_choice[1])
    assert declarations(by_choice[1]).keys() <= declarations(light[1]).keys()
