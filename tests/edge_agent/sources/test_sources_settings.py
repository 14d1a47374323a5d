"""The promise: what is written about a broker is checked when it is read, with the reason."""

from __future__ import annotations

from pathlib import Path

import pytest
from pydantic import ValidationError

from edge_agent.sources.settings import CoapSettings, MqttSettings
from gateway_core.units import Address


def _read(**keys: object) -> MqttSettings:
    return MqttSettings.model_validate({"url": "mqtt://broker", **keys})


def test_the_defaults_are_safe() -> None:
    settings = _read()
    assert (settings.source, settings.address) == ("mqtt:site", Address("broker", 1883))
    assert (settings.version, settings.qos, settings.receive_maximum) == ("5", 1, 4000)
    assert (settings.session_expiry, settings.max_packet) == (604_800.0, 262_144)
    assert settings.client_id("bz-edge-01") == "tidegate-bz-edge-01-site"


@pytest.mark.parametrize(
    ("url", "address"),
    [
        ("mqtts://broker", Address("broker", 8883)),
        ("mqtt://[fd00::7]:1884", Address("fd00::7", 1884)),
        ("mqtt://127.0.0.1:1883/", Address("127.0.0.1", 1883)),
    ],
)
def test_urls_are_read(url: str, address: Address) -> None:
    assert _read(url=url).address == address


@pytest.mark.parametrize("version", [5, "5", "3.1.1"])
def test_versions_may_be_numbers_or_text(version: object) -> None:
    assert _read(version=version).version == str(version)


@pytest.mark.parametrize(
    ("keys", "why"),
    [
        ({"url": "http://broker"}, "expected mqtt://"),
        ({"url": "mqtt://user:secret@broker"}, "leave credentials out"),
        ({"url": "mqtt://broker/path"}, "nothing may follow"),
        ({"url": "mqtt://broker:0"}, "port 0"),
        ({"url": "mqtt://broker:70000"}, "out of range"),
        ({"cert_file": Path("c"), "url": "mqtts://b"}, "together"),
        ({"password_file": Path("p")}, "needs a username"),
        ({"ca_file": Path("c")}, "certificates need an mqtts"),
        ({"version": "3.1.1", "qos": 2}, "before the commit"),
        ({"version": "3.1"}, "3.1.1"),
        ({"receive_maximum": 65_535}, "8191"),
        ({"subscribe": ["a/#/b"]}, "last level"),
        ({"subscribe": ["a/b#"]}, "last level"),
        ({"subscribe": ["a/b+/c"]}, "its level"),
        ({"subscribe": ["good/+/x", ""]}, "1 to 65535 bytes"),
        ({"subscribe": ["a\0"]}, "none of them NUL"),
        ({"subscripe": []}, "Extra inputs"),
        ({"name": "Site 1"}, "pattern"),
        ({"shared_group": "a/b"}, "pattern"),
    ],
)
def test_a_mistake_is_named(keys: dict[str, object], why: str) -> None:
    with pytest.raises(ValidationError, match=why):
        _read(**keys)


def test_topics_of_the_profiles_stand_in_and_groups_are_put_in_front() -> None:
    assert _read().filters(["a", "b", "a"]) == ["a", "b"]
    assert _read(subscribe=["c/#"]).filters(["a"]) == ["c/#"]
    shared = _read(subscribe=["c/#", "$share/x/d"], shared_group="site")
    assert shared.filters([]) == ["$share/site/c/#", "$share/x/d"]


def test_the_coap_server_listens_everywhere_by_default() -> None:
    assert CoapSettings().listen == (Address("::", 5683),)
