"""How the centre's versions do since this edge decodes with them, beside a time as long before."""

from __future__ import annotations

from collections.abc import Iterator, Mapping

import msgspec

from device_profiles.plan import Report
from edge_agent.holdings.lock import Used
from edge_agent.tally import SLOT_NS, Tally
from edge_agent.versions.reporting import blank
from gateway_core.clock import NS, Clock
from gateway_core.instant import parse_instant

WATCHED_NS = 3600 * NS
"""A version that has decoded for so long is no news any more."""


class Running:
    """Makes reports of versions that took over within the last hour.

    Args:
        tally: How each profile does.
        clock: The edge's clock.
    """

    def __init__(self, tally: Tally, clock: Clock) -> None:
        self._tally = tally
        self._clock = clock
        self._told: dict[str, tuple[int, int]] = {}

    def reports(self, used: Mapping[str, Used]) -> Iterator[tuple[Report, str]]:
        """Yield a report, and what names it, of each version of which there is something new."""
        now = self._clock()
        for profile, version in used.items():
            if version.origin != "centre" or not version.since:
                continue
            # the ten seconds of the switch itself have messages of both versions
            start = (parse_instant(version.since, now) // SLOT_NS + 1) * SLOT_NS
            if not start < now < start + WATCHED_NS:
                continue
            counts = self._tally.between(profile, start, now + SLOT_NS)
            if not counts[0] or self._told.get(version.sha256) == counts:
                continue
            self._told[version.sha256] = counts
            before = self._tally.between(profile, start - SLOT_NS - (now - start), start - SLOT_NS)
            report = blank("running", profile, version.version, version.sha256)
            yield (
                msgspec.structs.replace(
                    report,
                    messages=counts[0],
                    refused=counts[1],
                    messages_before=before[0],
                    refused_before=before[1],
                ),
                str(now // SLOT_NS),
            )
        self._told = {
            sha256: counts
            for sha256, counts in self._told.items()
            if any(one.sha256 == sha256 for one in used.values())
        }
