"""Lineage: which version of a profile reads from which record on. No I/O.

A version is noted when it is about to read its first message, and goes out before that message's
readings in the same append; so which version decoded a reading follows from what stands before it.
What was noted last is kept in the spool's state, so that a restart with the same version says
nothing.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass

import msgspec
import structlog

from device_profiles.profile import Profile
from edge_agent.draft import Draft
from gateway_core.clock import Clock
from gateway_core.model import ProfileOrigin, ProfileUse

log = structlog.get_logger()

LINEAGE_KEY = "profile/"


@dataclass(frozen=True, slots=True)
class Origin:
    """Where a loaded version comes from.

    Attributes:
        kind: The site's own folder, the collector's plan, or what came with the program.
        sha256: Digest of its bundle.
    """

    kind: ProfileOrigin
    sha256: str


class _Known(msgspec.Struct, frozen=True):
    version: str
    sha256: str


class Lineage:
    """Notes which versions read.

    Args:
        edge: This edge's id.
        origins: Of the loaded profiles, by id.
        clock: For the time of a change.
    """

    def __init__(self, edge: str, origins: Mapping[str, Origin], clock: Clock) -> None:
        self._edge = edge
        self._origins = origins
        self._clock = clock
        self._noted: set[str] = set()
        self._known: dict[str, _Known] = {}
        self._news: list[ProfileUse] = []

    def recall(self, state: Mapping[str, bytes]) -> None:
        """Take up what the spool keeps under `LINEAGE_KEY`."""
        for key, value in state.items():
            try:
                known = msgspec.json.decode(value, type=_Known)
            except (msgspec.MsgspecError, UnicodeDecodeError) as exc:
                log.warning("lineage_unread", key=key, why=str(exc))
                continue
            self._known[key.removeprefix(LINEAGE_KEY)] = known

    def use(self, origins: Mapping[str, Origin]) -> None:
        """Let other versions read from now on."""
        self._origins = origins
        self._noted.clear()

    def note(self, profile: Profile) -> None:
        """Note that a version is about to read; news only where it is not the one before."""
        if profile.id in self._noted:
            return
        self._noted.add(profile.id)
        origin = self._origins.get(profile.id) or Origin("site", profile.digest)
        now, known = _Known(profile.version, origin.sha256), self._known.get(profile.id)
        if now == known:
            return
        self._known[profile.id] = now
        before = known.version if known else ""
        self._news.append(
            ProfileUse(
                self._edge,
                profile.id,
                now.version,
                now.sha256,
                self._clock(),
                before,
                origin.kind,
            )
        )
        log.info("profile_used", profile=profile.id, version=now.version, before=before)

    def tell(self, draft: Draft) -> None:
        """Put what is new before the readings of a draft."""
        for use in self._news:
            draft.news.append(use)
            draft.kept[LINEAGE_KEY + use.profile] = msgspec.json.encode(self._known[use.profile])
        self._news.clear()
