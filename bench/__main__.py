"""`make bench`: every measurement, one after the other, since two at once would measure each other.

make bench              all of them
make bench ARGS=start   one, or several, by name
"""

import runpy
import sys
from pathlib import Path

_HELPERS = {"__init__", "__main__"}
_HERE = Path(__file__).resolve().parent


def measurements() -> list[str]:
    """The modules of this directory that can be run by themselves."""
    return sorted(
        path.stem
        for path in _HERE.glob("*.py")
        if path.stem not in _HELPERS and '__name__ == "__main__"' in path.read_text(encoding="utf-8")
    )


def main() -> None:
    chosen = sys.argv[1:] or measurements()
    if unknown := set(chosen) - set(measurements()):
        sys.exit(f"There is no bench/{sorted(unknown)[0]}.py; there are: {', '.join(measurements())}")
    for name in chosen:
        print(f"\n── bench/{name}.py ──", flush=True)
        sys.argv = [name]
        try:
            runpy.run_module(f"bench.{name}", run_name="__main__")
        except SystemExit as end:
            if end.code:
                print(end.code if isinstance(end.code, str) else f"ended with {end.code}", flush=True)
                sys.exit(1)


if __name__ == "__main__":
    main()
