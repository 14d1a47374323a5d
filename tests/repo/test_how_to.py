"""The promise: certificates, configurations and profiles made as the how-to pages say work."""

from __future__ import annotations

import asyncio
import os
import re
import ssl
import subprocess
import sys
from pathlib import Path

import pytest

from collector.config import IntakeSection, load_collector_config
from collector.identity import certificate_names, open_gate, tls_context
from collector.refused import Refused
from edge_agent.config import load_edge_config

ROOT = Path(__file__).parents[2]
PAGES = ROOT / "docs" / "how-to"
EXAMPLES = [
    pytest.param(block, id=f"{page.stem}-{number}")
    for page in sorted(PAGES.glob("*.md"))
    for number, block in enumerate(
        re.findall(r"^```yaml\n(.*?)^```$", page.read_text("utf-8"), re.MULTILINE | re.DOTALL)
    )
]


def _type(page: str, folder: Path) -> str:
    blocks = re.findall(
        r"^```sh\n(.*?)^```$", (PAGES / page).read_text("utf-8"), re.MULTILINE | re.DOTALL
    )
    told = ""
    for block in blocks:
        run = subprocess.run(
            ["bash", "-e", "-c", block],
            cwd=folder,
            env={"PATH": f"{Path(sys.executable).parent}:{os.environ['PATH']}"},
            capture_output=True,
            text=True,
            check=False,
        )
        assert run.returncode == 0, run.stdout + run.stderr
        told += run.stdout
    return told


@pytest.fixture(scope="module")
def secrets(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """Return a folder with what docs/how-to/tls.md makes."""
    folder = tmp_path_factory.mktemp("secrets")
    _type("tls.md", folder)
    return folder


async def _shown(server: ssl.SSLContext, client: ssl.SSLContext) -> set[str]:
    """Return the names that a client's certificate shows to a server, over ::1."""
    seen: asyncio.Future[set[str]] = asyncio.get_running_loop().create_future()

    async def met(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        await reader.read(1)
        seen.set_result(certificate_names(writer.get_extra_info("peercert") or {}))
        writer.close()

    listener = await asyncio.start_server(met, "::1", 0, ssl=server)
    async with listener, asyncio.timeout(20):
        port = listener.sockets[0].getsockname()[1]
        _, writer = await asyncio.open_connection(
            "::1", port, ssl=client, server_hostname="centre.example"
        )
        writer.write(b"x")
        names = await seen
        writer.close()
    return names


async def test_the_certificates_let_an_edge_in_under_its_own_name_only(secrets: Path) -> None:
    settings = IntakeSection(
        cert_file=secrets / "intake.pem",
        key_file=secrets / "intake.key",
        client_ca_file=secrets / "ca.pem",
    )
    server = tls_context(settings)
    assert server is not None
    client = ssl.create_default_context(cafile=secrets / "ca.pem")
    client.verify_flags |= ssl.VERIFY_X509_STRICT  # as Python 3.13 does by itself
    client.load_cert_chain(secrets / "bz-edge-01.pem", secrets / "bz-edge-01.key")
    assert await _shown(server, client) == {"bz-edge-01"}


def test_the_tokens_let_an_edge_in_under_its_own_name_only(secrets: Path) -> None:
    gate = open_gate(IntakeSection(tokens_file=secrets / "edges.yaml"))
    token = f"Bearer {(secrets / 'uplink.token').read_text().strip()}"
    gate.admit("bz-edge-01", None, token)
    with pytest.raises(Refused):
        gate.admit("bz-edge-02", None, token)


@pytest.mark.parametrize("text", EXAMPLES)
def test_a_configuration_in_a_how_to_page_is_accepted(text: str, tmp_path: Path) -> None:
    path = tmp_path / "example.yaml"
    path.write_text(text)
    load = load_collector_config if "collector:" in text else load_edge_config
    assert load(path)


def test_a_new_profile_passes_its_own_tests_and_reads_the_message_shown(tmp_path: Path) -> None:
    told = _type("write-a-profile.md", tmp_path)
    assert "3 of 3" in told
    assert '"+hot"' in told
