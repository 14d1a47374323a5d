"""Lint of cardinality: what would make a new series, or a new device, with every message."""

from __future__ import annotations

import re
from collections import defaultdict
from collections.abc import Iterable

from device_profiles.finding import Findings
from device_profiles.lint_evidence import Evidence
from device_profiles.profile import Profile

_ALWAYS_NEW = frozenset({"time", "timestamp", "ts", "msgid", "messageid", "seq", "nonce", "uuid"})
_WORD = re.compile(r"[^a-z]+")
_FEWEST = 3


def lint_cardinality(profile: Profile, evidence: Evidence, findings: Findings) -> None:
    """Enter tags and device ids that change with every message."""
    for index, tag in enumerate(profile.document.data["store"].get("tags", ())):
        if changes_always(tag):
            findings.error(
                "tag-without-bound",
                ("store", "tags", index),
                f"{tag!r} is another one in every message, and every value of a tag is a series "
                "of its own: leave it out, or make it a measurement",
            )
        else:
            _check_tag(tag, index, evidence, findings)
    for name in profile.identity.names:
        if changes_always(name):
            findings.error(
                "device-without-bound",
                ("device", "id"),
                f"{{{name}}} is another one in every message, so every message would be a new "
                "device: name the device by what stays the same",
            )
    _check_devices(profile, evidence, findings)


def changes_always(name: str) -> bool:
    """Return whether a name says that its value is another one every time."""
    word = _WORD.sub("", name.rpartition(".")[2].lower())
    return word in _ALWAYS_NEW


def _check_tag(tag: str, index: int, evidence: Evidence, findings: Findings) -> None:
    seen: dict[str, list[str]] = defaultdict(list)
    for heard in evidence.heard:
        decoded = heard.passage.received.decoded
        for one in decoded.devices if decoded else ():
            for point in one.readings:
                if tag in point.tags:
                    seen[one.device].append(point.tags[tag])
    for device, values in seen.items():
        if len(values) >= _FEWEST and _all_new(values):
            findings.warn(
                "tag-changes",
                ("store", "tags", index),
                f"{tag!r} had {len(values)} values in {len(values)} vectors of device {device}: "
                "a tag should stay the same for a device; did you mean a measurement?",
            )
            return


def _all_new(values: Iterable[str]) -> bool:
    listed = list(values)
    return len(set(listed)) == len(listed)


def _check_devices(profile: Profile, evidence: Evidence, findings: Findings) -> None:
    """Enter an id that changes between messages of one topic which name it in the payload."""
    by_address: dict[str, list[str]] = defaultdict(list)
    for heard in evidence.heard:
        decoded = heard.passage.received.decoded
        if decoded is not None and not decoded.more:
            address = heard.recv.get("topic", heard.recv.get("path", ""))
            by_address[address].append(decoded.device)
    opened = [heard.passage.opened for heard in evidence.heard if heard.passage.opened]
    if not opened or all(name in opened[0].captures for name in profile.identity.names):
        return
    for address, devices in by_address.items():
        if len(devices) > _FEWEST and _all_new(devices):
            findings.warn(
                "device-changes",
                ("device", "id"),
                f"{len(devices)} messages of {address} gave {len(devices)} devices: is what names "
                "the device the same in all messages of one device?",
            )
            return
