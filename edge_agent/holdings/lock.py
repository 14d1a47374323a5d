"""``profiles.lock``: which version of each profile an edge uses, for people and for the next start.

The agent writes it whenever a version changes; with it and the bundles beside it the edge starts
without the centre as it ran before.
"""

from __future__ import annotations

import json
import os
from dataclasses import dataclass, field, replace
from pathlib import Path
from typing import Any

import msgspec

from gateway_core.config import read_yaml
from gateway_core.errors import ConfigError, Fault, Unavailable
from gateway_core.model import ProfileOrigin

LOCK = "profiles.lock"
_HEAD = """\
# Which version of each profile this edge uses, where it comes from and since when.
# The agent writes this file. To hold a version: tidegate edge pin vendor/model@1.2.0
"""


@dataclass(frozen=True, slots=True)
class Used:
    """One version in use.

    Attributes:
        version: Semantic version.
        sha256: Digest of its bundle.
        origin: Where it comes from.
        since: When this edge began to use it, RFC 3339.
    """

    version: str
    sha256: str
    origin: ProfileOrigin = "centre"
    since: str = ""


@dataclass(frozen=True, slots=True)
class Lock:
    """The file's content.

    Attributes:
        registry: Id of the key of the registry whose plan is followed; empty: none ever was.
        serial: Of the newest plan that was followed; an older one is refused.
        used: Profile to what is in use.
        planned: Profile to what the plan wants active, whatever a pin or a folder says.
        shadow: Profile to what is compared beside it.
        pins: Profile to the version that a person holds here.
    """

    registry: str = ""
    serial: int = 0
    used: dict[str, Used] = field(default_factory=dict)
    planned: dict[str, Used] = field(default_factory=dict)
    shadow: dict[str, Used] = field(default_factory=dict)
    pins: dict[str, str] = field(default_factory=dict)

    def digests(self) -> set[str]:
        """Return the digests of all bundles that the file speaks of."""
        groups = (self.used, self.planned, self.shadow)
        return {one.sha256 for group in groups for one in group.values()}

    def pinned(self, profile: str, version: str | None) -> Lock:
        """Return the lock with a pin, or without one."""
        pins = {name: held for name, held in self.pins.items() if name != profile}
        return replace(self, pins=pins | ({profile: version} if version else {}))


def read_lock(path: Path) -> Lock:
    """Read the file; an absent one is an empty lock.

    Raises:
        ConfigError: Somebody made a mistake in it, with its place.
    """
    if not path.exists():
        return Lock()
    document = read_yaml(path)
    try:
        return msgspec.convert(document.data or {}, Lock)
    except msgspec.ValidationError as exc:
        message = f"{exc}; remove the file to follow the plan anew"
        raise ConfigError(Fault(path, 0, 0, "", message)) from exc


def write_lock(path: Path, lock: Lock) -> None:
    """Replace the file, whole or not at all.

    Raises:
        Unavailable: The disk did not take it.
    """
    text = _HEAD + "".join(_lines(lock))
    part = path.with_name(path.name + ".part")
    try:
        with part.open("w", encoding="utf-8") as file:
            file.write(text)
            file.flush()
            os.fsync(file.fileno())
        part.replace(path)
    except OSError as exc:
        raise Unavailable(f"{path}: {exc.strerror}") from exc


def _lines(lock: Lock) -> list[str]:
    lines = [f"registry: {_quoted(lock.registry)}\n", f"serial: {lock.serial}\n"]
    for name in ("used", "planned", "shadow"):
        group: dict[str, Used] = getattr(lock, name)
        lines.append(f"{name}:{'' if group else ' {}'}\n")
        lines += [
            f"  {_quoted(profile)}: {_entry(one)}\n" for profile, one in sorted(group.items())
        ]
    lines.append(f"pins:{'' if lock.pins else ' {}'}\n")
    lines += [f"  {_quoted(name)}: {_quoted(held)}\n" for name, held in sorted(lock.pins.items())]
    return lines


def _entry(used: Used) -> str:
    parts = (f"{name}: {_quoted(getattr(used, name))}" for name in Used.__slots__)
    return "{" + ", ".join(parts) + "}"


def _quoted(text: Any) -> str:
    """Return a text as JSON writes it, which YAML reads alike."""
    return json.dumps(text, ensure_ascii=False)
