"""``tidegate profiles import``: profiles made of other systems' device descriptions."""

from __future__ import annotations

import sys
from pathlib import Path

from cyclopts import App

from device_profiles.importers.edgex import import_edgex
from device_profiles.importers.imported import Imported
from gateway_core.errors import GatewayError

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
