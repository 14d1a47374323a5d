"""Write the generated pages of docs/reference from the code; with ``--check`` say which drifted.

python scripts/reference.py            write them anew
python scripts/reference.py --check    write nothing; exit status 1 and the names when one differs
"""

from __future__ import annotations

import argparse
import sys
from collections.abc import Callable, Mapping
from pathlib import Path

from pages import (
    commands,
    configuration,
    errors,
    faults,
    fields,
    http_api,
    metrics,
    profiles,
)

FOLDER = Path(__file__).parents[1] / "docs" / "reference"
NOTICE = "<!-- Written by scripts/reference.py from the code. Change the code, not this page. -->\n"

PAGES: Mapping[str, Callable[[], str]] = {
    "cli.md": commands.page,
    "configuration.md": configuration.page,
    "errors.md": errors.page,
    "faults.md": faults.page,
    "fields.md": fields.page,
    "http-api.md": http_api.page,
    "metrics.md": metrics.page,
    "profiles.md": profiles.page,
}


def main(arguments: list[str] | None = None, folder: Path = FOLDER) -> int:
    """Write or check the pages; return the exit status."""
    parser = argparse.ArgumentParser(description="Write docs/reference from the code.")
    parser.add_argument("--check", action="store_true", help="write nothing, name what drifted")
    check = parser.parse_args(arguments).check
    drifted = []
    for name, page in PAGES.items():
        path, text = folder / name, NOTICE + page().rstrip() + "\n"
        if path.exists() and path.read_text(encoding="utf-8") == text:
            continue
        drifted.append(name)
        if not check:
            path.write_text(text, encoding="utf-8")
    for name in drifted:
        print(f"docs/reference/{name} {'drifted' if check else 'written'}")
    if check and drifted:
        print("run: python scripts/reference.py")
    return 1 if check and drifted else 0


if __name__ == "__main__":
    sys.exit(main())
