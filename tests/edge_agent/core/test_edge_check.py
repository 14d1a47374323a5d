"""`check` reads everything a person wrote, starts nothing, and names every mistake."""

from __future__ import annotations

import shutil
from pathlib import Path

import pytest
import trustme

from edge_agent.__main__ import main
from edge_agent.check import check
from edge_agent.config import load_edge_config
from edge_agent.knowledge import read_knowledge
from tests.fakes.edge import ENV, write_profile

CONFIG = """\
edge: {id: e1, data_dir: var}
mqtt: [{url: "mqtt://127.0.0.1:1", username: u, password_file: secret}]
profiles: [profiles]
devices: {file: devices.csv}
cameras: {file: feeds.csv}
systems: {file: systems.yaml}
egress: {file: egress.yaml}
uplink: {url: "http://[::1]:1"}
"""


def site(folder: Path) -> Path:
    """Write a site without a mistake."""
    write_profile(folder / "profiles")
    (folder / "edge.yaml").write_text(CONFIG)
    (folder / "devices.csv").write_text("id,profile,address\nd1,test/env,tg/d1/up\n")
    (folder / "feeds.csv").write_text(
        "id,host,rtsp_url\ncam-1,127.0.0.1,rtsp://127.0.0.1:554/live\n"
    )
    (folder / "systems.yaml").write_text("systems:\n  - {id: db, kind: tcp, target: 'a:5432'}\n")
    (folder / "egress.yaml").write_text("format: 1\n")
    (folder / "secret").write_text("geheim\n")
    (folder / "secret").chmod(0o600)
    return folder / "edge.yaml"


def test_a_sound_site_has_no_faults_and_tells_what_it_would_load(tmp_path: Path) -> None:
    found = check(site(tmp_path))
    assert found.faults == []
    assert (found.counts["devices"], found.counts["feeds"], found.counts["systems"]) == (1, 1, 1)
    assert found.counts["profiles"] > 1
    assert not (tmp_path / "var").exists()


def test_every_file_s_mistakes_are_told_at_once(tmp_path: Path) -> None:
    path = site(tmp_path)
    (tmp_path / "devices.csv").write_text("id,profile,address\nd1,test/enw,x\n")
    (tmp_path / "feeds.csv").write_text("id,host\n")
    (tmp_path / "systems.yaml").write_text("systems:\n  - {id: db, kind: ftp, target: 'a:1'}\n")
    (tmp_path / "egress.yaml").write_text("fromat: 1\n")
    (tmp_path / "secret").chmod(0o644)
    told = "\n".join(str(fault) for fault in check(path).faults)
    assert "devices.csv:2:4: profile: no profile 'test/enw'" in told
    assert "feeds.csv:1:1: rtsp_url: " in told
    assert "systems.yaml:2:" in told
    assert "egress.yaml:1:1: " in told
    assert "mqtt.0.password_file" in told
    assert "chmod 600" in told
    assert "geheim" not in told


def test_a_secret_that_is_not_there_is_told(tmp_path: Path) -> None:
    path = site(tmp_path)
    (tmp_path / "secret").unlink()
    (fault,) = check(path).faults
    assert "cannot be read" in fault.message


def test_a_broken_profile_is_told_with_its_place(tmp_path: Path) -> None:
    path = site(tmp_path)
    write_profile(tmp_path / "profiles", ENV.replace("unit: Cel", "unit: Celsios"))
    assert any("env.yaml" in str(fault) for fault in check(path).faults)


def test_the_device_list_may_be_absent_where_devices_enter_themselves(tmp_path: Path) -> None:
    path = site(tmp_path)
    (tmp_path / "devices.csv").unlink()
    assert check(path).faults == []
    for unknown in ("hold", "refuse"):
        path.write_text(CONFIG.replace("devices.csv", f"devices.csv, unknown: {unknown}"))
        (fault,) = check(path).faults
        assert "devices.csv" in str(fault)


def test_a_broken_profile_locks_out_its_own_devices_only(tmp_path: Path) -> None:
    path = site(tmp_path)
    write_profile(tmp_path / "profiles", ENV.replace("unit: Cel", "unit: Celsios"))
    (tmp_path / "devices.csv").write_text(
        "id,profile,address\nd1,test/env,x\nd2,tidegate/env-sensor,tg/d2/up\n"
    )
    knowledge = read_knowledge(load_edge_config(path), strict=False)
    assert [each.id for each in knowledge.listings] == ["d2"]


def test_the_files_of_a_listener_are_read_and_one_that_lets_nobody_in_is_told(
    tmp_path: Path,
) -> None:
    path = site(tmp_path)
    listener = 'mqtt_listen: [{listen: "[::1]:1884", users_file: users}, {name: b, listen: ":1"}]\n'
    path.write_text(CONFIG + listener)
    users = tmp_path / "users"
    users.write_text("d1:sha256$00$00\n")
    users.chmod(0o600)
    found = check(path)
    assert found.faults == []
    assert found.counts["users"] == 1
    assert ["lets nobody in" in warning for warning in found.warnings] == [True]
    users.write_text("d1:geheim\n")
    (fault,) = check(path).faults
    assert str(fault).startswith(f"{users}:1:1: ")


def test_a_file_that_is_not_there_is_told_at_the_key_that_names_it(tmp_path: Path) -> None:
    path = site(tmp_path)
    for name in ("feeds.csv", "systems.yaml", "egress.yaml", "secret"):
        (tmp_path / name).unlink()
    shutil.rmtree(tmp_path / "profiles")

    why = "cannot be read: No such file or directory"
    assert [str(fault) for fault in check(path).faults] == [
        f"{path}:2:49: mqtt.0.password_file: {tmp_path}/secret: {why}",
        f"{path}:3:12: profiles.0: {tmp_path}/profiles: no such folder of profiles",
        f"{path}:5:11: cameras.file: {tmp_path}/feeds.csv: {why}",
        f"{path}:6:11: systems.file: {tmp_path}/systems.yaml: {why}",
    ]
    write_profile(tmp_path / "profiles")
    assert f"{path}:7:10: egress.file: {tmp_path}/egress.yaml: {why}" in map(
        str, check(path).faults
    )


def test_an_agent_that_cannot_start_tells_the_key_too(
    tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    path = site(tmp_path)
    (tmp_path / "feeds.csv").unlink()

    assert main(["--config", str(path)]) == 2
    assert capsys.readouterr().err.endswith(
        f"\n{path}:5:11: cameras.file: {tmp_path}/feeds.csv: cannot be read: "
        "No such file or directory\n"
    )


def test_a_key_of_another_certificate_is_told_before_the_first_upload(tmp_path: Path) -> None:
    path, ca = site(tmp_path), trustme.CA()
    ca.cert_pem.write_to_path(tmp_path / "ca.pem")
    mine, other = ca.issue_cert("e1"), ca.issue_cert("e2")
    mine.cert_chain_pems[0].write_to_path(tmp_path / "e1.pem")
    other.private_key_pem.write_to_path(tmp_path / "e1.key")
    (tmp_path / "e1.key").chmod(0o600)
    uplink = (
        'uplink: {url: "https://[::1]:1", ca_file: ca.pem, cert_file: e1.pem, key_file: e1.key}'
    )
    path.write_text(CONFIG.replace('uplink: {url: "http://[::1]:1"}', uplink))

    (fault,) = check(path).faults
    assert str(fault).startswith(
        f"{path}:8:51: uplink.cert_file: {tmp_path}/e1.pem: expected a certificate whose private key is "
    )
    mine.private_key_pem.write_to_path(tmp_path / "e1.key")
    assert check(path).faults == []
