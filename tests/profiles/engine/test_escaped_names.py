"""A device may be called anything: its id is safe, of one name only, and gives the name back."""

from __future__ import annotations

from hypothesis import given
from hypothesis import strategies as st

from device_profiles.escaped import escape, unescape
from device_profiles.identity import check_id
from device_profiles.profile import load_profile
from tests.fakes.profile_text import changed, route_of


def test_only_what_an_id_may_not_have_is_escaped() -> None:
    said = {
        "room-1": "room-1",
        "Device A": "Device~20A",
        "floor/lamp": "floor~2flamp",
        "~x": ".~7ex",
        ".": ".~2e",
        "@home": ".~40home",
        "温度": ".~e6~b8~a9~e5~ba~a6",
        "a~20b": "a~7e20b",
    }
    assert {name: escape(name) for name in said} == said


@given(st.text(st.characters(exclude_categories=("Cs",)), min_size=1, max_size=20))
def test_an_id_is_safe_and_gives_its_name_back(name: str) -> None:
    device = escape(name)
    assert unescape(device) == name
    if len(device) <= 128:
        check_id(device)


@given(st.text(max_size=8), st.text(max_size=8))
def test_different_names_have_different_ids(one: str, other: str) -> None:
    assert (escape(one) == escape(other)) == (one == other)


def test_a_profile_may_escape_the_names_of_its_devices() -> None:
    text = changed(
        'device: {id: "{site}-{node}", pattern: "[a-z0-9-]+"}',
        'device: {id: "{node}", escape: true}',
    )
    profile = load_profile(text, "escaped.yaml")
    assert route_of(profile, "acme/s1/Big Tank/up").decode(b"{}", 0).device == "Big~20Tank"
    command = profile.encode_command(
        "set", "Big~20Tank", {"level": 1, "mode": "fast"}, {"site": "s1"}
    )
    assert command.topic == "acme/s1/down/Big Tank"
    assert b'"id":"Big Tank"' in command.payload
    slash = profile.encode_command("set", "a~2fb", {"level": 1, "mode": "fast"}, {"site": "s1"})
    assert slash.topic == "acme/s1/down/a/b"
