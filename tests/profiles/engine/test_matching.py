"""Matching: topics find their profiles, captures name the device, bad ids are refused."""

import pytest

from device_profiles.catalogue import Catalogue
from device_profiles.profile import load_profile
from device_profiles.topics import TemplateFault, Tree, parse_template
from gateway_core.errors import PayloadError
from tests.fakes.profile_text import PLAIN, changed, room, route_of


def find(templates: list[str], topic: str) -> list[tuple[str, dict[str, str]]]:
    tree: Tree[str] = Tree()
    for template in templates:
        tree.add(parse_template(template), template)
    return list(tree.find(topic))


def test_a_capture_is_a_part_of_one_level():
    assert find(["shelly-{mac}/events/rpc"], "shelly-a8b0/events/rpc") == [
        ("shelly-{mac}/events/rpc", {"mac": "a8b0"})
    ]
    assert find(["{a}/up"], "x/y/up") == []
    assert find(["{a}/up"], "/up") == []
    assert find(["{a}-{b}"], "1-2-3") == [("{a}-{b}", {"a": "1", "b": "2-3"})]


@pytest.mark.parametrize("template", ["{a}/up", "x{a}/up", "{a}x/up"])
def test_a_capture_has_1_to_256_characters_of_any_kind(template: str) -> None:
    for said in ("", "\n", "\N{SNOWMAN}", "y" * 256, "y" * 257):
        topic = template.replace("{a}", said)
        expected = [(template, {"a": said})] if 1 <= len(said) <= 256 else []
        assert find([template], topic) == expected


def test_literal_levels_go_before_captures():
    assert [name for name, _ in find(["{any}/up", "room/up"], "room/up")] == ["room/up", "{any}/up"]


def test_a_regular_expression_in_a_template_is_only_text():
    assert find(["a.c/{x}"], "abc/1") == []
    assert find(["a(b|c)*/{x}"], "a(b|c)*/1") == [("a(b|c)*/{x}", {"x": "1"})]


@pytest.mark.parametrize(
    "text", ["a/#", "+/b", "$SYS/{x}", "{x}/{x}", "{a}{b}", "a{", "{}", "{a b}", "{a}-{b}-{c}-{d}"]
)
def test_an_ambiguous_or_wild_template_is_refused(text):
    with pytest.raises(TemplateFault):
        parse_template(text)


def test_a_topic_of_64_kilobytes_matches_nothing():
    assert find(["{a}/up"], "x" * 65_000 + "/up") == []


def test_subscription_filters_cover_the_templates():
    catalogue = Catalogue([room(), load_profile(PLAIN, "plain.yaml")])
    assert catalogue.topics() == ["acme/+/+/alive", "acme/+/+/up"]


def test_several_profiles_may_read_one_topic():
    catalogue = Catalogue([room(), load_profile(PLAIN, "plain.yaml")])
    found = catalogue.mqtt("acme/s1/n1/up")
    assert [route.profile.id for route in found] == ["acme/room", "acme/plain"]
    assert found[0].captures == {"site": "s1", "node": "n1"}
    assert found[0].role == "data"
    assert found[0].device == "s1-n1"


def test_coap_content_formats_choose_the_profile():
    text = changed(
        '{via: mqtt, topic: "acme/{site}/{node}/up", payload: json}',
        '{via: coap, path: "/acme/{site}/{node}", content_format: [50]}',
        PLAIN,
    )
    catalogue = Catalogue([load_profile(text, "coap.yaml")])
    assert [route.device for route in catalogue.coap("/acme/s/n", 50)] == ["s-n"]
    assert [route.device for route in catalogue.coap("acme/s/n", None)] == ["s-n"]
    assert catalogue.coap("/acme/s/n", 60) == []
    assert catalogue.mqtt("acme/s/n") == []
    assert catalogue.topics() == []


@pytest.mark.parametrize(
    "node",
    [
        "a+b",
        "a#b",
        "$x",
        "a b",
        "N1",
        "ä",
        "x" * 200,
        "a\tb",
        "a\x00b",
        "..",
        "a\u202eb",
        "%s",
        "a,b",
        "a=b",
    ],
)
def test_a_device_id_with_unsafe_characters_is_refused(node):
    route = route_of(room(), f"acme/s1/{node}/up")
    with pytest.raises(PayloadError) as found:
        route.decode(b'{"temperature": 1}', 0)
    assert found.value.code == "bad_device_id"


def test_without_a_pattern_wildcards_and_control_characters_are_still_refused():
    profile = load_profile(PLAIN, "plain.yaml")
    for topic in ("acme/s/+/up", "acme/$s/n/up", "acme/s/\x7f/up", "acme/s/a b/up"):
        with pytest.raises(PayloadError, match="bad_device_id"):
            route_of(profile, topic).decode(b"{}", 0)
    assert (
        route_of(profile, "acme/urn:dev/ow:1_0.;/up").decode(b"{}", 0).device == "urn:dev-ow:1_0.;"
    )


def test_a_device_id_can_come_from_the_payload():
    text = changed(
        'device: {id: "{site}-{node}"}',
        'device: {id: "{site}-{meta.mac}", pattern: "s1-[0-9a-f]{4}"}',
        PLAIN,
    )
    route = route_of(load_profile(text, "meta.yaml"))
    assert route.device is None
    assert route.decode(b'{"meta": {"mac": "00ff"}, "temperature": 1}', 0).device == "s1-00ff"
    for bad in (
        b'{"temperature": 1}',
        b'{"meta": {"mac": true}}',
        b'{"meta": {"mac": "00FF"}}',
        b'{"meta": {"mac": 1.5}}',
    ):
        with pytest.raises(PayloadError, match="bad_device_id"):
            route.decode(bad, 0)


def test_availability_messages_say_online_or_offline_and_nothing_else():
    route = route_of(room(), "acme/s1/n1/alive")
    said = {
        b"online": True, b"true": True, b" Online ": True, b"1": True, b'{"state": "online"}': True,
        b'{"value": 1}': True, b'"online"': True,
        b"offline": False, b"false": False, b"0": False, b'{"state":"offline"}': False, b'{"online": false}': False,
    }  # fmt: skip
    assert {payload: route.decode(payload, 0).online for payload in said} == said
    for bad in (
        b"",
        b"maybe",
        b"{}",
        b'{"state": 2}',
        b"\xff",
        b"[1]",
        b"null",
        b"2",
        b"x" * 10_000,
    ):
        with pytest.raises(PayloadError, match="bad_availability"):
            route.decode(bad, 0)


def test_the_topic_of_availability_is_matched_even_if_match_leaves_it_out():
    text = changed(
        "store:",
        'availability: {online: "{device}/online"}\nstore:',
        changed('device: {id: "{site}-{node}"}', 'device: {id: "acme-{node}"}', PLAIN),
    )
    catalogue = Catalogue([load_profile(text, "online.yaml")])
    assert catalogue.topics() == ["+/online", "acme/+/+/up"]
    decoded = catalogue.mqtt("acme-7/online")[0].decode(b"offline", 0)
    assert (decoded.device, decoded.online) == ("acme-7", False)
