"""The edge's configuration file reads as the contract shows it, and every mistake has a place."""

from __future__ import annotations

from pathlib import Path

import pytest

from edge_agent.cameras.seal import SiteKey
from edge_agent.config import load_edge_config
from edge_agent.init import Answers, write_site
from edge_agent.sources.listen.users import read_users
from gateway_core.errors import ConfigError
from gateway_core.units import Address

CONTRACT = """\
edge:
  id: bz-edge-01
  area: "371602"
  data_dir: ./var/edge-01
mqtt:
  - name: site
    url: mqtt://127.0.0.1:1883
    version: 5
    subscribe: ["tg/+/up"]
    shared_group: null
coap:
  listen: "[::]:5683"
profiles: [./profiles]
devices:
  file: devices.csv
  unknown: register
cameras:
  file: feeds.csv
  sweep: 60s
systems:
  file: systems.yaml
spool:   {max_bytes: 20GiB, group_commit: 20ms}
archive: {keep: 30d, max_bytes: 200GiB}
egress:  {file: egress.yaml}
uplink:
  url: http://127.0.0.1:8090
admin:
  listen: 127.0.0.1:9180
"""
LEAST = "edge: {id: e1, data_dir: var}\n"


def write(folder: Path, text: str) -> Path:
    path = folder / "edge.yaml"
    path.write_text(text, encoding="utf-8")
    return path


def test_the_contract_s_example_is_read(tmp_path: Path) -> None:
    config = load_edge_config(write(tmp_path, CONTRACT))
    assert config.edge.id == "bz-edge-01"
    assert config.mqtt[0].version == "5"
    assert config.mqtt[0].subscribe == ("tg/+/up",)
    assert config.coap is not None
    assert str(config.coap.listen[0]) == "[::]:5683"
    assert config.spool.max_bytes == 20 * 2**30
    assert config.spool.group_commit == 0.02
    assert config.archive.keep == 30 * 86_400
    assert str(config.admin.listen[0]) == "127.0.0.1:9180"


def test_paths_are_relative_to_the_file_that_names_them(tmp_path: Path) -> None:
    config = load_edge_config(write(tmp_path, CONTRACT))
    assert config.edge.data_dir == tmp_path / "var/edge-01"
    assert config.profiles == (tmp_path / "profiles",)
    assert config.devices.file == tmp_path / "devices.csv"


def test_everything_but_the_edge_may_be_left_out(tmp_path: Path) -> None:
    config = load_edge_config(write(tmp_path, LEAST))
    assert config.mqtt == ()
    assert config.coap is None
    assert config.uplink is None
    assert config.devices.unknown == "register"


def test_the_environment_wins_over_the_file(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("TIDEGATE_EDGE__ID", "from-env")
    monkeypatch.setenv("TIDEGATE_DEVICES__UNKNOWN", "hold")
    config = load_edge_config(write(tmp_path, LEAST))
    assert config.edge.id == "from-env"
    assert config.devices.unknown == "hold"


@pytest.mark.parametrize(
    ("text", "place", "words"),
    [
        ("edge: {id: e1, data_dir: var}\nmqt: []\n", ":2:1:", "mqtt"),
        ("edge: {id: E1, data_dir: var}\n", ":1:", "edge.id"),
        ("edge:\n  id: e1\n  data_dir: var\n  data_dri: x\n", ":4:3:", "data_dir"),
        (LEAST + "spool: {max_bytes: 20XB}\n", ":2:", "20XB"),
        (LEAST + "mqtt:\n  - url: http://x\n", ":3:", "mqtt://"),
        (LEAST + "mqtt:\n  - url: mqtt://user:secret@x\n", ":3:", "password_file"),
        (LEAST + "uplink: {url: 'http://u:secret@x'}\n", ":2:", "credentials"),
        (LEAST + "devices: {unknown: maybe}\n", ":2:", "devices.unknown"),
    ],
)
def test_a_mistake_is_told_with_its_place(
    tmp_path: Path, text: str, place: str, words: str
) -> None:
    with pytest.raises(ConfigError) as caught:
        load_edge_config(write(tmp_path, text))
    told = str(caught.value)
    assert f"edge.yaml{place}" in told
    assert words in told
    assert "secret@" not in told


def test_a_listener_for_devices_lets_nobody_in_unless_the_file_says_so(tmp_path: Path) -> None:
    text = LEAST + 'mqtt_listen:\n  - listen: "[::]:1883"\n'
    (listener,) = load_edge_config(write(tmp_path, text)).mqtt_listen
    assert (listener.anonymous, listener.open_to_nobody) == (False, True)
    assert listener.listen == (Address("::", 1883),)


def test_two_listeners_need_two_names(tmp_path: Path) -> None:
    text = LEAST + 'mqtt_listen:\n  - listen: "[::]:1883"\n  - listen: "[::]:1884"\n'
    with pytest.raises(ConfigError, match="each listener under mqtt_listen needs a name"):
        load_edge_config(write(tmp_path, text))


def test_two_brokers_need_two_names(tmp_path: Path) -> None:
    brokers = "mqtt:\n  - url: mqtt://a\n  - url: mqtt://b\n"
    with pytest.raises(ConfigError, match="name of its own"):
        load_edge_config(write(tmp_path, LEAST + brokers))


def test_a_packet_must_be_able_to_hold_a_payload_that_is_too_long(tmp_path: Path) -> None:
    brokers = "mqtt:\n  - {url: mqtt://a, max_packet: 100KiB}\n"
    with pytest.raises(ConfigError, match="max_packet must be more"):
        load_edge_config(write(tmp_path, LEAST + brokers))


def test_a_new_site_s_files_are_read_as_they_were_written(tmp_path: Path) -> None:
    made = write_site(tmp_path / "site", Answers("bz-edge-01", area="371602", unknown="hold"))
    config = load_edge_config(made[0])
    assert config.edge.area == "371602"
    assert config.devices.unknown == "hold"
    assert (tmp_path / "site/devices.csv").read_text() == "id,profile,address,name,lat,lon\n"
    assert (tmp_path / "site/secrets").stat().st_mode & 0o777 == 0o700


def test_a_new_site_without_a_broker_lets_in_who_is_on_its_machine(tmp_path: Path) -> None:
    made = write_site(tmp_path / "site", Answers("e1", mqtt_listen="localhost:1884"))
    config = load_edge_config(made[0])
    assert config.mqtt == ()
    (listener,) = config.mqtt_listen
    assert (str(listener.listen[0]), listener.anonymous) == ("localhost:1884", True)


def test_a_new_site_that_listens_to_the_network_asks_for_logins(tmp_path: Path) -> None:
    answers = Answers("e1", mqtt="mqtt://broker:1883", mqtt_listen="[::]:1883")
    made = write_site(tmp_path / "site", answers)
    config = load_edge_config(made[0])
    assert config.mqtt[0].url == "mqtt://broker:1883"
    assert not config.mqtt_listen[0].anonymous
    users = tmp_path / "site/secrets/users"
    assert len(read_users(users)) == 0
    assert users.stat().st_mode & 0o777 == 0o600


def test_a_site_s_files_are_never_overwritten(tmp_path: Path) -> None:
    write(tmp_path, "mine\n")
    with pytest.raises(ConfigError, match="is there already"):
        write_site(tmp_path, Answers("e1"))
    assert (tmp_path / "edge.yaml").read_text() == "mine\n"


def test_an_unacceptable_answer_leaves_no_files(tmp_path: Path) -> None:
    with pytest.raises(ConfigError, match=r"edge\.id"):
        write_site(tmp_path, Answers("Not An Id"))
    assert not (tmp_path / "edge.yaml").exists()


def test_a_new_site_has_a_key_for_its_cameras_passwords(tmp_path: Path) -> None:
    write_site(tmp_path / "site", Answers("e1"))
    key = tmp_path / "site" / "secrets" / "cameras.key"
    assert key.stat().st_mode & 0o777 == 0o600
    assert SiteKey(key).open("c1", SiteKey(key).seal("c1", "word")) == "word"
