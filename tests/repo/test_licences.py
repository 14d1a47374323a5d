"""The promise: Tidegate is Apache-2.0, and nothing that it needs forbids to use it so."""

from __future__ import annotations

import re
from importlib.metadata import PackageNotFoundError, files, metadata, requires
from pathlib import Path

from packaging.requirements import Requirement

ROOT = Path(__file__).parents[2]
FORBIDDEN = re.compile(
    r"(?<![A-Za-z])A?GPL|Affero|SSPL|Business Source|Commons Clause|proprietary", re.IGNORECASE
)
LESSER = {"psycopg", "psycopg-binary"}
"""LGPL, in an extra of their own, imported as they come and not changed."""


def _needed(name: str, extras: frozenset[str], seen: set[str]) -> set[str]:
    key = re.sub(r"[-_.]+", "-", name).lower()
    try:
        wanted = [Requirement(text) for text in requires(name) or []]
    except PackageNotFoundError:
        return seen  # only for another system or another Python
    if key in seen and not extras:
        return seen
    seen.add(key)
    for each in wanted:
        if each.marker is None or any(
            each.marker.evaluate({"extra": extra}) for extra in extras | {""}
        ):
            _needed(each.name, frozenset(each.extras), seen)
    return seen


def _licence(name: str) -> str:
    about = metadata(name)
    classes = [c for c in about.get_all("Classifier") or [] if c.startswith("License")]
    told = about.get("License-Expression") or (about.get("License") or "").partition("\n")[0]
    return " ".join([told, *classes]).strip() or _first_line_of_the_licence(name)


def _first_line_of_the_licence(name: str) -> str:
    """Return what a distribution that names no licence says in the file that it ships."""
    texts = [each for each in files(name) or [] if "licenses/" in each.as_posix()]
    return texts[0].read_text().partition("\n")[0] if texts else ""


def test_our_own_licence_is_apache() -> None:
    text = (ROOT / "LICENSE").read_text()
    assert "Apache License" in text
    assert "Version 2.0, January 2004" in text
    assert metadata("tidegate")["License-Expression"] == "Apache-2.0"


def test_no_runtime_dependency_is_under_a_licence_that_reaches_over() -> None:
    needed = _needed("tidegate", frozenset({"all"}), set())
    assert len(needed) > 30
    licences = {name: _licence(name) for name in needed}
    assert [name for name, licence in licences.items() if not licence] == []
    assert {name for name, licence in licences.items() if "LGPL" in licence} == LESSER
    assert {n: told for n, told in licences.items() if FORBIDDEN.search(told)} == {}
