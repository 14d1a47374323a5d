"""``tidegate simulate``: sensors, cameras and systems that are not there, and how they fared."""

from cyclopts import App

from tidegate.simulate.cameras import cameras
from tidegate.simulate.pictures import pictures
from tidegate.simulate.sensors import check, sensors
from tidegate.simulate.systems import systems
from tidegate.simulate.wan import wan

__all__ = ["app"]

app = App(name="simulate", help="Simulated sensors, cameras and systems; all ids begin with sim-.")
for command in (sensors, cameras, pictures, systems, wan, check):
    app.command(command)
