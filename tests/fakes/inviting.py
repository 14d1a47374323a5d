"""A real collector that takes enrolments, with a CA of its own, on free loopback ports."""

from __future__ import annotations

import contextlib
from collections.abc import AsyncIterator
from dataclasses import dataclass
from pathlib import Path

import trustme

from collector.agent import Collector, open_collector
from collector.config import load_collector_config
from tests.fakes.ports import free_port

CONFIG = """\
collector: {{data_dir: var}}
intake:
  listen: "127.0.0.1:{intake}"
  cert_file: secrets/intake.pem
  key_file: secrets/intake.key
  client_ca_file: secrets/ca.pem
enrol:
  listen: "127.0.0.1:{enrol}"
  url: https://127.0.0.1:{enrol}
  uplink_url: https://127.0.0.1:{intake}
  ca_cert_file: secrets/ca.pem
  ca_key_file: secrets/ca.key
api: {{listen: "127.0.0.1:0"}}
"""


@dataclass(frozen=True, slots=True)
class Centre:
    """A running collector.

    Attributes:
        config: Its file.
        enrol_url: Where edges enrol.
        intake_url: Where they upload.
        parts: Its parts.
    """

    config: Path
    enrol_url: str
    intake_url: str
    parts: Collector


@contextlib.asynccontextmanager
async def inviting(folder: Path) -> AsyncIterator[Centre]:
    """Run the collector until the block ends."""
    secrets, ca = folder / "secrets", trustme.CA()
    secrets.mkdir(parents=True)
    own = ca.issue_cert("127.0.0.1")
    ca.cert_pem.write_to_path(secrets / "ca.pem")
    ca.private_key_pem.write_to_path(secrets / "ca.key")
    own.private_key_pem.write_to_path(secrets / "intake.key")
    for blob in own.cert_chain_pems:
        blob.write_to_path(secrets / "intake.pem", append=True)
    intake, enrol = free_port(), free_port()
    config = folder / "collector.yaml"
    config.write_text(CONFIG.format(intake=intake, enrol=enrol))
    async with open_collector(load_collector_config(config)) as parts:
        enrol_url, intake_url = (f"https://127.0.0.1:{port}" for port in (enrol, intake))
        yield Centre(config, enrol_url, intake_url, parts)
