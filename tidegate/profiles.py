"""``tidegate profiles``: list, start, check, prove and try device profiles."""

from __future__ import annotations

import re
import sys
from collections.abc import Sequence
from pathlib import Path

from cyclopts import App

from device_profiles.catalogue import SHIPPED, load_catalogue
from device_profiles.library import find, list_profiles, test_files
from gateway_core.errors import ConfigError, Fault, GatewayError
from tidegate.output import print_json, print_table
from tidegate.profile_decode import Folders, decode, explain
from tidegate.usage import WrongUsage

app = App(name="profiles", help="Device profiles: what a device says and what it means.")

app.command(decode)
app.command(explain)
app.command(
    "tidegate.profiles_import:app",
    name="import",
    help="Make a profile of another system's device description.",
)


@app.command(name="list")
def list_(*, folder: Folders = [], json: bool = False) -> int:  # noqa: B006  # never changed
    """List the profiles that are known.

        tidegate profiles list --folder ./profiles

    Args:
        json: Print JSON.
    """
    catalogue = load_catalogue(folder, strict=False)
    rows = list_profiles(catalogue)
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
def new(profile: str, *, folder: Path = Path("profiles")) -> None:
    """Write a small working profile to start from. Overwrites nothing.

        tidegate profiles new acme/thermo-1 --folder ./profiles

    Args:
        profile: Its id, vendor/model.
        folder: Where to.
    """
    if not re.fullmatch(r"[a-z0-9][a-z0-9-]*/[a-z0-9][a-z0-9.-]*", profile):
        raise WrongUsage(f"{profile!r}: expected vendor/model in small letters: acme/thermo-1")
    vendor, model = profile.split("/")
    path = folder / vendor / f"{model}.yaml"
    if path.exists():
        raise GatewayError(f"{path} is there already; choose another id or folder")
    path.parent.mkdir(parents=True, exist_ok=True)
    path.write_text(_STARTER.format(id=profile, vendor=vendor, model=model), encoding="utf-8")
    print(f"wrote {path}\nnext: tidegate profiles test {path}")


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
def run_vectors(*files: Path, json: bool = False) -> int:
    """Run the vectors that profiles bring; none given: those that ship.

        tidegate profiles test ./profiles/acme/thermo-1.yaml

    Args:
        files: Files or folders.
        json: Print each vector's outcome as JSON.
    """
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


_STARTER = """\
# A device profile; every key: docs/reference/profile-format.md
format: 1
id: {id}
version: 0.1.0
status: draft
title: {{en: What the device is, zh: 设备名称}}
vendor: {vendor}
model: {model}
license: CC0-1.0
docs: []                        # the vendor's public documentation

match:
  - {{via: mqtt, topic: "{model}/{{device}}/up", payload: json}}
device: {{id: "{{device}}", pattern: "[0-9A-Za-z_-]{{1,64}}"}}
time: {{from: ts, format: unix, max_age: 7d, max_ahead: 5m}}
decode: [{{json: {{}}}}]

measurements:
  temperature: {{type: float, unit: Cel, range: [-40, 85]}}
  battery: {{type: int, unit: "%", range: [0, 100], kind: diagnostic}}
store: {{measurement: env, tags: [edge, device, profile]}}

egress:                         # nothing leaves the site unless it is listed here
  class: operational
  default: none
  allow:
    temperature: {{every: 5m, fns: [mean, min, max, count]}}
  alarms: full

alarms:
  hot: {{severity: major, raise: temperature > 60.0, clear: temperature < 55.0}}

tests:
  - name: a plain reading
    recv:
      topic: {model}/d1/up
      at: 1700000000
      payload: {{ts: 1700000000, temperature: 21.5, battery: 90}}
    expect: {{device: d1, points: [{{time: 1700000000, temperature: 21.5, battery: 90}}]}}
  - name: hot, then not
    steps:
      - {{recv: {{topic: {model}/d1/up, payload: {{temperature: 61}}}}, expect: {{alarms: [+hot]}}}}
      - {{recv: {{topic: {model}/d1/up, payload: {{temperature: 50}}}}, expect: {{alarms: [-hot]}}}}
  - name: not JSON
    recv: {{topic: {model}/d1/up, hex: "ff"}}
    expect: {{reject: not_json}}
"""
