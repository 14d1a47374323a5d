"""Types of LwM2M resources: which ones TLV, that does not say, holds as what.

Facts of the OMA registry: the objects Device, Connectivity Monitoring and Location, and the
reusable resources of the IPSO objects (3300 to 3350), whose type is the same in every object.
"""

from __future__ import annotations

from collections.abc import Iterable

TYPES = ("integer", "unsigned", "float", "boolean", "string", "time", "opaque", "objlnk")
"""What a resource can be (OMA LwM2M TS Core 1.1, appendix C)."""


def _table(**kinds: Iterable[int]) -> dict[int, str]:
    return {number: kind for kind, numbers in kinds.items() for number in numbers}


_REUSABLE = _table(
    boolean=(5500, 5502, 5532, 5533, 5550, 5551, 5850),
    integer=(5501, 5503, 5504, 5526, 5534, 5538, 5539, 5547, 5851, 5852, 5854, 6042, 6049),
    float=(
        5507, *range(5508, 5514), 5519, 5520, 5521, 5524, 5525, 5528, 5529, 5530, 5531, 5535,
        5536, 5537, 5544, 5545, 5546, *range(5600, 5605), *range(5650, 5653), 5700,
        *range(5702, 5706), *range(5800, 5822), 5825, 5900,
    ),
    string=(5514, 5515, 5516, 5527, 5701, 5706, 5750, 5751, 5853),
    time=(5506, 5518),
    opaque=(5517, 5522),
    objlnk=(4000,),
)  # fmt: skip
_DEVICE = _table(
    string=(0, 1, 2, 3, 14, 15, 16, 17, 18, 19),
    integer=(6, 7, 8, 9, 10, 11, 20, 21),
    time=(13,),
    objlnk=(22,),
)
_CONNECTIVITY = _table(integer=(0, 1, 2, 3, 6, 8, 9, 10, 11, 12), string=(4, 5, 7))
_LOCATION = _table(float=(0, 1, 2, 3, 6), opaque=(4,), time=(5,))
_OBJECTS = {3: _DEVICE, 4: _CONNECTIVITY, 6: _LOCATION}

OBJECT_NAMES = {
    3: "Device", 4: "Connectivity Monitoring", 6: "Location", 3200: "Digital Input",
    3201: "Digital Output", 3202: "Analog Input", 3203: "Analog Output", 3300: "Generic Sensor",
    3301: "Illuminance", 3302: "Presence", 3303: "Temperature", 3304: "Humidity",
    3305: "Power Measurement", 3306: "Actuation", 3308: "Set Point", 3310: "Load Control",
    3311: "Light Control", 3312: "Power Control", 3313: "Accelerometer", 3314: "Magnetometer",
    3315: "Barometer", 3316: "Voltage", 3317: "Current", 3318: "Frequency", 3319: "Depth",
    3320: "Percentage", 3321: "Altitude", 3322: "Load", 3323: "Pressure", 3324: "Loudness",
    3325: "Concentration", 3326: "Acidity", 3327: "Conductivity", 3328: "Power",
    3329: "Power Factor", 3330: "Distance", 3331: "Energy", 3332: "Direction", 3333: "Time",
    3334: "Gyrometer", 3335: "Colour", 3336: "Location", 3337: "Positioner", 3338: "Buzzer",
    3339: "Audio Clip", 3340: "Timer", 3341: "Addressable Text Display", 3342: "On/Off Switch",
    3343: "Dimmer", 3344: "Up/Down Control", 3345: "Multiple Axis Joystick", 3346: "Rate",
    3347: "Push Button", 3348: "Multistate Selector",
}  # fmt: skip
"""Object to its name."""


def type_of(object_id: int, resource: int) -> str | None:
    """Return the type of a resource, or None where this table has none."""
    own = _OBJECTS.get(object_id)
    if own is not None:
        return own.get(resource)
    return _REUSABLE.get(resource)


UNITS = frozenset(
    (
        "Cel", "K", "%RH", "%", "/", "V", "mV", "A", "mA", "W", "kW", "Wh", "kWh", "Hz", "Pa",
        "hPa", "kPa", "m", "mm", "cm", "km", "lx", "ppm", "ppb", "pH", "dB", "dBm", "g", "kg",
        "l", "m3", "s", "ms", "min", "h", "m/s", "km/h", "m/s2", "rad", "rad/s", "S/m", "deg",
        "J", "N", "T", "count",
    )
)  # fmt: skip
"""Sensor Units (5701) that are taken at their word; "C" or "degrees" could be anything."""
