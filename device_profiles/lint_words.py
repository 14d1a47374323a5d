"""Lint of what people read: titles in both languages, documentation, sources, proven commands."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

from device_profiles.faults import Place
from device_profiles.finding import Findings
from device_profiles.lint_evidence import Evidence
from device_profiles.profile import Profile

_LANGUAGES = {"en": "English", "zh": "Chinese"}


def lint_words(profile: Profile, _evidence: Evidence, findings: Findings) -> None:
    """Enter titles, texts and sources that are missing, and commands that no vector proves."""
    data = profile.document.data
    _check_text(data.get("title"), ("title",), findings)
    if not data.get("docs"):
        findings.warn(
            "docs-missing",
            ("docs",) if "docs" in data else ("model",),
            "no 'docs': name the vendor's public documentation that it was written from",
        )
    for name, spec in data.get("alarms", {}).items():
        if "text" in spec:
            _check_text(spec["text"], ("alarms", name, "text"), findings)
    if not any("source" in test for test in profile.tests):
        findings.warn(
            "source-missing",
            ("tests",),
            "no vector has a 'source': say where at least one message comes from",
        )
    called = {test["command"].get("name") for test in profile.tests if "command" in test}
    for name in profile.commands:
        if name not in called:
            findings.warn(
                "command-unproven",
                ("commands", name),
                f"no vector sends it: add 'command: {{name: {name}, …}}' with the payload expected",
            )


def _check_text(text: str | Mapping[str, Any] | None, place: Place, findings: Findings) -> None:
    given = {"en": text} if isinstance(text, str) else dict(text or {})
    missing = [word for code, word in _LANGUAGES.items() if not given.get(code)]
    if missing:
        findings.warn(
            "language-missing",
            place,
            f"no {' and no '.join(missing)} text: write {{en: …, zh: …}}",
        )
