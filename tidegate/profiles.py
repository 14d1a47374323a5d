"""``tidegate profiles``: list, start, check, prove and try device profiles."""

from __future__ import annotations

import sys
from collections.abc import Sequence
from pathlib import Path

from cyclopts import App

from device_profiles.catalogue import SHIPPED, Catalogue, load_catalogue
from device_profiles.library import find, list_profiles, test_files
from device_profiles.search import search
from gateway_core.errors import ConfigError, Fault
from tidegate.output import print_json, print_table
from tidegate.profile_decode import Folders, decode, explain
from tidegate.profile_new import new
from tidegate.watching import again_on_change

app = App(name="profiles", help="Device profiles: what a device says and what it means.")

app.command(decode)
app.command(explain)
app.command("tidegate.publishing:publish", help="Publish a version at the centre.")
app.command("tidegate.publishing:key", name="key", help="A vendor's own key.")
app.command(
    "tidegate.profiles_import:app",
    name="import",
    help="Make a profile of another system's device description.",
)
app.command(new)


@app.command(name="list")
def list_(
    *words: str,
    vendor: str | None = None,
    measurement: str | None = None,
    via: str | None = None,
    folder: Folders = [],  # noqa: B006  # never changed
    json: bool = False,
) -> int:
    """List the profiles that are known, or those that suit.

        tidegate profiles list smoke --via zigbee2mqtt

    Args:
        words: Each is part of id, vendor, model, title (in any language) or a field's name.
        vendor: Only this vendor's.
        measurement: Only those whose readings go there: env, power, water.
        via: Only what comes by this: mqtt, coap, chirpstack-v4.
        json: Print JSON.
    """
    catalogue = load_catalogue(folder, strict=False)
    profiles = catalogue.profiles.values()
    found = search(profiles, words, vendor=vendor, measurement=measurement, via=via)
    rows = list_profiles(Catalogue(found))
    if json:
        print_json(rows)
    else:
        columns = ("profile", "version", "measurement", "via", "tests", "title")
        print_table(
            columns,
            ((r.id, r.version, r.measurement, r.via, r.tests, r.title) for r in rows),
        )
    return _complain(catalogue.faults)


@app.command
def lint(*files: Path, strict: bool = False, json: bool = False) -> int:
    """Check profiles: grammar, units, expressions, coverage; none given: those that ship.

    Exit status 2 when there are mistakes; warnings alone give 0.

        tidegate profiles lint ./profiles

    Args:
        files: Files or folders.
        strict: Take warnings as mistakes.
        json: Print what was found as JSON.
    """
    found = find(_existing(files or (SHIPPED,)))
    wrong = [one for one in found if strict or one.level == "error"]
    if json:
        print_json([one.as_dict() for one in found])
        return 2 if wrong else 0
    for one in found:
        print(one, file=sys.stderr)
    if not wrong:
        plural = "" if len(found) == 1 else "s"
        print("no mistakes found" + (f", {len(found)} warning{plural}" if found else ""))
    return 2 if wrong else 0


@app.command(name="test")
def run_vectors(*files: Path, watch: bool = False, json: bool = False) -> int:
    """Run the vectors that profiles bring; none given: those that ship.

        tidegate profiles test ./profiles/acme/thermo-1.yaml

    Args:
        files: Files or folders.
        watch: Run them again whenever one of the files changes, until interrupted.
        json: Print each vector's outcome as JSON.
    """
    _existing(files or (SHIPPED,))
    if watch:
        return again_on_change(files or (SHIPPED,), lambda: _run_vectors(files, json=json))
    return _run_vectors(files, json=json)


def _run_vectors(files: Sequence[Path], *, json: bool) -> int:
    report = test_files(_existing(files or (SHIPPED,)))
    if json:
        print_json(
            {
                "passed": report.passed,
                "outcomes": report.outcomes,
                "faults": [str(fault) for fault in report.faults],
            }
        )
    else:
        for outcome in report.outcomes:
            if not outcome.passed:
                print(f"FAILED {outcome.profile}: {outcome.name} (line {outcome.line})")
                print("\n".join(f"    {failure}" for failure in outcome.failures))
        passed = sum(outcome.passed for outcome in report.outcomes)
        print(f"{passed} of {len(report.outcomes)} vectors passed")
    _complain(report.faults if not json else ())
    return 0 if report.passed else 2 if report.faults else 1


def _existing(paths: Sequence[Path]) -> Sequence[Path]:
    missing = [
        Fault(path, 0, 0, "", "no such file or folder") for path in paths if not path.exists()
    ]
    if missing:
        raise ConfigError(*missing)
    return paths


def _complain(faults: Sequence[Fault]) -> int:
    for fault in faults:
        print(fault, file=sys.stderr)
    return 2 if faults else 0
