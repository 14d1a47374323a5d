"""A profile may name a JavaScript codec: pinned by digest, found beside it, tried by its vectors."""

from __future__ import annotations

import hashlib
from collections.abc import Iterator
from pathlib import Path

import pytest

from device_profiles.catalogue import load_catalogue
from device_profiles.examples import run_tests
from device_profiles.js.runtime import shared
from device_profiles.lint import lint
from device_profiles.profile import load_profile
from gateway_core.errors import ConfigError, PayloadError

HERE = Path(__file__).parent
CODEC = (HERE / "em300-th.js").read_bytes()
PROFILE = (HERE / "em300-th.yaml").read_text()
STEP = "js: {file: em300-th.js, sha256: DIGEST, time_ms: 50, memory_mb: 16}"


@pytest.fixture(autouse=True, scope="module")
def ended() -> Iterator[None]:
    """End the program's own worker when the tests of this file are done."""
    yield
    shared().close()


def written(folder: Path, codec: bytes = CODEC, step: str = STEP) -> Path:
    """Write codec and profile; return the profile."""
    folder.joinpath("em300-th.js").write_bytes(codec)
    text = PROFILE.replace(STEP, step).replace("DIGEST", hashlib.sha256(codec).hexdigest())
    path = folder / "em300-th.yaml"
    path.write_text(text)
    return path


def test_the_profile_of_a_lorawan_sensor_loads_and_all_of_its_vectors_pass(tmp_path: Path) -> None:
    outcomes = run_tests(load_profile(written(tmp_path)))
    assert [(outcome.name, outcome.failures) for outcome in outcomes if not outcome.passed] == []
    assert len(outcomes) == 6


def test_lint_finds_nothing_in_it(tmp_path: Path) -> None:
    assert lint(written(tmp_path)) == []


def test_a_byte_order_mark_and_stray_bytes_are_read_and_part_of_the_digest(tmp_path: Path) -> None:
    path = written(tmp_path, b"\xef\xbb\xbf// 28 \xb0C\n" + CODEC)
    assert all(outcome.passed for outcome in run_tests(load_profile(path)))


def test_loading_runs_nothing_of_the_codec(tmp_path: Path) -> None:
    shared().close()
    load_profile(written(tmp_path, b"while (true);"))
    assert shared().workers == []


def test_profiles_without_javascript_start_no_worker() -> None:
    shared().close()
    load_catalogue([])
    assert shared().workers == []


def _mistake(path: Path) -> str:
    with pytest.raises(ConfigError) as found:
        load_profile(path)
    (fault,) = found.value.faults
    return str(fault).replace(f"{path.parent}/", "")


def test_a_changed_codec_is_refused_with_file_and_both_digests(tmp_path: Path) -> None:
    path = written(tmp_path)
    (tmp_path / "em300-th.js").write_bytes(CODEC + b"\n")
    expected = hashlib.sha256(CODEC).hexdigest()
    found = hashlib.sha256(CODEC + b"\n").hexdigest()
    assert _mistake(path) == (
        "em300-th.yaml:16:29: decode.0.js.sha256: em300-th.js is not the file that was pinned: "
        f"expected {expected}, found {found}"
    )


def test_a_codec_that_is_not_there_is_named(tmp_path: Path) -> None:
    path = written(tmp_path)
    (tmp_path / "em300-th.js").unlink()
    assert _mistake(path) == (
        "em300-th.yaml:16:10: decode.0.js.file: em300-th.js cannot be read: "
        "No such file or directory"
    )


@pytest.mark.parametrize("file", ["../em300-th.js", "/etc/hostname", "..\\\\x.js"])
def test_a_codec_stands_in_the_profiles_own_folder(tmp_path: Path, file: str) -> None:
    path = written(tmp_path, step=STEP.replace("em300-th.js", f'"{file}"'))
    assert "leaves the profile's folder" in _mistake(path)


def test_a_link_that_leads_out_of_the_folder_is_refused(tmp_path: Path) -> None:
    own = tmp_path / "own"
    own.mkdir()
    path = written(own)
    (own / "em300-th.js").rename(tmp_path / "elsewhere.js")
    (own / "em300-th.js").symlink_to(tmp_path / "elsewhere.js")
    assert "leads out of the profile's folder" in _mistake(path)


def test_a_codec_larger_than_a_megabyte_is_refused(tmp_path: Path) -> None:
    assert "larger than 1048576 bytes" in _mistake(written(tmp_path, b"/" * ((1 << 20) + 1)))


def test_a_profile_that_is_a_text_has_no_codec_beside_it() -> None:
    with pytest.raises(ConfigError, match="no codec beside it"):
        load_profile(PROFILE.replace("DIGEST", "a" * 64), "em300-th.yaml")


@pytest.mark.parametrize(
    ("step", "message"),
    [
        ("js: {file: a.js}", "decode.0.js: the key 'sha256' is missing"),
        (STEP.replace("time_ms: 50", "time_ms: 5000"), "decode.0.js.time_ms"),
        (STEP.replace("time_ms", "time"), "unknown key; did you mean 'time_ms'?"),
    ],
)
def test_a_wrong_step_is_named_with_its_place(tmp_path: Path, step: str, message: str) -> None:
    assert message in _mistake(written(tmp_path, step=step))


@pytest.mark.parametrize(
    ("before", "message"),
    [
        ("cayenne-lpp: {}", "decode.0.cayenne-lpp: only 'json' or 'cbor' with 'payload'"),
        ("json: {}", "decode.0.json: only 'json' or 'cbor' with 'payload'"),
        (
            "json: {payload: a}\n  - json: {payload: b}",
            "decode.2.js: a JavaScript codec stands alone",
        ),
    ],
)
def test_only_a_carrier_stands_before_a_codec(tmp_path: Path, before: str, message: str) -> None:
    path = written(tmp_path)
    path.write_text(path.read_text().replace("decode:\n", f"decode:\n  - {before}\n"))
    assert message in _mistake(path)


def test_a_gateways_own_json_may_carry_the_bytes(tmp_path: Path) -> None:
    codec = b"function Decode(port, bytes) { return {battery: bytes[2], humidity: port}; }"
    path = written(tmp_path, codec)
    text = path.read_text()
    text = text.replace("- {via: chirpstack-v4}", "- {via: mqtt, topic: 'gateway/up'}")
    text = text.replace("  - {via: ttn-v3}\n", "").replace('id: "{device}"', 'id: "{devEUI}"')
    text = text.replace("decode:\n", "decode:\n  - json: {payload: data, encoding: hex}\n")
    path.write_text(text)
    (route,) = load_catalogue([tmp_path], shipped=False).mqtt("gateway/up")
    sent = b'{"devEUI": "24e124136c191967", "fPort": 85, "data": "01755c"}'
    decoded = route.decode(sent, 1_744_103_718_000_000_000)
    assert decoded.device == "24e124136c191967"
    assert decoded.readings[0].fields == {"battery": 92, "humidity": 85.0}
    with pytest.raises(PayloadError, match="bad_envelope"):
        route.decode(b'{"devEUI": "24e124136c191967"}', 0)


LINTED = [
    (b"function decode(input) {}", "em300-th.yaml:16:10: decode.0.js.file: has no function"),
    (b"function decodeUplink( {", "em300-th.yaml:16:10: decode.0.js.file: SyntaxError"),
    (
        b"var n = 0; function decodeUplink() { n++; return {data: {battery: n}}; }",
        "em300-th.yaml:16:5: decode.0.js: keeps state between messages",
    ),
]


@pytest.mark.parametrize(("codec", "message"), LINTED)
def test_lint_runs_the_codec_and_says_what_is_wrong(
    tmp_path: Path, codec: bytes, message: str
) -> None:
    (fault,) = lint(written(tmp_path, codec))
    assert str(fault).replace(f"{tmp_path}/", "").startswith(message)


def test_lint_is_content_when_a_codec_with_state_is_declared_fresh(tmp_path: Path) -> None:
    step = STEP.replace("time_ms: 50", "fresh: true, time_ms: 50")
    assert lint(written(tmp_path, LINTED[2][0], step)) == []


def test_a_value_that_is_no_number_is_flagged_and_the_others_are_kept(tmp_path: Path) -> None:
    codec = b"function Decoder() { return {temperature: 0 / 0, humidity: 50.5, battery: null}; }"
    catalogue = load_catalogue([written(tmp_path, codec).parent], shipped=False)
    (route,) = catalogue.mqtt("application/a1/device/24e124136c191967/event/up")
    message = b'{"deviceInfo": {"devEui": "24e124136c191967"}, "fPort": 85, "data": "AQ=="}'
    (point,) = route.decode(message, 1_744_103_718_000_000_000).readings
    assert point.fields == {"humidity": 50.5}
    assert point.flags == ("temperature:not_number",)
