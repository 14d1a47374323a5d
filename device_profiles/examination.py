"""The examination that a version passes before it is published: gates, each with its result.

The same for its vendor and at the centre: what differs is only what else is known.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator, Sequence
from pathlib import Path
from typing import Any, Literal

import msgspec

from device_profiles.bundle import named_files
from device_profiles.catalogue import load_catalogue
from device_profiles.codec_vectors import run_codec
from device_profiles.examples import Bench, Received, payload_of, run_tests
from device_profiles.fields import Field, FieldRegistry, field_conflict, fields_of
from device_profiles.line_preview import render_line
from device_profiles.lint import lint
from device_profiles.loosening import loosened
from device_profiles.profile import Profile, load_profile
from device_profiles.semver import read_version
from device_profiles.units import same_unit
from gateway_core.errors import ConfigError, Fault

Gate = Literal["schema_and_lint", "vectors", "fields", "semver", "egress"]
Question = Literal["measurement", "class", "commands", "code"]
"""What a person must judge: a new measurement's name, data that is personal or public, commands to
devices, code instead of tables."""

MOST_FAULTS = 100
"""Faults of one gate that are told."""


class Mistake(msgspec.Struct, frozen=True):
    """One fault, with its place in the profile.

    Attributes:
        line: From 1; 0: not known.
        col: From 1; 0: not known.
        path: Where in the document; may be empty.
        message: What is wrong and what to do.
    """

    line: int
    col: int
    path: str
    message: str


class Result(msgspec.Struct, frozen=True):
    """What one gate said.

    Attributes:
        gate: Its name.
        passed: Whether it lets the version through.
        detail: One line for people.
        mistakes: What to mend.
    """

    gate: Gate
    passed: bool
    detail: str
    mistakes: tuple[Mistake, ...] = ()


class Examined(msgspec.Struct, frozen=True):
    """The outcome.

    Attributes:
        id: ``vendor/model``; empty where the file could not be read.
        version: Semantic version.
        measurement: Where its readings go.
        title: Language to text.
        fields: What it stores.
        results: Of every gate that was reached.
        questions: What a person must judge, each with what it is about.
    """

    id: str
    version: str
    measurement: str
    title: dict[str, str]
    fields: tuple[Field, ...]
    results: tuple[Result, ...]
    questions: tuple[tuple[Question, str], ...] = ()

    @property
    def passed(self) -> bool:
        """Whether every gate let it through."""
        return all(result.passed for result in self.results)


def shipped_fields() -> list[Field]:
    """Return every field that a profile that ships stores."""
    profiles = load_catalogue([], strict=False).profiles.values()
    return [field for profile in profiles for field in fields_of(profile)]


def examine(path: Path, known: Sequence[Field], previous: Path | None = None) -> Examined:
    """Run every gate on a profile file.

    Args:
        path: The file, its codecs beside it.
        known: Every field that other profiles store; those of its own id are left aside.
        previous: The version that it follows; None: it is the first.
    """
    try:
        profile = load_profile(path)
        faults = lint(path)
    except ConfigError as exc:
        return Examined("", "", "", {}, (), (_result("schema_and_lint", exc.faults),))
    before = _load_previous(previous)
    gates: tuple[Callable[[], Result], ...] = (
        lambda: _vectors(profile),
        lambda: _result("fields", list(_clashes(profile, known))),
        lambda: _result("semver", list(_broken_promises(profile, before))),
        lambda: _result("egress", list(_loosened(profile, before))),
    )
    results = [_result("schema_and_lint", faults)]
    if results[0].passed:
        results += [gate() for gate in gates]
    return Examined(
        profile.id,
        profile.version,
        profile.measurement,
        dict(profile.title),
        fields_of(profile),
        tuple(results),
        tuple(_questions(profile, before, known)),
    )


def _load_previous(path: Path | None) -> Profile | None:
    """Read the version before; None where it passed an older program and not this one."""
    try:
        return None if path is None else load_profile(path)
    except ConfigError:
        return None


def _result(gate: Gate, faults: Sequence[Fault]) -> Result:
    mistakes = tuple(Mistake(each.line, each.col, each.path, each.message) for each in faults)
    detail = f"{len(faults)} to mend" if faults else "ok"
    return Result(gate, not faults, detail, mistakes[:MOST_FAULTS])


def _vectors(profile: Profile) -> Result:
    outcomes = run_tests(profile, render_line)
    failed = [outcome for outcome in outcomes if not outcome.passed]
    mistakes = tuple(
        Mistake(each.line, 1, f"tests.{each.name}", failure)
        for each in failed
        for failure in each.failures
    )
    detail = f"{len(outcomes) - len(failed)} of {len(outcomes)} vectors passed"
    return Result("vectors", not failed, detail, mistakes[:MOST_FAULTS])


def clashes(
    profile: str, fields: Sequence[Field], known: Sequence[Field]
) -> Iterator[tuple[Field, Field]]:
    """Yield each field that another profile stores in another type or unit, and that other one."""
    others = FieldRegistry(field for field in known if field.profile != profile)
    for mine in fields:
        theirs = others.clash(mine)
        if theirs is not None:
            yield mine, theirs


def _clashes(profile: Profile, known: Sequence[Field]) -> Iterator[Fault]:
    for mine, theirs in clashes(profile.id, fields_of(profile), known):
        yield profile.document.fault(("measurements", mine.name), field_conflict(mine, theirs))


def _broken_promises(profile: Profile, before: Profile | None) -> Iterator[Fault]:
    """Yield what the step from the version before does not allow."""
    if before is None:
        return
    step = read_version(profile.version).step_from(read_version(before.version))
    if step == "major":
        return

    def fault(path: tuple[str | int, ...], what: str, needs: str) -> Fault:
        message = f"{what} since {before.version}: that needs a {needs} version"
        return profile.document.fault(path, message)

    if profile.measurement != before.measurement:
        yield fault(("store", "measurement"), f"{before.measurement} was renamed", "new major")
    for name, spec in before.fields.items():
        now = profile.fields.get(name)
        if now is None:
            yield fault(("measurements",), f"{name} is gone", "new major")
        elif (now.type, now.kind) != (spec.type, spec.kind) or not same_unit(now.unit, spec.unit):
            yield fault(("measurements", name), "type, unit or kind changed", "new major")
    if step == "minor":
        return
    for key, mine, theirs in (
        ("measurements", profile.fields, before.fields),
        ("alarms", profile.alarms, before.alarms),
        ("commands", profile.commands, before.commands),
    ):
        for name in sorted(set(mine) ^ set(theirs)):
            yield fault((key,), f"{name} was added or removed", "new minor")
    for name in changed_vectors(before, profile):
        yield fault(("version",), f"the vector {name!r} gives another result", "new minor")


def changed_vectors(before: Profile, after: Profile) -> Iterator[str]:
    """Yield the names of the older version's vectors that the newer one answers otherwise."""
    for test in before.tests:
        if "command" in test:
            continue
        if "codec" in test:
            if run_codec(after, test["codec"]):
                yield test["name"]
            continue
        old, new = Bench(before), Bench(after)
        parts = test.get("steps", [test])
        if any(_shown(old, part["recv"]) != _shown(new, part["recv"]) for part in parts):
            yield test["name"]


def _shown(bench: Bench, recv: dict[str, object]) -> object:
    got: Received = bench.receive(
        str(recv.get("topic", recv.get("path", ""))),
        payload_of(recv),
        round(float(str(recv.get("at", 0))) * 1_000_000) * 1_000,
        coap="path" in recv,
        content_format=recv.get("content_format"),  # type: ignore[arg-type]  # the schema says int
    )
    return got.reject, got.decoded, got.alarms


def _loosened(profile: Profile, before: Profile | None) -> Iterator[Fault]:
    if before is None:
        return
    if read_version(profile.version).step_from(read_version(before.version)) == "major":
        return
    for how in loosened(before.egress, profile.egress):
        message = f"more leaves the site than in {before.version} ({how}): that needs a new major"
        yield profile.document.fault(("egress",), f"{message} version")


def _questions(
    profile: Profile, before: Profile | None, known: Sequence[Field]
) -> Iterator[tuple[Question, str]]:
    """Yield what nobody has judged yet; what the version before was let do is judged."""
    names = {field.measurement for field in known} | ({before.measurement} if before else set())
    if profile.measurement not in names:
        yield "measurement", f"{profile.measurement} is a new measurement"
    data_class = profile.egress.data_class
    if data_class in ("personal", "public") and (
        before is None or before.egress.data_class != data_class
    ):
        yield "class", f"its data is {data_class}"
    commands = profile.document.data.get("commands", {})
    if commands and (before is None or before.document.data.get("commands") != commands):
        yield "commands", f"it can send {', '.join(commands)}"
    code = _code(profile)
    if code - (_code(before) if before else set()):
        yield "code", f"it runs JavaScript of {len(code)} codec(s)"


def _code(profile: Profile) -> set[str]:
    """Return the digests of the codecs that a profile names."""
    document = profile.document
    found = set()
    for place, _ in named_files(document.data):
        step: Any = document.data
        for key in place[:-1]:
            step = step[key]
        found.add(str(step["sha256"]))
    return found
