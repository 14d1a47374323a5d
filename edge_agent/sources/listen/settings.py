"""What a person may write under ``mqtt_listen:`` of the edge's configuration."""

from __future__ import annotations

from pathlib import Path
from typing import Annotated, Literal

from pydantic import BaseModel, ConfigDict, Field, field_validator

from edge_agent.sources.listen.policy import wrong_filter
from gateway_core.units import Address, Duration, Listen, Size


class TlsSettings(BaseModel):
    """Encryption of a listener.

    Attributes:
        cert_file: The listener's certificate and those up to the root.
        key_file: Its private key.
        client_ca_file: Whose certificates clients must show; the subject's common name is who
            they are. Left out: none is asked for.
    """

    model_config = ConfigDict(frozen=True, extra="forbid")

    cert_file: Path
    key_file: Path
    client_ca_file: Path | None = None


class ListenSettings(BaseModel):
    """One listener that devices connect to.

    Attributes:
        name: Unique among the listeners; part of the source's name.
        listen: Where; ``[::]:1883`` serves IPv4 as well.
        tls: Left out: not encrypted.
        users_file: Names and hashes, from ``tidegate edge users add``.
        anonymous: Take in who shows neither a login nor a certificate.
        topics: What a device may publish to, with ``{device}`` for its identity; left out: every
            topic one level of which is its identity.
        commands: What it may subscribe to, likewise.
        when_full: While the disk takes no more, ``wait`` lets clients wait for acknowledgements;
            ``refuse`` answers those of MQTT 5 with 0x97, Quota exceeded.
        receive_maximum: Messages that a client may send before the first is acknowledged.
        max_packet: Longest packet in bytes.
        keep_alive: Longest silence in seconds that a client may ask for; MQTT 5 clients are told.
        session_expiry: Longest life of a session without a connection, in seconds.
        handshake: Seconds in which a connection must have said who it is; with TLS, in which its
            handshake must be done as well.
        handshake_rate: TLS handshakes that begin in a second; more wait for their turn, likewise.
        connect_rate: CONNECTs a second that are looked at; more wait for their turn, and addresses
            take turns.
        max_connections: At a time; more are closed.
        per_address: At a time from one address; more are closed.
    """

    model_config = ConfigDict(frozen=True, extra="forbid")

    name: str = Field(default="devices", pattern=r"^[a-z0-9][a-z0-9._-]{0,31}$")
    listen: Listen = (Address("::", 1883),)
    tls: TlsSettings | None = None
    users_file: Path | None = None
    anonymous: bool = False
    topics: tuple[str, ...] = ()
    commands: tuple[str, ...] = ()
    when_full: Literal["wait", "refuse"] = "wait"
    receive_maximum: int = Field(default=256, ge=1, le=4096)
    max_packet: Annotated[Size, Field(ge=1024, le=16 * 2**20)] = 1024 * 2**10
    keep_alive: Annotated[Duration, Field(ge=1, le=65_535)] = 1200.0
    session_expiry: Annotated[Duration, Field(ge=0, le=2**32 - 2)] = 7 * 86_400.0
    handshake: Annotated[Duration, Field(ge=0.1, le=600)] = 10.0
    handshake_rate: int = Field(default=300, ge=1, le=1_000_000)
    connect_rate: int = Field(default=2000, ge=1, le=1_000_000)
    max_connections: int = Field(default=50_000, ge=1, le=1_000_000)
    per_address: int = Field(default=20_000, ge=1, le=1_000_000)

    @field_validator("topics", "commands")
    @classmethod
    def _sound_patterns(cls, patterns: tuple[str, ...]) -> tuple[str, ...]:
        for each in patterns:
            if why := wrong_filter(each):
                raise ValueError(f"topic filter {each!r}: {why}")
        return patterns

    @property
    def open_to_nobody(self) -> bool:
        """Whether no client can prove who it is, and none may come in without."""
        certificates = self.tls is not None and self.tls.client_ca_file is not None
        return not (self.anonymous or self.users_file or certificates)

    @property
    def source(self) -> str:
        """Name of the source in records, metrics and logs."""
        return f"mqtt_listen:{self.name}"
