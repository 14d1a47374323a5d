"""systems.yaml: which IT systems are watched, and what a good answer is."""

from __future__ import annotations

from pathlib import Path
from typing import Annotated, Literal, Self
from urllib.parse import urlsplit

from pydantic import BaseModel, ConfigDict, Field, model_validator

from gateway_core.config import Duration, load_config
from gateway_core.units import Address, parse_address

MAX_SYSTEMS = 5_000


class System(BaseModel):
    """One system.

    Attributes:
        id: The ``system`` tag of its records.
        name: For people.
        kind: ``tcp``: the port accepts a connection; ``http``: the URL answers as expected.
        target: ``host:port`` for tcp, a URL for http.
        every: Seconds between checks.
        timeout: Seconds until a check has failed.
        expect: HTTP status codes that are good.
        ca_file: Certificates to trust instead of the system's, for https.
    """

    model_config = ConfigDict(frozen=True, extra="forbid")

    id: Annotated[str, Field(pattern=r"^[A-Za-z0-9][A-Za-z0-9._-]{0,63}$")]
    name: Annotated[str, Field(max_length=256)] = ""
    kind: Literal["tcp", "http"]
    target: Annotated[str, Field(max_length=2048)]
    every: Annotated[Duration, Field(ge=1, le=86_400)] = 60.0
    timeout: Annotated[Duration, Field(gt=0, le=60)] = 5.0
    expect: tuple[Annotated[int, Field(ge=100, le=599)], ...] = (200,)
    ca_file: Path | None = None

    @model_validator(mode="after")
    def _reachable(self) -> Self:
        if self.kind == "tcp":
            parse_address(self.target)
            return self
        parts = urlsplit(self.target)
        if parts.scheme not in {"http", "https"} or not parts.hostname:
            raise ValueError("target of kind http: expected http://host or https://host")
        if parts.username is not None or parts.password is not None:
            raise ValueError("target: a URL must not hold credentials")
        return self

    @property
    def address(self) -> Address:
        """Host and port that are connected to."""
        if self.kind == "tcp":
            return parse_address(self.target)
        parts = urlsplit(self.target)
        return Address(parts.hostname or "", parts.port or (443 if parts.scheme == "https" else 80))


class _SystemsFile(BaseModel):
    model_config = ConfigDict(frozen=True, extra="forbid")

    systems: Annotated[tuple[System, ...], Field(max_length=MAX_SYSTEMS)]

    @model_validator(mode="after")
    def _ids_differ(self) -> Self:
        ids = [system.id for system in self.systems]
        twice = sorted({each for each in ids if ids.count(each) > 1})
        if twice:
            raise ValueError(f"ids must be unique: {', '.join(twice)}")
        return self


def load_systems(path: Path) -> tuple[System, ...]:
    """Read systems.yaml.

    Raises:
        ConfigError: Every mistake as ``file:line:col: path: message``.
    """
    return load_config(_SystemsFile, path, env_prefix="TIDEGATE_SYSTEMS_FILE").systems
