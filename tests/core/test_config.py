"""Promise: a mistake in a configuration is told as file:line:col, with what to write instead."""

from __future__ import annotations

import pytest
from pydantic import BaseModel, ConfigDict

from gateway_core.config import Duration, Listen, Size, load_config, read_yaml
from gateway_core.errors import ConfigError
from gateway_core.units import Address


class Section(BaseModel):
    model_config = ConfigDict(frozen=True, extra="forbid")


class Broker(Section):
    name: str
    url: str
    version: int = 5
    password: int = 0


class Store(Section):
    max_bytes: Size = 1
    group_commit: Duration = 0.02


class Config(Section):
    mqtt: list[Broker] = []
    spool: Store = Store()
    listen: Listen = (Address("::", 8080),)
    area: str = "1"


@pytest.fixture
def load(tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)

    def read(text: str, **env: str) -> Config:
        (tmp_path / "c.yaml").write_bytes(text.encode())
        from pathlib import Path

        return load_config(Config, Path("c.yaml"), env=env)

    return read


def told(load, text: str, **env: str) -> list[str]:
    with pytest.raises(ConfigError) as caught:
        load(text, **env)
    return str(caught.value).splitlines()


GOOD = """\
mqtt:
  - name: site
    url: mqtt://[::1]:1883
spool: {max_bytes: 20GiB, group_commit: 20ms}
listen: ["[::]:8080", 127.0.0.1:8081]
"""


def test_a_good_file_is_read(load):
    config = load(GOOD)
    assert config.mqtt == [Broker(name="site", url="mqtt://[::1]:1883")]
    assert config.spool == Store(max_bytes=20 * 2**30, group_commit=0.02)
    assert config.listen == (Address("::", 8080), Address("127.0.0.1", 8081))


def test_an_empty_file_means_the_defaults(load):
    assert load("# nothing\n") == Config()


def test_an_unknown_key_gets_its_nearest_neighbour(load):
    assert told(load, "mqtt:\n  - name: a\n    urrl: b\n    url: c\n") == [
        "c.yaml:3:5: mqtt.0.urrl: unknown key; did you mean 'url'?"
    ]


def test_an_unknown_key_without_a_neighbour_gets_the_list(load):
    assert told(load, "area: x\nq: 1\n") == [
        "c.yaml:2:1: q: unknown key; known here: area, listen, mqtt, spool"
    ]


def test_every_mistake_is_told_in_the_order_of_the_file(load):
    text = "mqtt:\n  - name: a\narea: 371602\nspool: {max_bytes: lots, group_commit: 5 parsecs}\n"
    assert told(load, text) == [
        "c.yaml:2:5: mqtt.0.url: this key is missing",
        "c.yaml:3:1: area: input should be a valid string, found 371602; write it in quotes",
        "c.yaml:4:9: spool.max_bytes: expected a size such as 512MiB or 20GiB, found 'lots'",
        "c.yaml:4:26: spool.group_commit: expected a duration such as 20ms, 5m or 30d, found '5 parsecs'",
    ]


def test_a_section_of_the_wrong_shape_is_told_in_words_of_the_file(load):
    assert told(load, "mqtt: site\nspool: 20GiB\n") == [
        "c.yaml:1:1: mqtt: expected a list, each element after a `-` or in brackets, found 'site'",
        "c.yaml:2:1: spool: expected keys and values such as `name: {…}`, found '20GiB'",
    ]


def test_a_repeated_key_is_refused(load):
    assert told(load, "spool: {}\narea: x\nspool: {}\n") == [
        "c.yaml:3:1: spool: this key is given twice; first in line 1"
    ]


def test_what_is_not_yaml_has_a_place_too(load):
    assert told(load, "mqtt: [1,\n  2\n") == [
        "c.yaml:1:7: not YAML: while parsing a flow sequence expected ',' or ']', but got '<stream end>'"
    ]


@pytest.mark.parametrize(
    ("text", "message"),
    [
        ("- 1\n", "c.yaml:1:1: expected sections such as `name: {…}`"),
        ("area: !env HOME\n", "c.yaml:1:7: area: tag !env: write plain YAML"),
        ("? [a, b]\n: 1\n", "c.yaml:1:3: a key must be a text or a number"),
        ("area: \0\n", "c.yaml: holds a NUL character: not a text file"),
        ("area: " + "x" * (1 << 20), "c.yaml: larger than 1 MiB; split it"),
    ],
    ids=["list", "tag", "key", "nul", "large"],
)
def test_what_readers_would_disagree_on_is_refused(load, text, message):
    assert told(load, text) == [message]


def test_bytes_that_are_not_utf8_are_refused(tmp_path):
    path = tmp_path / "c.yaml"
    path.write_bytes(b"area: \xff\n")
    with pytest.raises(ConfigError, match="not UTF-8 at byte 6"):
        load_config(Config, path)


def test_a_file_that_is_not_there_is_told(tmp_path):
    with pytest.raises(ConfigError, match=r"none\.yaml: cannot be read: No such file"):
        load_config(Config, tmp_path / "none.yaml")


def test_an_alias_bomb_is_refused():
    lines = ["a: &a [x, x, x, x, x, x, x, x, x]"]
    lines += [
        f"{new}: &{new} [{', '.join([f'*{old}'] * 9)}]"
        for old, new in zip("abcdefg", "bcdefgh", strict=True)
    ]
    with pytest.raises(ConfigError, match="more than 200000 values"):
        read_yaml("\n".join(lines))


def test_deep_nesting_is_refused():
    with pytest.raises(ConfigError, match="not YAML"):
        read_yaml("[" * 5000)


def test_yaml_is_version_1_2():
    assert read_yaml("on: yes\nmode: 010\n").data == {"on": "yes", "mode": 10}


def test_the_environment_wins_over_the_file(load):
    config = load(
        GOOD,
        TIDEGATE_SPOOL__MAX_BYTES="1MiB",
        TIDEGATE_MQTT__0__URL="mqtt://other:1883",
        TIDEGATE_MQTT__1="{name: b, url: u}",
        TIDEGATE_EGRESS_FILE="another's",
        TIDEGATE_NOSUCH__KEY="another program's",
    )
    assert config.spool.max_bytes == 1 << 20
    assert [broker.url for broker in config.mqtt] == ["mqtt://other:1883", "u"]


def test_a_mistake_in_the_environment_names_the_variable(load):
    assert told(load, "", TIDEGATE_SPOOL__MAX_BYTS="1") == [
        "environment variable TIDEGATE_SPOOL__MAX_BYTS: spool.max_byts: unknown key; did you mean 'max_bytes'?"
    ]


def test_a_secret_is_not_repeated_in_an_error(load):
    (line,) = told(load, "mqtt: [{name: a, url: b, password: hunter2}]\n")
    assert "hunter2" not in line


def test_locate_finds_the_deepest_step_that_exists():
    document = read_yaml("a:\n  - b: 1\n    c:\n      d: 2\n")
    assert document.locate(("a", 0, "c", "d")) == (4, 7)
    assert document.locate(("a", 0, "c", "nope")) == (3, 5)
    assert document.locate(("a", 7)) == (1, 1)
    assert str(document.fault(("a", 0, "b"), "no")) == "<text>:2:5: a.0.b: no"


def test_an_address_from_the_environment_may_begin_with_a_bracket(tmp_path):
    path = tmp_path / "c.yaml"
    path.write_text("api: {listen: '127.0.0.1:8080'}\n")

    class Api(BaseModel):
        listen: Listen

    class Config(BaseModel):
        api: Api

    config = load_config(Config, path, env={"TIDEGATE_API__LISTEN": "[::1]:8081"})
    assert config.api.listen == (Address("::1", 8081),)
