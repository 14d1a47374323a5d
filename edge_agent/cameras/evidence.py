"""What the checks of a feed bring back; `judge` turns it into a verdict."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Literal

from edge_agent.cameras.grading import Fault, Grade
from edge_agent.cameras.notifications import EventFault
from edge_agent.cameras.sdp import Track
from edge_agent.cameras.stream_sample import StreamFault, StreamSample
from edge_agent.cameras.verdict import Outcome


@dataclass(frozen=True, slots=True)
class StreamCheck:
    """One RTSP check.

    Attributes:
        outcome: How it ended.
        rtt_ms: From sending OPTIONS to its answer, in milliseconds; None without an answer.
        described: Whether DESCRIBE was answered, not only OPTIONS.
        fingerprint: What identifies the answer to OPTIONS; another one means a changed device.
        tracks: From DESCRIBE; empty otherwise.
        detail: For people: what was expected and found.
        proven: Others were found to share the fault, so that it needs no second opinion.
    """

    outcome: Outcome
    rtt_ms: float | None = None
    described: bool = False
    fingerprint: str = ""
    tracks: tuple[Track, ...] = ()
    detail: str = ""
    proven: bool = False


DeviceFault = Literal[
    "onvif_unreachable",
    "onvif_timeout",
    "onvif_auth_failed",
    "onvif_limit",
    "onvif_malformed",
    "onvif_fault",
    "clock_skew",
]


@dataclass(frozen=True, slots=True)
class DeviceCheck:
    """One ONVIF check.

    Attributes:
        faults: Empty when all is well.
        skew_s: The device's clock minus ours in seconds, or None when it could not be learned.
        identity: Manufacturer, model, firmware and serial number in one line; empty when unknown.
        changed: Whether the identity is another than at the last check.
        snapshot_url: Where a still picture can be fetched; empty when the device offers none.
        detail: For people: what was expected and found, and which answers came with losses.
        profile: Token of the media profile that is this feed's; empty when it cannot be told.
    """

    faults: tuple[DeviceFault, ...] = ()
    skew_s: float | None = None
    identity: str = ""
    changed: bool = False
    snapshot_url: str = ""
    detail: str = ""
    profile: str = ""


@dataclass(frozen=True, slots=True)
class PictureCheck:
    """One graded snapshot.

    Attributes:
        faults: The worst first; `grading.GRADES` lists what it can hold.
        grades: All of them, with what was measured.
    """

    faults: tuple[Fault, ...]
    grades: tuple[Grade, ...] = ()


@dataclass(frozen=True, slots=True)
class SampleCheck:
    """A few seconds of a stream's packets.

    Attributes:
        faults: The worst first.
        sample: What was seen; None when the stream was not to be had.
        trouble: Why it was not.
    """

    faults: tuple[StreamFault, ...] = ()
    sample: StreamSample | None = None
    trouble: str = ""


@dataclass(frozen=True, slots=True)
class EventCheck:
    """What a device says of itself, unasked, now.

    Attributes:
        faults: All that stand; empty when it takes the last one back.
        until: Nanoseconds since 1970; what is not repeated by then is no longer so.
    """

    faults: tuple[EventFault, ...]
    until: int


Evidence = StreamCheck | DeviceCheck | PictureCheck | SampleCheck | EventCheck
