"""How the patrol goes about its work; every number has a reason in docs/explanation/patrol.md."""

from __future__ import annotations

from dataclasses import dataclass, field

from edge_agent.cameras.stream_sample import SampleLimits


@dataclass(frozen=True, slots=True)
class PatrolSettings:
    """Times in seconds, limits in checks under way at once.

    Attributes:
        sweep_s: Every feed is checked once in this time.
        describe_s: How often a check asks for the stream's description as well, which needs the
            login; in between OPTIONS is enough while its answer stays the same.
        onvif_s: How often a device is asked over ONVIF and its picture graded.
        connect_s: Longest wait for a connection.
        answer_s: Longest wait for one whole answer.
        snapshot_s: Longest wait for a whole snapshot.
        in_flight: RTSP checks in all.
        onvif_in_flight: ONVIF checks in all.
        events: Whether to listen to what the devices say by themselves.
        event_listeners: Devices listened to at once; each keeps a connection.
        event_wait_s: How long a device keeps a question for events waiting when it has none.
        event_gap_s: Pause between two questions for events to one device.
        event_retry_s: Pause after a lost subscription, doubled with each that follows.
        per_host: RTSP checks of one host; cameras take few connections.
        per_group: RTSP checks of one group (NVR, switch); more where it has many hundred feeds.
        per_neighbourhood: RTSP checks of one /24 or /64; as for a group.
        again_sweeps: After a check that disagrees with the verdict the next one comes after this
            part of a sweep.
        extra_share: How many checks beyond one a sweep, as a share of them.
        extra_burst: So many of those at once.
        skew_limit_s: A device clock further off than this is a fault.
        sample_s: How long a stream is listened to.
        sample_in_flight: Streams listened to at once.
        sample_again_s: A suspicious feed is listened to this often.
        sample_limits: Where a stream begins to be bad.
        stale_sweeps: A verdict older than this many sweeps is stale.
        roll_up_s: How often every feed is reported even without a change.
        area: Code of the area of feeds that have none of their own.
    """

    sweep_s: float = 60.0
    describe_s: float = 300.0
    onvif_s: float = 1200.0
    connect_s: float = 3.0
    answer_s: float = 3.0
    snapshot_s: float = 8.0
    in_flight: int = 256
    onvif_in_flight: int = 16
    events: bool = False
    event_listeners: int = 1024
    event_wait_s: float = 30.0
    event_gap_s: float = 2.0
    event_retry_s: float = 5.0
    per_host: int = 1
    per_group: int = 4
    per_neighbourhood: int = 64
    again_sweeps: float = 0.25
    extra_share: float = 0.2
    extra_burst: int = 20
    skew_limit_s: float = 10.0
    sample_s: float = 6.0
    sample_in_flight: int = 2
    sample_again_s: float = 900.0
    sample_limits: SampleLimits = field(default_factory=SampleLimits)
    stale_sweeps: float = 3.0
    roll_up_s: float = 3600.0
    area: str = ""
