"""The edge agent's configuration file, section by section (docs/reference/configuration.md).

Relative paths are relative to the folder of the file that names them, so that a site's folder can
be moved as a whole. Secrets are paths to files, never values.
"""

from __future__ import annotations

from pathlib import Path
from typing import Annotated, Literal
from urllib.parse import urlsplit

from pydantic import AfterValidator, BaseModel, ConfigDict, Field, model_validator

from edge_agent.sources.listen.settings import ListenSettings
from edge_agent.sources.settings import CoapSettings, MqttSettings
from gateway_core.config import BitRate, Duration, Listen, Size, anchored, load_config
from gateway_core.spool import SpoolOptions
from gateway_core.units import Address

KIB, MIB, GIB = 1 << 10, 1 << 20, 1 << 30
ID = r"[a-z0-9][a-z0-9._-]{0,63}"


class _Section(BaseModel):
    model_config = ConfigDict(frozen=True, extra="forbid")


def _url(*schemes: str) -> AfterValidator:
    def check(text: str) -> str:
        try:
            parts = urlsplit(text)
            host, _ = parts.hostname, parts.port
        except ValueError as exc:
            raise ValueError(f"not a URL: {exc}") from exc
        if parts.scheme not in schemes or not host:
            raise ValueError(f"expected {' or '.join(f'{s}://host:port' for s in schemes)}")
        if parts.username is not None or parts.password is not None:
            raise ValueError("a URL must not hold credentials; use username and password_file")
        return text

    return AfterValidator(check)


class EdgeSection(_Section):
    """Who this edge is and where it keeps its data.

    Attributes:
        id: The ``edge`` tag of everything it sends.
        area: Code of the area tree.
        data_dir: Spool, archive, registry and ledger live here.
        max_payload: Longer payloads are refused as ``too_large``.
    """

    id: Annotated[str, Field(pattern=f"^{ID}$")]
    area: Annotated[str, Field(max_length=64)] = ""
    data_dir: Path
    max_payload: Annotated[Size, Field(ge=1 * KIB, le=16 * MIB)] = 256 * KIB


class MqttSection(MqttSettings):
    """One broker.

    Attributes:
        max_packet: More than ``edge.max_payload``, because the broker drops a longer packet by
            itself: what is merely too long must arrive, to be refused, kept and counted.
    """

    max_packet: Annotated[Size, Field(ge=1 * KIB, le=16 * MIB)] = 4 * MIB


class ListenSection(ListenSettings):
    """One listener that devices connect to themselves.

    Attributes:
        max_packet: More than ``edge.max_payload``: what is merely too long must arrive, to be
            refused, kept and counted.
    """

    max_packet: Annotated[Size, Field(ge=1 * KIB, le=16 * MIB)] = 4 * MIB


class DevicesSection(_Section):
    """Which devices may speak.

    Attributes:
        file: devices.csv.
        unknown: What happens to a device that a profile matches but nobody listed.
        limit: Largest number of devices that enter themselves.
    """

    file: Path | None = None
    unknown: Literal["register", "hold", "refuse"] = "register"
    limit: Annotated[int, Field(ge=1, le=1_000_000)] = 100_000


class CamerasSection(_Section):
    """The camera patrol.

    Attributes:
        file: feeds.csv.
        sweep: How often each feed is judged.
        key_file: Seals the passwords in it; every camera's password is lost with it.
        events: Whether to listen to what ONVIF devices say by themselves (tampering, signal loss,
            pictures too dark, too bright or blurred); each device then keeps a connection.
        event_listeners: How many devices at most are listened to.
    """

    file: Path
    sweep: Annotated[Duration, Field(ge=1)] = 60.0
    key_file: Path = Path("secrets/cameras.key")
    events: bool = False
    event_listeners: Annotated[int, Field(ge=1, le=20_000)] = 1024


class SystemsSection(_Section):
    """The IT systems that are watched.

    Attributes:
        file: systems.yaml.
    """

    file: Path


class SpoolSection(_Section):
    """The disk buffer.

    Attributes:
        max_bytes: Budget.
        group_commit: Longest wait for others to share a commit.
        when_full: ``wait``: senders are not acknowledged, but for alarms; ``evict``: telemetry is
            given up as ``evict`` says, recorded.
        evict: How, in this order. ``thin``: readings become minimum, mean and maximum of each
            minute; ``oldest``: the oldest goes. Alarms never do.
        keep: How long what everybody has stays for re-sending and queries.
    """

    max_bytes: Annotated[Size, Field(ge=1 * MIB)] = 20 * GIB
    group_commit: Annotated[Duration, Field(le=5)] = 0.02
    when_full: Literal["wait", "evict"] = "wait"
    evict: Annotated[tuple[Literal["thin", "oldest"], ...], Field(min_length=1, max_length=2)] = (
        "thin",
        "oldest",
    )
    keep: Duration = 86_400.0


class ArchiveSection(_Section):
    """On-site history.

    Attributes:
        keep: How long.
        max_bytes: How much; beyond it the oldest hours go first.
    """

    keep: Annotated[Duration, Field(ge=3600)] = 30 * 86_400.0
    max_bytes: Annotated[Size, Field(ge=1 * MIB)] = 200 * GIB


class RawSection(_Section):
    """What came in, kept as it came, so that another version of a profile can be tried on it.

    Attributes:
        keep: How long; ``0s``: nothing is kept, and no version can be tried on this site.
        max_bytes: How much; beyond it the oldest goes first.
    """

    keep: Duration = 7 * 86_400.0
    max_bytes: Annotated[Size, Field(ge=1 * MIB)] = 1 * GIB


class EgressSection(_Section):
    """What may leave: left out, only what the profiles allow.

    Attributes:
        file: The egress file, which can only take away.
    """

    file: Path


class UplinkSection(_Section):
    """The collector, and how this edge proves who it is; left out: nothing leaves.

    Attributes:
        url: The collector's intake.
        ca_file: Certificates to trust instead of the system's.
        cert_file: This edge's certificate, with ``key_file``.
        key_file: Its private key.
        token_file: Its content is sent as a bearer token.
        backlog_share: Most of the uplink's work that old records may take while new ones come.
            Alarms go before both.
        bandwidth: Most bits a second that uploads take on average; left out: as fast as it goes.
    """

    url: Annotated[str, _url("http", "https")]
    ca_file: Path | None = None
    cert_file: Path | None = None
    key_file: Path | None = None
    token_file: Path | None = None
    backlog_share: Annotated[float, Field(gt=0, le=1)] = 0.3
    bandwidth: Annotated[BitRate, Field(ge=8_000)] | None = None


class CatalogueSection(_Section):
    """Profiles that the centre sends; left out: nothing is fetched.

    Attributes:
        key_file: Public key of the centre's registry of profiles: only plans that it signed count.
        every: How often the centre is asked for the plan.
    """

    key_file: Path
    every: Annotated[Duration, Field(ge=1, le=86_400)] = 30.0


class ClockSection(_Section):
    """How far the edge's own clock is trusted (docs/reference/clocks.md).

    Attributes:
        service: ``auto``: once a time service kept this machine's clock right, the clock is not
            trusted after a start until one does so again; ``required``: from the first start on;
            ``none``: whatever a time service says, a clock that is not plainly wrong is right.
        wait: How long what came in while the clock was not set stays on site, so that its times
            can be put right before it leaves; alarms do not wait.
    """

    service: Literal["auto", "required", "none"] = "auto"
    wait: Annotated[Duration, Field(le=86_400)] = 300.0


class AdminSection(_Section):
    """Health, metrics, status and on-site queries; it has no credentials of its own.

    Attributes:
        listen: Where; loopback unless said otherwise.
    """

    listen: Listen = (Address("127.0.0.1", 9180),)


class EdgeConfig(_Section):
    """The whole file."""

    edge: EdgeSection
    mqtt: tuple[MqttSection, ...] = ()
    mqtt_listen: tuple[ListenSection, ...] = ()
    coap: CoapSettings | None = None
    profiles: tuple[Path, ...] = ()
    discovery: tuple[Literal["homeassistant"], ...] = ()
    devices: DevicesSection = DevicesSection()
    cameras: CamerasSection | None = None
    systems: SystemsSection | None = None
    spool: SpoolSection = SpoolSection()
    archive: ArchiveSection = ArchiveSection()
    raw: RawSection = RawSection()
    egress: EgressSection | None = None
    uplink: UplinkSection | None = None
    catalogue: CatalogueSection | None = None
    clock: ClockSection = ClockSection()
    admin: AdminSection = AdminSection()

    @model_validator(mode="after")
    def _names_differ(self) -> EdgeConfig:
        names = [broker.name for broker in self.mqtt]
        if len(set(names)) != len(names):
            raise ValueError("each broker under mqtt needs a name of its own")
        if self.catalogue is not None and self.uplink is None:
            raise ValueError("catalogue needs uplink: profiles come from the same collector")
        if len({each.name for each in self.mqtt_listen}) != len(self.mqtt_listen):
            raise ValueError("each listener under mqtt_listen needs a name of its own")
        longest = [each.max_packet for each in self.mqtt]
        longest += [each.max_packet for each in self.mqtt_listen]
        if any(each <= self.edge.max_payload for each in longest):
            raise ValueError("max_packet must be more than edge.max_payload")
        return self


def spool_options(config: EdgeConfig) -> SpoolOptions:
    """Return the spool's limits as they are configured."""
    limits = config.spool
    return SpoolOptions(
        max_bytes=limits.max_bytes,
        group_commit_s=limits.group_commit,
        when_full=limits.when_full,
        evict=limits.evict,
        keep_s=limits.keep,
    )


def load_edge_config(path: Path) -> EdgeConfig:
    """Read the configuration, the environment's ``TIDEGATE_<SECTION>__<KEY>`` included.

    Raises:
        ConfigError: Every mistake as ``file:line:col: path: message``.
    """
    return anchored(load_config(EdgeConfig, path), path.parent)
