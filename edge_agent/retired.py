"""Which devices are read by a profile that its vendor has retired, and what to use instead."""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterable, Mapping

import msgspec

from device_profiles.profile import Profile

RETIRED = ("deprecated", "withdrawn")


class Retired(msgspec.Struct, frozen=True):
    """One retired profile that devices still have.

    Attributes:
        profile: Its id.
        status: ``deprecated``: there is something better. ``withdrawn``: it must not be used; the
            devices that have it are still read, others are not admitted.
        successor: Id of the profile that takes its place; empty where none is known.
        devices: How many devices have it.
    """

    profile: str
    status: str
    successor: str
    devices: int

    def __str__(self) -> str:
        """Return it for people."""
        instead = f"; use {self.successor}" if self.successor else ""
        return f"{self.profile} is {self.status}, {self.devices} devices have it{instead}"


def retired(profiles: Mapping[str, Profile], having: Iterable[str]) -> list[Retired]:
    """Return the retired profiles among those that devices have, by id.

    Args:
        profiles: The loaded profiles.
        having: The profile's id of each device.
    """
    old = {one.id: one for one in profiles.values() if one.status in RETIRED}
    if not old:
        return []  # nearly always, and nobody need look at tens of thousands of devices
    followers = {one.replaces: one.id for one in profiles.values() if one.replaces}
    counts = Counter(name for name in having if name in old)
    return [
        Retired(name, old[name].status, old[name].successor or followers.get(name, ""), count)
        for name, count in sorted(counts.items())
    ]
