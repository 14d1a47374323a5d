"""Lint: every mistake and every doubt in a profile file that a person need not look for."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Sequence
from pathlib import Path

from device_profiles.catalogue import conflicts, profile_files
from device_profiles.finding import Finding, Findings, errors
from device_profiles.lint_alarms import lint_alarms
from device_profiles.lint_cardinality import lint_cardinality
from device_profiles.lint_egress import lint_egress
from device_profiles.lint_evidence import Evidence, gather
from device_profiles.lint_js import lint_js
from device_profiles.lint_numbers import lint_numbers
from device_profiles.lint_reach import lint_reach
from device_profiles.lint_units import lint_units
from device_profiles.lint_vectors import lint_vectors
from device_profiles.lint_words import lint_words
from device_profiles.profile import Profile, load_profile
from gateway_core.errors import ConfigError, Fault

Rule = Callable[[Profile, Evidence, Findings], None]

RULES: tuple[Rule, ...] = (
    lint_alarms,
    lint_cardinality,
    lint_egress,
    lint_numbers,
    lint_reach,
    lint_units,
    lint_vectors,
    lint_words,
)
"""What looks at a profile that compiles, each for one concern."""


def lint(path: Path) -> list[Fault]:
    """Return every mistake in one profile file; empty when it is clean."""
    return lint_files([path])


def lint_files(paths: Sequence[Path], beside: Sequence[Profile] = ()) -> list[Fault]:
    """Return the mistakes that `find` finds, without its doubts."""
    return errors(find(paths, beside))


def find(paths: Sequence[Path], beside: Sequence[Profile] = ()) -> list[Finding]:
    """Return every mistake and doubt in profile files, also where they contradict each other.

    Args:
        paths: Files, or folders to search.
        beside: Profiles (the shipped catalogue) that the files must agree with. One with the id
            of a linted file is left aside: the file replaces it.
    """
    findings: list[Finding] = []
    clean: dict[str, Profile] = {}
    for path in expand(paths):
        try:
            profile = load_profile(path)
        except ConfigError as exc:
            findings += _as_errors("grammar", exc.faults)
            continue
        findings += find_in(profile)
        clean[profile.id] = profile
    others = [profile for profile in beside if profile.id not in clean]
    files = {profile.file for profile in clean.values()}
    found = conflicts([*others, *clean.values()])
    return findings + _as_errors("conflict", (fault for fault in found if fault.file in files))


def find_in(profile: Profile) -> list[Finding]:
    """Return what is to be found in one profile that compiles, in the order of its file."""
    findings = Findings(profile.document)
    broken = lint_js(profile)
    for fault in broken:
        findings.found.append(Finding("error", "codec", fault))
    evidence = gather(profile)
    for rule in RULES:
        rule(profile, evidence, findings)
    return findings.sorted()


def expand(paths: Sequence[Path]) -> list[Path]:
    """Return the files, with folders replaced by the profile files below them."""
    found: list[Path] = []
    for path in paths:
        found.extend(profile_files(path) if path.is_dir() else [path])
    return found


def _as_errors(rule: str, faults: Iterable[Fault]) -> list[Finding]:
    return [Finding("error", rule, fault) for fault in faults]
