"""Which versions this edge uses: the lock, the bundles, and what a plan and pins make of them."""

from __future__ import annotations

import re
from collections.abc import Mapping
from dataclasses import replace
from datetime import UTC, datetime
from pathlib import Path

import structlog

from device_profiles.bundle import pack_document
from device_profiles.catalogue import SHIPPED, Catalogue
from device_profiles.profile import Profile
from edge_agent.holdings.cache import FOLDER, Cache
from edge_agent.holdings.lock import LOCK, Lock, Used, read_lock, write_lock
from edge_agent.lineage import Origin
from gateway_core.clock import NS, Clock, wall_ns
from gateway_core.config import read_yaml
from gateway_core.errors import ConfigError, PayloadError
from gateway_core.model import ProfileOrigin

log = structlog.get_logger()

PROFILE_ID = re.compile(r"[a-z0-9][a-z0-9-]*/[a-z0-9][a-z0-9.-]*")


class Versions:
    """The versions of one edge; blocking.

    Args:
        data_dir: The edge's.
        clock: For since when a version is used.

    Attributes:
        cache: The bundles.
        lock: As it stands on disk.
    """

    def __init__(self, data_dir: Path, clock: Clock = wall_ns) -> None:
        self.cache = Cache(data_dir / FOLDER)
        self._path = data_dir / LOCK
        self._clock = clock
        self._unread = False
        try:
            self.lock = read_lock(self._path)
        except ConfigError as exc:
            # an edge that cannot read its lock still takes in what its devices say
            log.error("lock_unread", why=str(exc))  # noqa: TRY400 - not a bug
            self.lock = Lock()
            self._unread = True

    def files(self) -> dict[str, Path]:
        """Return the profile files of what the centre sent and is in use, by profile."""
        found, lost = self._open({p: u for p, u in self.lock.used.items() if u.origin == "centre"})
        for profile, why in lost.items():
            log.error("version_lost", profile=profile, why=why)
        return found

    def wanted(self, lock: Lock) -> tuple[dict[str, Path], dict[str, str]]:
        """Return the files that a plan and pins ask for, and why some cannot be had."""
        chosen = dict(lock.planned)
        for profile, version in lock.pins.items():
            if profile in chosen and chosen[profile].version == version:
                continue
            chosen.pop(profile, None)
            held = self.cache.find(profile, version)
            if held is not None:
                chosen[profile] = Used(version, held.sha256)
        return self._open(chosen)

    def origins(self, catalogue: Catalogue) -> dict[str, Origin]:
        """Return where each profile of a catalogue comes from."""
        return {name: self._origin(catalogue, one) for name, one in catalogue.profiles.items()}

    def save(self, lock: Lock, catalogue: Catalogue, origins: Mapping[str, Origin]) -> None:
        """Write down what is in use now.

        Raises:
            Unavailable: The disk did not take it.
        """
        now = datetime.fromtimestamp(self._clock() // NS, UTC).isoformat().replace("+00:00", "Z")
        used = {}
        for name, origin in origins.items():
            version = catalogue.profiles[name].version
            before = self.lock.used.get(name)
            one = Used(version, origin.sha256, origin.kind, now)
            same = before is not None and replace(before, since=now) == one
            used[name] = before if before is not None and same else one
        self.write(replace(lock, used=used))
        self.cache.prune(self.lock.digests())

    def write(self, lock: Lock) -> None:
        """Write the lock where it differs.

        Raises:
            Unavailable: The disk did not take it.
        """
        if self._unread:
            self._path.replace(self._path.with_name(LOCK + ".unread"))
            self._unread = False
        if lock != self.lock or not self._path.exists():
            write_lock(self._path, lock)
            self.lock = lock

    def here(self, profile: str) -> list[str]:
        """Return the versions of a profile that can be used without the centre."""
        found = [one.version for one in self.cache.all() if one.profile == profile]
        shipped = SHIPPED / f"{profile}.yaml"
        if PROFILE_ID.fullmatch(profile) and shipped.is_file():
            found.append(str(read_yaml(shipped).data["version"]))
        return list(dict.fromkeys(found))

    def file_of(self, profile: str, version: str) -> Path | None:
        """Return the profile's file of a version that is here, or None."""
        held = self.cache.find(profile, version)
        if held is not None:
            return self.cache.open(held.sha256)
        return SHIPPED / f"{profile}.yaml" if version in self.here(profile) else None

    def _open(self, wanted: Mapping[str, Used]) -> tuple[dict[str, Path], dict[str, str]]:
        found: dict[str, Path] = {}
        lost: dict[str, str] = {}
        for profile, used in wanted.items():
            try:
                found[profile] = self.cache.open(used.sha256)
            except PayloadError as exc:
                lost[profile] = f"{used.version}: {exc.detail}"
        return found, lost

    def _origin(self, catalogue: Catalogue, profile: Profile) -> Origin:
        file = Path(profile.file)
        if self.cache.folder in file.parents:
            return Origin("centre", file.parent.name)
        kind: ProfileOrigin = "shipped" if catalogue.ships(profile) else "site"
        try:
            return Origin(kind, pack_document(profile.document, file).digest)
        except ConfigError:  # it names a file that no bundle may hold; here it reads all the same
            return Origin(kind, profile.digest)
