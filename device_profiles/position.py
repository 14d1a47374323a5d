"""Coordinates: from the reference system that a device uses to WGS-84.

China's maps use GCJ-02, an offset of WGS-84 that the State Bureau of Surveying and Mapping
prescribes, and Baidu's use BD-09, an offset of GCJ-02. Neither is published; the formulas here are
those that have been in general use since 2013 (on the Krasovsky 1940 ellipsoid) and agree with the
map services' own conversion to about a metre. The way back from GCJ-02 is by iteration.
"""

from __future__ import annotations

import math
from collections.abc import Callable
from dataclasses import dataclass

from gateway_core.model import Value

_AXIS = 6378245.0
"""Semi-major axis of the Krasovsky 1940 ellipsoid, in metres."""

_ECCENTRICITY = 0.00669342162296594323
"""Its first eccentricity, squared."""

_BAIDU = math.pi * 3000.0 / 180.0
_CLOSE = 1e-9
_MOST_ROUNDS = 30

Place = tuple[float, float]
"""Latitude and longitude in degrees."""


def outside_china(lat: float, lon: float) -> bool:
    """Return whether GCJ-02 leaves a place as it is."""
    return not (0.8293 <= lat <= 55.8271 and 72.004 <= lon <= 137.8347)


def wgs84_to_gcj02(lat: float, lon: float) -> Place:
    """Return a place of WGS-84 as GCJ-02 has it."""
    if outside_china(lat, lon):
        return lat, lon
    north, east = _shift(lon - 105.0, lat - 35.0)
    angle = math.radians(lat)
    bend = 1 - _ECCENTRICITY * math.sin(angle) ** 2
    root = math.sqrt(bend)
    north = north * 180.0 / (_AXIS * (1 - _ECCENTRICITY) / (bend * root) * math.pi)
    east = east * 180.0 / (_AXIS / root * math.cos(angle) * math.pi)
    return lat + north, lon + east


def _shift(x: float, y: float) -> Place:
    """Return the offset north and east in metres, ``x`` and ``y`` degrees from the origin."""
    wave = 20.0 * math.sin(6.0 * x * math.pi) + 20.0 * math.sin(2.0 * x * math.pi)
    root = math.sqrt(abs(x))
    north = -100.0 + 2.0 * x + 3.0 * y + 0.2 * y * y + 0.1 * x * y + 0.2 * root
    north += wave * 2.0 / 3.0
    north += (20.0 * math.sin(y * math.pi) + 40.0 * math.sin(y / 3.0 * math.pi)) * 2.0 / 3.0
    north += (160.0 * math.sin(y / 12.0 * math.pi) + 320 * math.sin(y * math.pi / 30.0)) * 2.0 / 3.0
    east = 300.0 + x + 2.0 * y + 0.1 * x * x + 0.1 * x * y + 0.1 * root
    east += wave * 2.0 / 3.0
    east += (20.0 * math.sin(x * math.pi) + 40.0 * math.sin(x / 3.0 * math.pi)) * 2.0 / 3.0
    east += (
        (150.0 * math.sin(x / 12.0 * math.pi) + 300.0 * math.sin(x / 30.0 * math.pi)) * 2.0 / 3.0
    )
    return north, east


def gcj02_to_wgs84(lat: float, lon: float) -> Place:
    """Return the place of WGS-84 that GCJ-02 shows as this, to better than 1e-7 degrees."""
    if outside_china(lat, lon):
        return lat, lon
    found_lat, found_lon = lat, lon
    for _ in range(_MOST_ROUNDS):
        shown_lat, shown_lon = wgs84_to_gcj02(found_lat, found_lon)
        off_lat, off_lon = shown_lat - lat, shown_lon - lon
        found_lat -= off_lat
        found_lon -= off_lon
        if abs(off_lat) < _CLOSE and abs(off_lon) < _CLOSE:
            break
    return found_lat, found_lon


def gcj02_to_bd09(lat: float, lon: float) -> Place:
    """Return a place of GCJ-02 as Baidu's maps have it."""
    radius = math.hypot(lon, lat) + 0.00002 * math.sin(lat * _BAIDU)
    angle = math.atan2(lat, lon) + 0.000003 * math.cos(lon * _BAIDU)
    return radius * math.sin(angle) + 0.006, radius * math.cos(angle) + 0.0065


def bd09_to_gcj02(lat: float, lon: float) -> Place:
    """Return a place of Baidu's maps as GCJ-02 has it, to better than 1e-7 degrees."""
    found_lat, found_lon = lat - 0.006, lon - 0.0065
    for _ in range(_MOST_ROUNDS):
        shown_lat, shown_lon = gcj02_to_bd09(found_lat, found_lon)
        off_lat, off_lon = shown_lat - lat, shown_lon - lon
        found_lat -= off_lat
        found_lon -= off_lon
        if abs(off_lat) < _CLOSE and abs(off_lon) < _CLOSE:
            break
    return found_lat, found_lon


def bd09_to_wgs84(lat: float, lon: float) -> Place:
    """Return the place of WGS-84 that Baidu's maps show as this; outside China as it is."""
    if outside_china(lat, lon):
        return lat, lon
    return gcj02_to_wgs84(*bd09_to_gcj02(lat, lon))


_TO_WGS84: dict[str, Callable[[float, float], Place] | None] = {
    "wgs84": None,
    "gcj02": gcj02_to_wgs84,
    "bd09": bd09_to_wgs84,
}


@dataclass(frozen=True, slots=True)
class Position:
    """The two fields that are a place.

    Attributes:
        lat: Name of the latitude's field.
        lon: Name of the longitude's field.
        crs: ``wgs84``, ``gcj02`` or ``bd09``: what the device sends; WGS-84 is stored.
    """

    lat: str
    lon: str
    crs: str

    def settle(self, fields: dict[str, Value]) -> str:
        """Make both values WGS-84, or take out one that came alone.

        Args:
            fields: Of one point; changed in place.

        Returns:
            The flag ``<field>:no_pair`` of a value that was taken out, else nothing.
        """
        lat, lon = fields.get(self.lat), fields.get(self.lon)
        if lat is None and lon is None:
            return ""
        if lat is None or lon is None:
            alone = self.lat if lon is None else self.lon
            del fields[alone]
            return f"{alone}:no_pair"
        convert = _TO_WGS84[self.crs]
        if convert is not None:
            fields[self.lat], fields[self.lon] = convert(float(lat), float(lon))
        return ""
