"""Bundles on this edge: what the centre sent, by digest, every byte checked when it is opened."""

from __future__ import annotations

import shutil
from collections.abc import Collection, Iterator
from dataclasses import dataclass
from pathlib import Path

from device_profiles import bundle
from gateway_core.config import read_yaml
from gateway_core.errors import ConfigError, PayloadError, Unavailable

FOLDER = "profiles"
MOST_SPARE = 64
"""Bundles kept that nothing speaks of: what can be gone back to without the centre."""


@dataclass(frozen=True, slots=True)
class Cached:
    """One bundle that is there.

    Attributes:
        profile: The profile's id.
        version: Its version.
        sha256: The bundle's digest.
    """

    profile: str
    version: str
    sha256: str


class Cache:
    """The bundles below one folder; blocking.

    Args:
        folder: Where.
    """

    def __init__(self, folder: Path) -> None:
        self.folder = folder

    def keep(self, data: bytes, sha256: str) -> Path:
        """Keep a bundle under the digest that was promised; return its profile's file.

        Raises:
            PayloadError: ``bad_bundle``: the bytes are others, or no bundle.
            Unavailable: The disk did not take it.
        """
        if bundle.digest_of(data) != sha256:
            raise PayloadError("bad_bundle", f"the bytes are not those of {sha256[:16]}")
        try:
            return bundle.unpack(data, self.folder) / bundle.PROFILE
        except OSError as exc:
            raise Unavailable(f"{self.folder}: {exc.strerror}") from exc

    def open(self, sha256: str) -> Path:
        """Return the profile's file of a bundle.

        Raises:
            PayloadError: ``no_bundle`` or ``bad_bundle``: it must be fetched again.
        """
        return bundle.open_unpacked(self.folder, sha256)

    def find(self, profile: str, version: str) -> Cached | None:
        """Return the newest bundle of a version that is there, or None."""
        found = [one for one in self.all() if (one.profile, one.version) == (profile, version)]
        return found[-1] if found else None

    def all(self) -> Iterator[Cached]:
        """Yield what is there, by when it came."""
        for folder in self._folders():
            try:
                data = read_yaml(folder / bundle.PROFILE).data
                yield Cached(str(data["id"]), str(data["version"]), folder.name)
            except (ConfigError, KeyError, TypeError):
                continue

    def prune(self, wanted: Collection[str]) -> None:
        """Remove the oldest of what nothing speaks of, until few enough are left."""
        spare = [folder for folder in self._folders() if folder.name not in wanted]
        for folder in spare[: max(0, len(spare) - MOST_SPARE)]:
            shutil.rmtree(folder, ignore_errors=True)

    def _folders(self) -> list[Path]:
        if not self.folder.is_dir():
            return []
        found = [one for one in self.folder.iterdir() if len(one.name) == 64 and one.is_dir()]
        return sorted(found, key=lambda one: (one.stat().st_mtime_ns, one.name))
