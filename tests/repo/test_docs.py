"""The promise: every link leads somewhere, the reference is fresh, and pages speak to readers."""

from __future__ import annotations

import re
import subprocess
import sys
from pathlib import Path

ROOT = Path(__file__).parents[2]
PAGES = [
    *sorted(ROOT.glob("*.md")),
    *sorted((ROOT / "docs").rglob("*.md")),
    *sorted((ROOT / "changelog.d").glob("*.md")),
]
FOLDERS = "gateway_core device_profiles edge_agent collector simulators tidegate scripts tests docker systemd benchmarks"
CODE = [
    path
    for folder in FOLDERS.split()
    for path in sorted((ROOT / folder).rglob("*"))
    if path.is_file() and path.suffix not in {".pyc", ".js", ".png"} and path != Path(__file__)
]
LINK = re.compile(r"\[[^\]]*\]\(([^)\s]+)\)")
HEADING = re.compile(r"^#+ (.+)$", re.MULTILINE)
MENTION = re.compile(r"\bdocs/[\w./-]+\.md")
# A path of one machine is none of a reader's business.
PRIVATE = re.compile(r"(?<![\w.])/(root|home/\w+)/|\.pyenv")


def _anchor(heading: str) -> str:
    """Return the anchor that hosts of Markdown give a heading."""
    plain = re.sub(r"\[([^\]]*)\]\([^)]*\)", r"\1", heading).strip().lower()
    return re.sub(r"[^\w\- ]", "", plain).replace(" ", "-")


def _anchors(page: Path) -> set[str]:
    text = re.sub(r"```.*?```", "", page.read_text("utf-8"), flags=re.DOTALL)
    return {_anchor(heading) for heading in HEADING.findall(text)}


def _broken(page: Path) -> list[str]:
    text = re.sub(r"```.*?```", "", page.read_text("utf-8"), flags=re.DOTALL)
    wrong = []
    for link in LINK.findall(text):
        if re.match(r"[a-z]+:", link):
            continue
        place, _, anchor = link.partition("#")
        target = (page.parent / place).resolve() if place else page
        if not target.exists() or (anchor and anchor not in _anchors(target)):
            wrong.append(f"{page.relative_to(ROOT)}: {link}")
    return wrong


def test_every_link_leads_to_a_page_and_a_heading() -> None:
    assert [broken for page in PAGES for broken in _broken(page)] == []


def test_every_page_can_be_reached_from_the_index() -> None:
    seen: set[Path] = set()
    waiting = [ROOT / "README.md"]
    while waiting:
        page = waiting.pop()
        if page in seen or page.suffix != ".md":
            continue
        seen.add(page)
        for link in LINK.findall(page.read_text("utf-8")):
            target = (page.parent / link.partition("#")[0]).resolve()
            if target.exists() and target.is_file():
                waiting.append(target)
    pages = {page.resolve() for page in (ROOT / "docs").rglob("*.md")}
    assert sorted(str(page.relative_to(ROOT)) for page in pages - seen) == []


def test_every_page_that_the_code_names_exists() -> None:
    named = {name for path in CODE for name in MENTION.findall(path.read_text("utf-8", "replace"))}
    assert sorted(name for name in named if not (ROOT / name).exists()) == []


def test_no_page_and_no_code_speaks_of_where_it_was_written() -> None:
    wrong = [
        f"{path.relative_to(ROOT)}: {found.group()}"
        for path in [*PAGES, *CODE]
        if (found := PRIVATE.search(path.read_text("utf-8", "replace")))
    ]
    assert wrong == []


def test_the_generated_reference_is_fresh() -> None:
    run = subprocess.run(
        [sys.executable, ROOT / "scripts" / "reference.py", "--check"],
        capture_output=True,
        text=True,
        check=False,
    )
    assert run.stdout == ""
    assert run.returncode == 0, run.stderr
