"""One device of a gateway's message that cannot be read leaves the others."""

from __future__ import annotations

from device_profiles.codecs import Context, compile_decode


def test_a_device_whose_values_are_none_is_a_part_of_its_own() -> None:
    decode = compile_decode([{"thingsboard": {"form": "gateway"}}], many=True)
    found = decode(b'{"a": 5, "b": {"t": 1}, "c": [{"t": 2}, 7]}', Context())
    assert isinstance(found, list)
    assert [(each.device, each.values) for each in found if each.refused is None] == [
        ("b", {"t": 1})
    ]
    refused = [each.refused for each in found if each.refused is not None]
    assert [why.code for why in refused] == ["bad_envelope"] * 2
    assert refused[0].detail.startswith("a: ")
