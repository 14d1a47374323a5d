"""The collector's configuration file, section by section (docs/reference/configuration.md).

Relative paths are relative to the folder of the file that names them. Secrets are paths to files,
never values.
"""

from __future__ import annotations

from pathlib import Path
from typing import Annotated, Literal
from urllib.parse import urlsplit

from pydantic import AfterValidator, BaseModel, BeforeValidator, ConfigDict, Field, model_validator

from gateway_core.config import Duration, Listen, Size, anchored, load_config
from gateway_core.model import Severity
from gateway_core.units import Address

KIB, MIB, GIB = 1 << 10, 1 << 20, 1 << 30
EDGE_ID = r"[a-z0-9][a-z0-9._-]{0,63}"

EdgeId = Annotated[str, Field(pattern=f"^{EDGE_ID}$")]


def _plain_url(text: str) -> str:
    parts = urlsplit(text)
    if parts.scheme not in {"http", "https"} or not parts.hostname:
        raise ValueError("expected http://host:port or https://host:port")
    if parts.username is not None or parts.password is not None:
        raise ValueError("a URL must not hold credentials; use username and password_file")
    return text


def _tls_url(text: str) -> str:
    if not _plain_url(text).startswith("https://"):
        raise ValueError("expected https://host:port")
    return text.rstrip("/")


def _database_url(text: str) -> str:
    scheme, mark, rest = text.partition("://")
    fits = scheme in {"postgresql", "postgresql+psycopg"} or (
        scheme == "sqlite" and rest.startswith("/") and len(rest) > 1
    )
    if not mark or not fits:
        raise ValueError(
            "expected sqlite:///FILE, with a fourth slash for an absolute path, "
            "or postgresql+psycopg://USER@HOST/DATABASE"
        )
    return text


def _spool_kind(kind: object) -> object:
    if kind == "jetstream":
        raise ValueError(
            "this version has no JetStream spool yet; write kind: embedded and leave urls out"
        )
    return kind


def _no_urls(urls: tuple[str, ...]) -> tuple[str, ...]:
    if urls:
        raise ValueError("the embedded spool has no servers; leave urls out")
    return urls


class _Section(BaseModel):
    model_config = ConfigDict(frozen=True, extra="forbid")


class CollectorSection(_Section):
    """Where the collector keeps its data.

    Attributes:
        data_dir: Spool, registry and embedded time series live here.
    """

    data_dir: Path


class IntakeSection(_Section):
    """The listener for edges.

    Attributes:
        listen: Addresses.
        cert_file: This collector's certificate chain; TLS is on when it is given.
        key_file: Its private key.
        client_ca_file: Edges must show a certificate that this CA issued to their id.
        tokens_file: YAML, edge id to token: edges must send theirs as a bearer token.
        edges: Which edges may upload, or ``any``.
        max_body: Most bytes of one upload, compressed.
        max_decompressed: Most bytes of one upload, decompressed.
        header_timeout: For the handshake and the first request's headers.
        body_timeout: For the whole of an upload to arrive.
        idle_timeout: For the next request on a connection.
        connections_per_address: Open at once from one IPv4 address or IPv6 /64.
        connections: Open at once.
        max_edges: Most edges that this collector keeps books for.
        mirrors: Collectors that may pass on what any edge sent them; each shows a certificate or
            a token of its own name.
    """

    listen: Listen = (Address("::", 8090),)
    cert_file: Path | None = None
    key_file: Path | None = None
    client_ca_file: Path | None = None
    tokens_file: Path | None = None
    edges: tuple[EdgeId, ...] | Literal["any"] = "any"
    max_body: Annotated[Size, Field(ge=64 * KIB, le=256 * MIB)] = 16 * MIB
    max_decompressed: Annotated[Size, Field(ge=64 * KIB, le=256 * MIB)] = 64 * MIB
    header_timeout: Annotated[Duration, Field(gt=0)] = 5.0
    body_timeout: Annotated[Duration, Field(gt=0)] = 60.0
    idle_timeout: Annotated[Duration, Field(gt=0)] = 75.0
    connections_per_address: Annotated[int, Field(ge=1)] = 64
    connections: Annotated[int, Field(ge=1)] = 4096
    max_edges: Annotated[int, Field(ge=1, le=100_000)] = 10_000
    mirrors: tuple[EdgeId, ...] = ()

    @model_validator(mode="after")
    def _tls_is_whole(self) -> IntakeSection:
        if (self.cert_file is None) != (self.key_file is None):
            raise ValueError("cert_file and key_file go together")
        if self.client_ca_file is not None and self.cert_file is None:
            raise ValueError("client_ca_file needs cert_file and key_file")
        return self


class EnrolSection(_Section):
    """The listener for edges that were invited and have no certificate yet; off when left out.

    It shows the intake's certificate, which the same CA has to have issued.

    Attributes:
        listen: Addresses.
        url: How edges reach it, ``https://host:port``; goes into invitations.
        uplink_url: How edges reach the intake; goes to those that enrolled.
        ca_cert_file: The CA that issues certificates to edges; also ``intake.client_ca_file``.
        ca_key_file: Its private key.
        valid_for: How long a certificate holds.
    """

    listen: Listen = (Address("::", 8091),)
    url: Annotated[str, AfterValidator(_tls_url)]
    uplink_url: Annotated[str, AfterValidator(_tls_url)]
    ca_cert_file: Path
    ca_key_file: Path
    valid_for: Annotated[Duration, Field(ge=60, le=10 * 366 * 86_400)] = 366 * 86_400.0


class ApiSection(_Section):
    """The listener for people: API, console, metrics; it has no credentials of its own.

    Attributes:
        listen: Addresses.
    """

    listen: Listen = (Address("::", 8080),)


class TimeseriesSection(_Section):
    """Where time series are kept; docs/reference/stores.md says which were run against what.

    Attributes:
        kind: The product.
        url: Of the server; not for ``embedded``.
        database: Of InfluxDB 1 and 3.
        org: Of InfluxDB 2.
        bucket: Of InfluxDB 2.
        token_file: For InfluxDB 2 and 3.
        username: For InfluxDB 1.
        password_file: For InfluxDB 1.
        memory: Most bytes that the embedded store holds in memory.
        trail: For a server that says yes before it has written (VictoriaMetrics: 15s): records
            count as delivered so long after it took them, and come again if it was started anew.
    """

    kind: Literal["embedded", "influxdb1", "influxdb2", "influxdb3"] = "embedded"
    url: Annotated[str, AfterValidator(_plain_url)] = "http://127.0.0.1:8086"
    database: Annotated[str, Field(min_length=1, max_length=64)] = "tidegate"
    org: str = "city"
    bucket: Annotated[str, Field(min_length=1, max_length=64)] = "tidegate"
    token_file: Path | None = None
    username: str | None = None
    password_file: Path | None = None
    memory: Annotated[Size, Field(ge=64 * MIB)] = 512 * MIB
    trail: Annotated[Duration, Field(le=600)] = 0.0


class RegistrySection(_Section):
    """Where devices, feeds, systems and edges are kept.

    Attributes:
        url: SQLAlchemy's; left out: ``registry.db`` in the data folder.
        utc_offset: Of the city's clocks, for the days that feeds' figures are kept by.
    """

    url: Annotated[str, AfterValidator(_database_url)] | None = None
    utc_offset: Annotated[str, Field(pattern=r"^[+-](0\d|1[0-4]):[0-5]\d$")] = "+08:00"

    @property
    def utc_offset_s(self) -> int:
        """The offset in seconds."""
        hours, minutes = self.utc_offset[1:].split(":")
        seconds = int(hours) * 3600 + int(minutes) * 60
        return -seconds if self.utc_offset.startswith("-") else seconds


class EventsSection(_Section):
    """Which alarms become events that somebody has to see to.

    Attributes:
        severities: Of an alarm; ``info`` is left out because it asks nothing of anybody.
    """

    severities: tuple[Severity, ...] = ("critical", "major", "minor", "warning")


class SpoolSection(_Section):
    """The disk buffer between intake and sinks.

    Attributes:
        kind: ``embedded``: one SQLite file. ``jetstream`` is kept for several collectors on one
            stream and is not in this version.
        urls: Of the servers of a ``jetstream``; empty for ``embedded``.
        max_bytes: Budget; at the limit edges are told to keep their data.
        group_commit: Longest wait for others to share a commit.
        keep: How long what every sink has stays.
    """

    kind: Annotated[Literal["embedded"], BeforeValidator(_spool_kind)] = "embedded"
    urls: Annotated[tuple[str, ...], AfterValidator(_no_urls)] = ()
    max_bytes: Annotated[Size, Field(ge=1 * MIB)] = 20 * GIB
    group_commit: Annotated[Duration, Field(le=5)] = 0.005
    keep: Duration = 3600.0


class RefillSection(_Section):
    """What edges are asked to send again; docs/how-to/recover.md.

    Attributes:
        automatic: Ask for what an edge says it delivered and that is not here, as after a restore.
    """

    automatic: bool = True


class MirrorSection(_Section):
    """A second collector that gets what this one accepts; left out: none.

    Attributes:
        url: Its intake.
        name: Of this collector, as ``intake.mirrors`` there lists it.
        ca_file: Certificates to trust instead of the system's.
        cert_file: This collector's certificate in that name, with ``key_file``.
        key_file: Its private key.
        token_file: Its content is sent as a bearer token.
    """

    url: Annotated[str, AfterValidator(_plain_url)]
    name: EdgeId
    ca_file: Path | None = None
    cert_file: Path | None = None
    key_file: Path | None = None
    token_file: Path | None = None


class CollectorConfig(_Section):
    """The whole file."""

    collector: CollectorSection
    intake: IntakeSection = IntakeSection()
    enrol: EnrolSection | None = None
    api: ApiSection = ApiSection()
    timeseries: TimeseriesSection = TimeseriesSection()
    registry: RegistrySection = RegistrySection()
    events: EventsSection = EventsSection()
    spool: SpoolSection = SpoolSection()
    refill: RefillSection = RefillSection()
    mirror: MirrorSection | None = None

    @property
    def registry_url(self) -> str:
        """SQLAlchemy URL of the registry."""
        return self.registry.url or f"sqlite:///{self.collector.data_dir / 'registry.db'}"


def load_collector_config(path: Path) -> CollectorConfig:
    """Read the configuration, the environment's ``TIDEGATE_<SECTION>__<KEY>`` included.

    Raises:
        ConfigError: Every mistake as ``file:line:col: path: message``.
    """
    config: CollectorConfig = anchored(load_config(CollectorConfig, path), path.parent)
    url = config.registry.url
    if url and url.startswith("sqlite:///") and not url.startswith("sqlite:////"):
        url = f"sqlite:///{path.parent / url.removeprefix('sqlite:///')}"
        registry = config.registry.model_copy(update={"url": url})
        config = config.model_copy(update={"registry": registry})
    return config
