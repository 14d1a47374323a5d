"""Lint: every mistake in a profile file that can be found without comparing its vectors."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any

from device_profiles.catalogue import conflicts, profile_files
from device_profiles.lint_js import lint_js
from device_profiles.profile import Profile, load_profile
from gateway_core.errors import ConfigError, Fault


def lint(path: Path) -> list[Fault]:
    """Return every mistake in one profile file; empty when it is clean."""
    return lint_files([path])


def lint_files(paths: Sequence[Path], beside: Sequence[Profile] = ()) -> list[Fault]:
    """Return every mistake in profile files, also where they contradict each other.

    Args:
        paths: Files, or folders to search.
        beside: Profiles (the shipped catalogue) that the files must agree with. One with the id
            of a linted file is left aside: the file replaces it.
    """
    faults: list[Fault] = []
    clean: dict[str, Profile] = {}
    for path in expand(paths):
        try:
            profile = load_profile(path)
        except ConfigError as exc:
            faults.extend(exc.faults)
            continue
        faults.extend(_check_vectors(profile))
        faults.extend(lint_js(profile))
        clean[profile.id] = profile
    others = [profile for profile in beside if profile.id not in clean]
    files = {profile.file for profile in clean.values()}
    found = conflicts([*others, *clean.values()])
    return faults + [fault for fault in found if fault.file in files]


def expand(paths: Sequence[Path]) -> list[Path]:
    """Return the files, with folders replaced by the profile files below them."""
    found: list[Path] = []
    for path in paths:
        found.extend(profile_files(path) if path.is_dir() else [path])
    return found


def _check_vectors(profile: Profile) -> list[Fault]:
    if any(_is_negative(expect) for test in profile.tests for expect in _expects(test)):
        return []
    message = (
        "no vector shows what is refused: add one that expects 'reject', 'quality' or 'points: []'"
    )
    return [profile.document.fault(("tests",), message)]


def _expects(test: Mapping[str, Any]) -> list[Mapping[str, Any]]:
    return [part.get("expect", {}) for part in (test, *test.get("steps", ()))]


def _is_negative(expect: Mapping[str, Any]) -> bool:
    if "reject" in expect or expect.get("quality") or expect.get("unread"):
        return True
    return expect.get("points") == [] or any(map(_is_negative, expect.get("devices", {}).values()))
