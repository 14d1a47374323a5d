"""The command enrols its own edge and no other, and says which keys to set."""

from __future__ import annotations

import asyncio
from pathlib import Path

import pytest
from hypothesis import given
from hypothesis import strategies as st

from edge_agent.config import load_edge_config
from gateway_core.errors import ConfigError
from gateway_core.invitation import Invitation, read_invitation, write_invitation
from tests.fakes.inviting import inviting
from tidegate.collector_edges import invite
from tidegate.edge_enrol import enrol_edge
from tidegate.usage import WrongUsage

INVITATION = Invitation("e1", "https://centre.example:8091", bytes(32), bytes(range(16)))


def site(folder: Path, more: str = "") -> Path:
    folder.mkdir(exist_ok=True)
    file = folder / "edge.yaml"
    file.write_text(f"edge: {{id: e1, data_dir: var}}\n{more}")
    return file


async def test_the_keys_that_it_prints_make_a_configuration(
    tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    file = site(tmp_path / "site")
    async with inviting(tmp_path / "centre") as centre:
        await asyncio.to_thread(invite, "e1", config=centre.config)
        (tmp_path / "invitation").write_text(capsys.readouterr().out.splitlines()[-1])
        words = {"invitation_file": tmp_path / "invitation", "config": file}
        await asyncio.to_thread(lambda: enrol_edge(**words))
    told = capsys.readouterr().out
    keys = told[told.index("uplink:") :].split("\n{", 1)[0]
    assert "e1 is enrolled until " in told
    uplink = load_edge_config(site(tmp_path / "site", keys)).uplink
    assert uplink is not None
    assert uplink.url == centre.intake_url
    assert uplink.key_file == tmp_path / "site" / "secrets" / "edge.key"
    assert uplink.key_file.exists()


def test_an_invitation_of_another_edge_is_not_used(tmp_path: Path) -> None:
    other = Invitation("e2", INVITATION.url, INVITATION.ca_sha256, INVITATION.secret)
    with pytest.raises(WrongUsage, match="is for 'e2', and this edge is 'e1'"):
        enrol_edge(write_invitation(other), config=site(tmp_path))
    assert not (tmp_path / "secrets").exists()


def test_a_centre_that_takes_no_enrolments_says_what_to_write(tmp_path: Path) -> None:
    config = tmp_path / "collector.yaml"
    config.write_text("collector: {data_dir: var}\n")
    with pytest.raises(ConfigError, match=r"enrol: is not there; docs/how-to/tls.md"):
        invite("e1", config=config)
    for edge, ttl, why in (
        ("E 1", "15m", "no edge's id"),
        ("e1", "8d", "1s to 7d"),
        ("e1", "x", "--ttl"),
    ):
        with pytest.raises(WrongUsage, match=why):
            invite(edge, ttl=ttl, config=config)


@given(
    st.from_regex(r"[a-z0-9][a-z0-9._-]{0,63}", fullmatch=True),
    st.binary(min_size=32, max_size=32),
    st.binary(min_size=16, max_size=16),
)
def test_an_invitation_is_read_as_it_was_written(edge: str, ca: bytes, secret: bytes) -> None:
    invitation = Invitation(edge, "https://[2001:db8::1]:8091", ca, secret)
    text = write_invitation(invitation)
    assert read_invitation(f" {text[:40]}\n{text[40:]}\n") == invitation
    assert secret.hex() not in repr(invitation)


def test_an_invitation_that_was_not_copied_whole_is_told() -> None:
    text = write_invitation(INVITATION)
    for place in range(len("tge1."), len(text)):
        other = "A" if text[place] != "A" else "B"
        for wrong in (text[:place], text[:place] + other + text[place + 1 :]):
            with pytest.raises(ValueError, match="not copied whole"):
                read_invitation(wrong)
    with pytest.raises(ValueError, match=r"begins with tge1\."):
        read_invitation("hunter2")
