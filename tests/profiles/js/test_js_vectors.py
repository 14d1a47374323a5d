"""What a codec returns can be a vector, to the letter; and a command may be encoded by it."""

from __future__ import annotations

import hashlib
from collections.abc import Iterator
from pathlib import Path

import pytest

from device_profiles.codec_vectors import differences
from device_profiles.examples import run_tests
from device_profiles.js.runtime import shared
from device_profiles.lint import lint
from device_profiles.profile import load_profile
from gateway_core.errors import ConfigError

GOLDEN = Path(__file__).parent / "golden"


@pytest.fixture(autouse=True, scope="module")
def ended() -> Iterator[None]:
    yield
    shared().close()


def written(folder: Path, old: str = "", new: str = "") -> Path:
    """Write the probe's codec and its profile, in which one text is replaced."""
    codec = (GOLDEN / "probe.js").read_bytes()
    folder.joinpath("probe.js").write_bytes(codec)
    text = (GOLDEN / "probe.yaml").read_text()
    assert old in text
    path = folder / "probe.yaml"
    path.write_text(text.replace("DIGEST", hashlib.sha256(codec).hexdigest()).replace(old, new))
    return path


def failures(path: Path) -> dict[str, tuple[str, ...]]:
    return {each.name: each.failures for each in run_tests(load_profile(path)) if not each.passed}


def test_every_function_passes_as_a_vector_and_the_profile_lints(tmp_path: Path) -> None:
    path = written(tmp_path)
    assert failures(path) == {}
    assert lint(path) == []


WRONG = [
    ("battery: 90.0, status", "battery: 91, status", "decodes", "data.battery: expected 91, found 90"),
    ("status: frost, humidity: null", "status: frost, humidity: 5", "decodes", "data.humidity: expected 5, found nothing"),
    ("status: frost, humidity: null", "humidity: null", "decodes", 'data.status: expected nothing, found "frost"'),
    ("bytes: [3, 2, 88], fPort: 85}\n", "bytes: [3, 2], fPort: 85}\n", "encodes", "bytes.2: expected nothing, found 88"),
    ("reject: codec_threw", "reject: codec_error", "throws", "rejected: codec_threw: Error: too short"),
    ("[unknown port 1]}}", "[]}}", "says no in words", 'errors: expected nothing, found ["unknown port 1"]'),
]  # fmt: skip


@pytest.mark.parametrize(("old", "new", "name", "failure"), WRONG)
def test_a_difference_is_named_with_its_path(
    tmp_path: Path, old: str, new: str, name: str, failure: str
) -> None:
    assert failures(written(tmp_path, old, new)) == {name: (failure,)}


def test_what_is_the_same_and_what_is_not() -> None:
    assert differences({"data": {"a": 1, "b": None}, "errors": []}, {"data": {"a": 1.0}}) == []
    assert differences({"a": 0.3}, {"a": 0.30000000000000004}) == []
    assert differences({"a": True}, {"a": 1}) == ["a: expected true, found 1"]
    assert differences({"a": "1"}, {"a": 1}) == ['a: expected "1", found 1']
    assert differences({"a": 1}, {"a": 1.00001}) == ["a: expected 1, found 1.00001"]
    assert differences({"a": 0}, {"a": 1e-9}) == ["a: expected 0, found 1e-09"]
    assert differences([1, None], [1]) == ["1: expected null, found nothing"]
    assert differences(None, {"data": {}}) == ['result: expected null, found {"data": {}}']
    assert len(differences(list(range(9)), [])) == 6


MISTAKES = [
    ('send: {topic: "gw/{gateway}/down", js', "send: {js", "the key 'topic' is missing: milesight-gateway has no topic of its own"),
    ('{js: {data: {minutes: "${minutes}"}, confirmed', '{js: {data: {minutes: "${hours}"}, confirmed', "${hours} is not among the arguments"),
    ("via: ttn-v3, data", "via: ttn-v4, data", "did you mean 'ttn-v3'?"),
    ("function: encodeDownlink", "function: encodeDownLink", "did you mean 'encodeDownlink'?"),
]  # fmt: skip


@pytest.mark.parametrize(("old", "new", "message"), MISTAKES)
def test_a_mistake_is_named(tmp_path: Path, old: str, new: str, message: str) -> None:
    with pytest.raises(ConfigError) as found:
        load_profile(written(tmp_path, old, new))
    assert message in str(found.value)
