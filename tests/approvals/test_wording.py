"""Words of an agent in e-mails and chat messages: all of it visible, nothing of it live."""

import re
import unicodedata

import pytest
from hypothesis import given
from hypothesis import strategies as st

from approvals.wording import for_chat, plain

_PARTS = st.sampled_from(
    [
        "https://evil.example/pay",
        "http:\\\\evil.example",
        "www.evil.example",
        "evil.example",
        "bank.com@evil.io",
        "javascript:alert(1)",
        "[text](",
        "](x)",
        "![i](https://e.io/p.png)",
        "<!channel>",
        "<https://e.io|click>",
        "@everyone",
        "||hidden||",
        "\r\nBcc: x@y.example\r\n",
        "\u202e",
        "\u200b",
        "\u2028",
        "\x1b[2J",
        "раypal.com",
        " ",
        "\n\n\n\n\n",
    ]
)
_texts = st.lists(_PARTS | st.text(max_size=8), max_size=8).map("".join)


@given(_texts)
def test_plain_is_one_line_that_hides_nothing_and_links_nowhere(text: str) -> None:
    found = plain(text)
    assert not re.search(r"(?i)\b(https?|ftp|javascript):|www\.|[a-z0-9]\.[a-z]{2,}", found)
    for character in found:
        assert unicodedata.category(character) not in ("Cc", "Cf", "Zl", "Zp"), hex(ord(character))


@given(_texts)
def test_chat_programs_find_no_markup(text: str) -> None:
    found = for_chat(text)
    assert "](" not in found
    assert not set("<>@`*~|") & set(found)


@pytest.mark.parametrize(
    ("text", "expected"),
    [
        ("Refund 42.50 EUR for order A-7", "Refund 42.50 EUR for order A-7"),
        ("12.5.2026 at 8:30, v1.2.3", "12.5.2026 at 8:30, v1.2.3"),
        ("a\r\nBcc: x", "a Bcc: x"),
        ("see evil.example", "see evil[.]example"),
        ("profile: x, data: 5, mailto:a@b.example", "profile: x, data: 5, mailto[:]a@b[.]example"),
        ("×https://1.2.3.4/", "×https[:]//1.2.3.4/"),
        ("pay\u200bpal", "pay[U+200B]pal"),
        ("x\n\n\n\n\n\ny", "x [5 blank lines] y"),
        ("Müller & Söhne: 50 %", "Müller & Söhne: 50 %"),
    ],
)
def test_plain_reads_as_people_write(text: str, expected: str) -> None:
    assert plain(text) == expected
