"""Build static/icons/sprite.svg from an unpacked lucide-static package.

Run it by hand when an icon is added: `python scripts/icon_sprite.py path/to/lucide-static/icons`.
The sprite is committed, so neither a build nor a start of Countersign needs Node or the network.
"""

import re
import sys
from pathlib import Path

SPRITE = Path(__file__).resolve().parent.parent / "static" / "icons" / "sprite.svg"
ICONS = (
    "activity",
    "arrow-left",
    "arrow-right",
    "ban",
    "bot",
    "building-2",
    "calendar-clock",
    "check",
    "chevron-down",
    "chevron-right",
    "circle-alert",
    "circle-help",
    "circle-pause",
    "circle-play",
    "clock",
    "corner-down-left",
    "corner-up-left",
    "eye",
    "eye-off",
    "file-diff",
    "fingerprint",
    "hand",
    "history",
    "inbox",
    "key-round",
    "keyboard",
    "link",
    "list-checks",
    "lock",
    "log-out",
    "mail",
    "message-square-quote",
    "minus",
    "moon",
    "octagon-x",
    "pencil",
    "plus",
    "refresh-cw",
    "route",
    "scroll-text",
    "search",
    "settings-2",
    "shield-alert",
    "shield-check",
    "signature",
    "skip-forward",
    "stamp",
    "sun",
    "sun-moon",
    "timer",
    "timer-off",
    "trash-2",
    "triangle-alert",
    "undo-2",
    "user",
    "users",
    "x",
)


def build(folder: Path) -> str:
    """Return the sprite's text; raises FileNotFoundError when the package lacks a listed icon."""
    symbols = []
    for name in ICONS:
        source = (folder / f"{name}.svg").read_text(encoding="utf-8")
        match = re.search(r"<svg\b[^>]*>(.*)</svg>", source, re.DOTALL)
        if match is None:
            raise ValueError(f"{name}.svg holds no <svg> element")
        shapes = re.sub(r"\s+", " ", match.group(1)).strip()
        symbols.append(f'<symbol id="{name}" viewBox="0 0 24 24">{shapes}</symbol>')
    head = "<!-- Lucide icons 1.62.0, ISC licence (some shapes MIT, from Feather): see NOTICE.txt beside this file. -->"
    return f'<svg xmlns="http://www.w3.org/2000/svg">{head}\n' + "\n".join(symbols) + "\n</svg>\n"


if __name__ == "__main__":
    SPRITE.write_text(build(Path(sys.argv[1])), encoding="utf-8")
