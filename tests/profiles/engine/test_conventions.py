"""What a system says beside its devices' data is known: read, or left aside, and never noise."""

from __future__ import annotations

from collections.abc import Mapping

import pytest

from device_profiles.catalogue import Catalogue
from device_profiles.profile import load_profile
from device_profiles.topics import TemplateFault, Tree, parse_template
from tests.fakes.profile_text import PLAIN, changed

ZIGBEE = changed(
    'match: [{via: mqtt, topic: "acme/{site}/{node}/up", payload: json}]\ndevice: {id: "{site}-{node}"}',
    "match: [{via: zigbee2mqtt}]",
    PLAIN,
)


def catalogue(text: str) -> Catalogue:
    """Return a catalogue of one profile."""
    return Catalogue([load_profile(text, "convention.yaml")])


def said(
    text: str, topic: str, payload: bytes
) -> tuple[str, bool | None, list[Mapping[str, object]]]:
    """Return device, presence and fields of one message."""
    (route,) = catalogue(text).mqtt(topic)
    decoded = route.decode(payload, 0)
    return decoded.device, decoded.online, [point.fields for point in decoded.readings]


def test_a_zigbee_device_s_availability_is_read_as_json_and_as_text() -> None:
    assert said(ZIGBEE, "zigbee2mqtt/lamp/availability", b'{"state": "online"}') == (
        "lamp",
        True,
        [],
    )
    assert said(ZIGBEE, "zigbee2mqtt/lamp/availability", b"offline") == ("lamp", False, [])


def test_the_bridge_s_own_messages_and_commands_of_others_are_left_aside() -> None:
    for topic in (
        "bridge/state",
        "bridge/logging",
        "bridge/response/device/remove",
        "lamp/set",
        "lamp/get",
        "lamp/set/state",
    ):
        assert said(ZIGBEE, f"zigbee2mqtt/{topic}", b"anything") == ("", None, []), topic


def test_what_is_left_aside_is_not_asked_of_the_broker() -> None:
    assert catalogue(ZIGBEE).topics() == ["zigbee2mqtt/+", "zigbee2mqtt/+/availability"]


def test_a_name_may_have_slashes_where_the_profile_says_so() -> None:
    text = ZIGBEE.replace(
        "{via: zigbee2mqtt}", '{via: zigbee2mqtt, topic: "zigbee2mqtt/{device*}"}'
    ).replace("time: {from: ts}", 'device: {id: "{device}", escape: true}')
    assert said(text, "zigbee2mqtt/attic/north lamp", b'{"temperature": 1}') == (
        "attic~2fnorth~20lamp", None, [{"temperature": 1.0}],
    )  # fmt: skip
    assert said(text, "zigbee2mqtt/attic/lamp/availability", b"online") == (
        "attic~2flamp",
        True,
        [],
    )
    assert said(text, "zigbee2mqtt/attic/lamp/set", b"{}") == ("", None, [])
    assert said(text, "zigbee2mqtt/bridge/devices", b"[]") == ("", None, [])
    assert catalogue(text).topics() == ["zigbee2mqtt/#"]


def test_a_profile_that_reads_a_topic_goes_before_one_that_ignores_it() -> None:
    other = PLAIN.replace("acme/plain", "acme/bridge").replace(
        "acme/{site}/{node}/up", "zigbee2mqtt/{site}/{node}"
    )
    both = Catalogue([load_profile(ZIGBEE, "a.yaml"), load_profile(other, "b.yaml")])
    assert [route.profile.id for route in both.mqtt("zigbee2mqtt/bridge/state")] == ["acme/bridge"]


def test_a_group_can_be_left_aside_by_its_name() -> None:
    text = ZIGBEE.replace(
        "[{via: zigbee2mqtt}]",
        "[{via: zigbee2mqtt}, {via: mqtt, topic: zigbee2mqtt/all_lamps, role: ignore}]",
    )
    assert said(text, "zigbee2mqtt/all_lamps", b'{"temperature": 1}') == ("", None, [])
    assert said(text, "zigbee2mqtt/lamp", b'{"temperature": 1}')[0] == "lamp"


def test_a_message_that_is_one_value_gets_the_name_that_its_topic_means() -> None:
    text = changed(
        '[{via: mqtt, topic: "acme/{site}/{node}/up", payload: json}]',
        '[{via: mqtt, topic: "sh/{site}/{node}/temperature", as: temperature},'
        ' {via: mqtt, topic: "sh/{site}/{node}/relay", payload: text, as: relay.state}]',
        PLAIN,
    ).replace(
        "open: {type: bool}",
        'open: {from: relay.state, type: bool, map: {"on": true, "off": false}}',
    )
    assert said(text, "sh/a/b/temperature", b"21.5") == ("a-b", None, [{"temperature": 21.5}])
    assert said(text, "sh/a/b/relay", b" on\n") == ("a-b", None, [{"open": True}])


def test_templates_that_span_levels_give_way_to_those_that_say_more() -> None:
    tree: Tree[str] = Tree()
    for text in ("a/{x*}", "a/{x*}/end", "a/b/{x*}", "a/b/{y}", "{n}/mid/{x*}/{last}"):
        tree.add(parse_template(text), text)
    found = {topic: sorted(item for item, _ in tree.find(topic)) for topic in (
        "a/q/r", "a/q/r/end", "a/b/c", "a/b/c/d", "z/mid/1/2/3", "z/q", "z/z/mid/1/2", "a/",
    )}  # fmt: skip
    assert found == {
        "a/q/r": ["a/{x*}"],
        "a/q/r/end": ["a/{x*}/end"],
        "a/b/c": ["a/b/{y}"],
        "a/b/c/d": ["a/b/{x*}"],
        "z/mid/1/2/3": ["{n}/mid/{x*}/{last}"],
        "z/q": [],
        "z/z/mid/1/2": [],
        "a/": [],
    }
    assert [captures for _, captures in tree.find("a/q/r")] == [{"x": "q/r"}]
    assert parse_template("{n}/mid/{x*}/{last}").filter == "+/mid/#"


@pytest.mark.parametrize("text", ["a/{x*}/{y*}", "a/b{x*}", "a/{x*}b"])
def test_a_capture_of_several_levels_stands_alone_and_once(text: str) -> None:
    with pytest.raises(TemplateFault):
        parse_template(text)
