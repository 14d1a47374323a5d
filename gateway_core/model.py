"""The record: one thing known at one instant. Pure: no I/O, no clock, no logger.

Every kind is a `msgspec.Struct` encoded as a MessagePack array with its tag first, so that
decoding is validation. Times are nanoseconds since 1970 (UTC). New attributes go to the end and
have a default, so that an older peer's records still decode (docs/reference/formats/wire.md).
"""

from __future__ import annotations

from typing import Literal

import msgspec

Value = bool | int | float | str
"""What a field can hold. Integers are whole up to 64 bits and never pass through a float."""


class Reading(msgspec.Struct, frozen=True, array_like=True, tag="r", gc=False):
    """One device, one instant, several named fields.

    Attributes:
        edge: The edge agent that took it in.
        device: The device's id; the ``device`` tag.
        profile: The profile's id, without version; the ``profile`` tag.
        measurement: The series' measurement; aggregates end in ``_<every>``.
        time: The device's own time where it is believable, else ``received``.
        received: When the edge took it in.
        fields: Name to value; never empty.
        tags: Tags beyond edge, device and profile, as the profile names them.
        flags: Quality flags ``<field>:<code>`` of what was left out, as ``humidity:range``.
        derived: True for an aggregate made from other readings, which stay on site.
    """

    edge: str
    device: str
    profile: str
    measurement: str
    time: int
    received: int
    fields: dict[str, Value]
    tags: dict[str, str] = {}
    flags: tuple[str, ...] = ()
    derived: bool = False


FeedState = Literal[
    "online",
    "degraded",
    "offline",
    "auth_failed",
    "locked_out",
    "no_stream",
    "unknown",
    "stale",
    "maintenance",
]


class FeedHealth(msgspec.Struct, frozen=True, array_like=True, tag="f", gc=False):
    """The verdict on one video feed, written on change and once an hour.

    Attributes:
        edge: The edge agent that judged.
        feed: The feed's id.
        time: When the verdict was reached.
        state: See docs/reference/verdicts.md; ``unknown`` is not ``offline``.
        faults: Why, as stable codes, for example ``rtsp_timeout`` or ``picture_black``.
        checks: Checks since the last record of this feed.
        failures: How many of them failed.
        rtt_ms: Round trip of the last answered check in milliseconds; None without an answer.
        up_s: Seconds judged up since the last record.
        hourly: True for the hourly roll-up, False for a change.
        worst: The worst fault that any picture showed since the last record, whether or not it
            was adopted as a fault of the feed; empty for none.
        mark: What is known against its time (`gateway_core.time_marks`), joined by commas; empty
            for nothing.
    """

    edge: str
    feed: str
    time: int
    state: FeedState
    faults: tuple[str, ...] = ()
    checks: int = 0
    failures: int = 0
    rtt_ms: float | None = None
    up_s: float = 0.0
    hourly: bool = False
    worst: str = ""
    mark: str = ""


SystemState = Literal["up", "degraded", "down", "unknown", "maintenance"]


class SystemHealth(msgspec.Struct, frozen=True, array_like=True, tag="s", gc=False):
    """The verdict on one IT system, written on change and once an hour; as `FeedHealth`."""

    edge: str
    system: str
    time: int
    state: SystemState
    faults: tuple[str, ...] = ()
    checks: int = 0
    failures: int = 0
    rtt_ms: float | None = None
    up_s: float = 0.0
    hourly: bool = False
    mark: str = ""


Severity = Literal["critical", "major", "minor", "warning", "info"]


class Alarm(msgspec.Struct, frozen=True, array_like=True, tag="a", gc=False):
    """A rule of a profile, a feed or a system began or ceased to hold.

    Attributes:
        edge: The edge agent that noticed.
        device: The device, feed or system it is about.
        profile: The profile whose rule it is; ``camera`` or ``system`` for those.
        rule: The rule's name, for example ``overload`` or ``silence``.
        severity: As the rule declares it.
        state: ``raised`` or ``cleared``.
        time: When.
        text: Language to text, for people; empty where egress says ``code-only``.
        mark: As of a `FeedHealth`.
    """

    edge: str
    device: str
    profile: str
    rule: str
    severity: Severity
    state: Literal["raised", "cleared"]
    time: int
    text: dict[str, str] = {}
    mark: str = ""


class Loss(msgspec.Struct, frozen=True, array_like=True, tag="l", gc=False):
    """An interval that was evicted, thinned or damaged, and why: a gap that is known.

    Attributes:
        edge: Whose spool lost it.
        time: When the loss was noticed.
        epoch: The spool's epoch that the sequence numbers belong to.
        first: First sequence number lost.
        last: Last sequence number lost, inclusive.
        reason: ``damaged``, ``evicted`` or ``thinned``.
        detail: What was found, for people.
        since: Earliest receive time of what was lost, with its neighbours in the same pass;
            0 where it is not known.
        until: Latest one; 0 where it is not known.
    """

    edge: str
    time: int
    epoch: str
    first: int
    last: int
    reason: Literal["damaged", "evicted", "thinned"]
    detail: str = ""
    since: int = 0
    until: int = 0


class Listed(msgspec.Struct, frozen=True, array_like=True, tag="i", gc=False):
    """One device, feed or system entered an edge's registry, or its entry changed.

    Attributes:
        edge: Whose registry.
        kind: What it is.
        id: Its id there.
        time: When.
        name: For people; may be empty.
        profile: A device's profile id; empty for the rest.
        area: Code of the area tree; may be empty.
        lat: Degrees north, WGS-84.
        lon: Degrees east, WGS-84.
        online: What an availability topic or will said; None when nothing was said.
        group: What a feed shares a fate with (an NVR, a switch); may be empty.
        gb_code: A feed's 20-digit code of GB/T 28181; may be empty.
    """

    edge: str
    kind: Literal["device", "feed", "system"]
    id: str
    time: int
    name: str = ""
    profile: str = ""
    area: str = ""
    lat: float | None = None
    lon: float | None = None
    online: bool | None = None
    group: str = ""
    gb_code: str = ""


ProfileOrigin = Literal["site", "centre", "shipped"]


class ProfileUse(msgspec.Struct, frozen=True, array_like=True, tag="p", gc=False):
    """From this sequence number on an edge reads a profile's messages with this version.

    An edge changes versions between two appends, so which version decoded a reading follows from
    the newest of these records of its edge and profile below its sequence number.

    Attributes:
        edge: Whose messages.
        profile: The profile's id.
        version: Its version.
        sha256: Digest of its bundle (the profile and the files that it names), hexadecimal.
        time: When the edge began.
        previous: The version that it used before; empty for the first.
        origin: The site's own folder, the collector's plan, or what came with the program.
        epoch: Of the edge's spool; the collector's intake enters it.
        seq: Where it stands there; the collector's intake enters it.
    """

    edge: str
    profile: str
    version: str
    sha256: str
    time: int
    previous: str = ""
    origin: ProfileOrigin = "site"
    epoch: str = ""
    seq: int = 0


Record = Reading | FeedHealth | SystemHealth | Alarm | Loss | Listed | ProfileUse


class Refusal(msgspec.Struct, frozen=True, gc=False):
    """A payload that no profile could read, kept raw so that a mended profile can replay it.

    Attributes:
        source: The source's name, for example ``mqtt:site``.
        address: Topic or path it came to.
        payload: The bytes as they came (cut to the source's size limit).
        reason: A stable code, for example ``bad_crc``.
        detail: What was expected and found.
        received: When, in nanoseconds.
        content_format: CoAP Content-Format, or None.
    """

    source: str
    address: str
    payload: bytes
    reason: str
    detail: str
    received: int
    content_format: int | None = None


class Rejection(msgspec.Struct, frozen=True, gc=False):
    """A record that a sink will never accept, and why."""

    seq: int
    reason: str
    detail: str = ""


class Batch(msgspec.Struct, frozen=True, gc=False):
    """Consecutive records of one spool: ``records[i]`` has sequence number ``first + i``.

    Attributes:
        first: Sequence number of the first record.
        records: At least one.
    """

    first: int
    records: list[Record]

    @property
    def last(self) -> int:
        """Sequence number of the last record."""
        return self.first + len(self.records) - 1


class Receipt(msgspec.Struct, frozen=True, gc=False):
    """What a sink did with a batch; everything not named here was delivered.

    Attributes:
        rejected: Will never be accepted; the spool moves them to ``quarantine``.
        dropped: Reason to count of records withheld on purpose, for example ``{"policy": 12}``.
        append: Records made from these (aggregates), appended in the transaction that settles.
        state: Keys to set (or, with None, to delete) in that same transaction.
    """

    rejected: tuple[Rejection, ...] = ()
    dropped: dict[str, int] = {}
    append: tuple[Record, ...] = ()
    state: dict[str, bytes | None] = {}
