"""What a person may write under ``mqtt:`` and ``coap:`` of the edge's configuration."""

from __future__ import annotations

from pathlib import Path
from typing import Annotated, Literal, Self
from urllib.parse import urlsplit

from pydantic import BaseModel, BeforeValidator, ConfigDict, Field, field_validator, model_validator

from gateway_core.units import Address, Duration, Listen, Size

_LONGEST_TOPIC = 65_535
_PORTS = {"mqtt": 1883, "mqtts": 8883}


def _version(value: object) -> object:
    """YAML reads ``3.1.1`` as text and ``5`` as a number; both are meant as names."""
    return str(value) if isinstance(value, int | float) and not isinstance(value, bool) else value


def _wrong_filter(topic: str) -> str:
    """Say what is wrong with a topic filter (MQTT 5.0 section 4.7); empty when nothing is.

    A broker ends the connection over such a filter, again and again.
    """
    if not topic or "\0" in topic or len(topic.encode()) > _LONGEST_TOPIC:
        return f"1 to {_LONGEST_TOPIC} bytes, none of them NUL"
    levels = topic.split("/")
    if "#" in topic and (levels[-1] != "#" or topic.count("#") > 1):
        return "# stands alone in the last level"
    if any("+" in level and level != "+" for level in levels):
        return "+ stands alone in its level"
    return ""


class MqttSettings(BaseModel):
    """One broker that the agent subscribes to.

    Attributes:
        name: Unique on this edge; part of the source's name and of the client id.
        url: ``mqtt://host[:port]``, or ``mqtts://`` for TLS; never holds credentials.
        version: Of the protocol.
        username: With ``password_file``.
        password_file: Its first line is the password.
        ca_file: Certificates to trust instead of the system's.
        cert_file: The agent's certificate, with ``key_file``.
        key_file: Its private key.
        subscribe: Topic filters; None for those that the loaded profiles name.
        shared_group: Share the topics with other agents of that group name.
        qos: Highest quality of service to ask for. 1 is exactly once in effect, because a
            redelivered message is recognised; 2 costs two more packets for each message.
        receive_maximum: Messages that the broker may send before the first is acknowledged:
            the size of the largest batch. MQTT 5 only.
        max_packet: Longest packet that is taken in, in bytes.
        keep_alive: Seconds of silence after which the connection is tried; it is given up
            after half as much again.
        session_expiry: How long the broker keeps messages while the agent is away, in seconds.
    """

    model_config = ConfigDict(frozen=True, extra="forbid")

    name: str = Field(default="site", pattern=r"^[a-z0-9][a-z0-9._-]{0,31}$")
    url: str
    version: Annotated[Literal["5", "3.1.1"], BeforeValidator(_version)] = "5"
    username: str | None = None
    password_file: Path | None = None
    ca_file: Path | None = None
    cert_file: Path | None = None
    key_file: Path | None = None
    subscribe: tuple[str, ...] | None = None
    shared_group: str | None = Field(default=None, pattern=r"^[^/+#\x00]{1,128}$")
    qos: Literal[0, 1, 2] = 1
    receive_maximum: int = Field(default=4000, ge=1, le=8191)
    max_packet: Annotated[Size, Field(ge=1024, le=16 * 2**20)] = 256 * 2**10
    keep_alive: Annotated[Duration, Field(ge=1, le=65535)] = 30.0
    session_expiry: Annotated[Duration, Field(ge=0, le=2**32 - 1)] = 7 * 86_400.0

    @field_validator("url")
    @classmethod
    def _readable_url(cls, url: str) -> str:
        parts = urlsplit(url)
        if parts.scheme not in _PORTS or not parts.hostname:
            raise ValueError("expected mqtt://host[:port] or mqtts://host[:port]")
        if parts.username is not None or parts.password is not None:
            raise ValueError("leave credentials out of the url: use username and password_file")
        if parts.path not in ("", "/") or parts.query or parts.fragment:
            raise ValueError("nothing may follow the port")
        if parts.port == 0:
            raise ValueError("port 0 is not a port to connect to")
        return url

    @field_validator("subscribe")
    @classmethod
    def _sound_filters(cls, filters: tuple[str, ...] | None) -> tuple[str, ...] | None:
        for each in filters or ():
            if why := _wrong_filter(each):
                raise ValueError(f"topic filter {each!r}: {why}")
        return filters

    @model_validator(mode="after")
    def _consistent(self) -> Self:
        if (self.cert_file is None) != (self.key_file is None):
            raise ValueError("give cert_file and key_file together")
        if self.password_file is not None and self.username is None:
            raise ValueError("password_file needs a username")
        if not self.tls and (self.ca_file or self.cert_file):
            raise ValueError("certificates need an mqtts:// url")
        if self.version == "3.1.1" and self.qos == 2:
            raise ValueError(
                "qos 2 needs version 5: the 3.1.1 client would acknowledge before the commit"
            )
        return self

    @property
    def tls(self) -> bool:
        """Whether the connection is encrypted."""
        return urlsplit(self.url).scheme == "mqtts"

    @property
    def address(self) -> Address:
        """Host and port of the broker."""
        parts = urlsplit(self.url)
        return Address(parts.hostname or "", parts.port or _PORTS[parts.scheme])

    @property
    def source(self) -> str:
        """Name of the source in records, metrics and logs."""
        return f"mqtt:{self.name}"

    def client_id(self, edge: str) -> str:
        """Return the client id, the same after every restart so that the session is found."""
        return f"tidegate-{edge}-{self.name}"

    def filters(self, topics: tuple[str, ...] | list[str]) -> list[str]:
        """Return the subscription filters; ``topics`` where the file names none."""
        chosen = dict.fromkeys(self.subscribe if self.subscribe is not None else topics)
        if self.shared_group is None:
            return list(chosen)
        return [
            each if each.startswith("$share/") else f"$share/{self.shared_group}/{each}"
            for each in chosen
        ]


class CoapSettings(BaseModel):
    """The agent's own CoAP server.

    Attributes:
        listen: Where; ``[::]:5683`` serves IPv4 as well.
        max_payload: Longest payload, in one datagram or assembled from blocks, in bytes.
        rate_per_source: Datagrams a second that one address may send for long; it may save up
            two seconds' worth. More are answered 4.29 or, when not confirmable, left out.
    """

    model_config = ConfigDict(frozen=True, extra="forbid")

    listen: Listen = (Address("::", 5683),)
    max_payload: Annotated[Size, Field(ge=64, le=2**20)] = 64 * 2**10
    rate_per_source: float = Field(default=5000.0, gt=0)
