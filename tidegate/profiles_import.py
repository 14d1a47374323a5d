"""``tidegate profiles import``: profiles made of other systems' device descriptions."""

from __future__ import annotations

import sys
from collections.abc import Sequence
from dataclasses import asdict
from pathlib import Path
from typing import Annotated

from cyclopts import App, Parameter
from rich.console import Console
from rich.progress import Progress

from device_profiles.importers.edgex import import_edgex
from device_profiles.importers.imported import Imported
from device_profiles.importers.lorawan import DeviceReport, import_lorawan
from device_profiles.importers.lorawan_profile import GATEWAY_TOPIC
from gateway_core.errors import GatewayError
from tidegate.output import print_json

errors = Console(stderr=True, highlight=False)
app = App(name="import", help="Make a profile of another system's device description.")


@app.command
def edgex(
    file: Path,
    *,
    output: Path | None = None,
    id: str = "",  # noqa: A002  # the option's name
    measurement: str = "",
    topic: str = "",
) -> None:
    """Make a profile of an EdgeX device profile (YAML or JSON, versions 2 to 4).

        tidegate profiles import edgex Thermostat.yaml --output profiles/acme/thermostat.yaml

    Args:
        file: The EdgeX device profile.
        output: Where to; without it the profile is printed.
        id: vendor/model; without it of manufacturer and model.
        measurement: Where readings go; without it of the profile's name.
        topic: Topic of the readings; without it where EdgeX publishes them.
    """
    deliver(import_edgex(file, profile=id, measurement=measurement, topic=topic), output)


@app.command
def lorawan(
    folder: Path,
    *,
    output: Annotated[Path, Parameter(name=("--output", "-o"))] = Path("profiles"),
    device: str | None = None,
    milesight_topic: str = GATEWAY_TOPIC,
    json: bool = False,
) -> int:
    """Make profiles of a vendor's folder: device files, codecs, and examples, which become tests.

        tidegate profiles import lorawan vendor/acme --output profiles

    Reads the layouts of The Things Stack's device repository and of ChirpStack's device profiles.

    Args:
        folder: Of one vendor, or of several.
        output: Gets <vendor>/<device>.yaml and copies of the codecs.
        device: Only this one, by the name of its file.
        milesight_topic: Where Milesight gateways publish.
        json: Print JSON.
    """
    with Progress(console=errors, transient=True, disable=not errors.is_terminal) as bar:
        task = bar.add_task("", total=None)

        def show(name: str) -> None:
            bar.update(task, description=name)

        reports = list(import_lorawan(folder, output, device, milesight_topic, show))
    if json:
        print_json([asdict(report) for report in reports])
    else:
        _tell(reports)
    return 0 if all(report.good for report in reports) else 1


def _tell(reports: Sequence[DeviceReport]) -> None:
    for report in reports:
        what = f"{report.vectors} vectors" if report.profile else "no profile"
        tried = f"{report.agreed} of {report.examples} examples"
        print(f"{report.profile or report.device}: {tried}, {what}")
        for difference in report.differences:
            print(f"    {difference.file}: {difference.example}: {difference.description}")
            print("\n".join(f"        {where}" for where in difference.where))
        for trouble in report.troubles:
            print(f"    {trouble}")
        for remark in report.remarks:
            print(f"    remark: {remark}")
    made = [report.profile for report in reports if report.profile]
    good = sum(report.good for report in reports)
    print(f"{len(made)} profiles of {len(reports)} devices, {good} without anything to mend")
    if made:
        print(
            f"next: look for 'review' in them, then tidegate profiles lint {Path(made[0]).parent}"
        )


def deliver(made: Imported, output: Path | None) -> None:
    """Write an imported profile to a file or to standard output, and its remarks to people.

    Raises:
        GatewayError: The file is there already.
    """
    for remark in made.remarks:
        print(f"remark: {remark}", file=sys.stderr)
    if output is None:
        print(made.text, end="")
        return
    try:
        output.parent.mkdir(parents=True, exist_ok=True)
        with output.open("x", encoding="utf-8") as out:
            out.write(made.text)
    except FileExistsError as exc:
        raise GatewayError(f"{output} is there already; choose another name") from exc
    print(f"wrote {output}\nnext: tidegate profiles test {output}", file=sys.stderr)
