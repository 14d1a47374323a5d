"""A bundle is the same bytes everywhere, holds what the profile names and nothing outside of it."""

from __future__ import annotations

import hashlib
from pathlib import Path

import msgspec
import pytest
from hypothesis import given
from hypothesis import strategies as st

from device_profiles.bundle import (
    MAGIC,
    MAX_FILE_BYTES,
    PROFILE,
    Bundle,
    check_files,
    decode_bundle,
    digest_of,
    open_unpacked,
    pack,
    pack_text,
    unpack,
)
from device_profiles.profile import load_profile
from gateway_core.errors import ConfigError, PayloadError
from tests.fakes.profile_text import PROFILE as ROOM

CODEC = b"function decodeUplink(input) { return {data: {temperature: input.bytes[0]}} }\n"
PIN = hashlib.sha256(CODEC).hexdigest()
WITH_CODEC = ROOM.replace(
    "decode: [{json: {}}]", f"decode: [{{js: {{file: codecs/room.js, sha256: {PIN}}}}}]"
).replace("payload: json", "payload: bytes")

NAMES = st.text("abcXYZ09_-é中", min_size=1, max_size=8)


def _refused(files: dict[str, bytes]) -> str:
    data = MAGIC + msgspec.msgpack.encode(sorted(files.items()))
    with pytest.raises(PayloadError, match="bad_bundle") as caught:
        decode_bundle(data)
    return caught.value.detail


@given(st.dictionaries(NAMES, st.binary(max_size=50), max_size=6))
def test_what_is_packed_is_unpacked_and_its_bytes_are_the_only_ones(
    files: dict[str, bytes],
) -> None:
    lower = {name.casefold(): (f"codecs/{name}", data) for name, data in files.items()}
    bundle = Bundle({PROFILE: b"format: 1\n", **dict(lower.values())})
    data = bundle.encode()
    assert decode_bundle(data) == bundle
    backwards = Bundle(dict(reversed(bundle.files.items())))
    assert backwards.encode() == data
    assert bundle.digest == hashlib.sha256(data).hexdigest()


@given(st.binary(max_size=200))
def test_arbitrary_bytes_are_a_bundle_or_refused_by_name(data: bytes) -> None:
    for candidate in (data, MAGIC + data):
        try:
            decode_bundle(candidate)
        except PayloadError as exc:
            assert exc.code == "bad_bundle"  # noqa: PT017


def test_the_bytes_of_a_known_bundle_never_change() -> None:
    assert pack_text("format: 1\n").encode() == (
        b"TGPB\x01\x91\x92\xacprofile.yaml\xc4\x0aformat: 1\n"
    )


def test_a_profile_takes_along_the_codec_it_names_and_the_licence_beside_it(tmp_path: Path) -> None:
    (tmp_path / "codecs").mkdir()
    (tmp_path / "codecs/room.js").write_bytes(CODEC)
    (tmp_path / "LICENSE").write_text("CC0\n")
    (tmp_path / "secret.txt").write_text("stays\n")
    (tmp_path / "room.yaml").write_text(WITH_CODEC)
    bundle = pack(tmp_path / "room.yaml")
    assert sorted(bundle.files) == ["LICENSE", "codecs/room.js", "profile.yaml"]
    folder = unpack(bundle.encode(), tmp_path / "store")
    assert folder.name == bundle.digest
    assert load_profile(open_unpacked(tmp_path / "store", bundle.digest)).id == "acme/room"


def test_a_codec_that_is_missing_is_told_with_its_place_in_the_file(tmp_path: Path) -> None:
    path = tmp_path / "room.yaml"
    path.write_text(WITH_CODEC)
    with pytest.raises(ConfigError, match=r"room\.yaml:11:16: decode\.0\.js\.file: .*room\.js"):
        pack(path)


@pytest.mark.parametrize(
    "name",
    ["../up.js", "/etc/passwd", "a//b", "a/./b", "", "a\\b", "a\nb", "a" * 256, "a/" * 8 + "b"],
)
def test_a_name_that_leads_outside_is_refused(name: str) -> None:
    assert "leaves the profile's folder" in _refused({PROFILE: b"", name: b"x"})


def test_a_link_out_of_the_folder_is_not_packed(tmp_path: Path) -> None:
    (tmp_path / "outside.js").write_bytes(CODEC)
    (tmp_path / "in/codecs").mkdir(parents=True)
    (tmp_path / "in/codecs/room.js").symlink_to(tmp_path / "outside.js")
    (tmp_path / "in/room.yaml").write_text(WITH_CODEC)
    with pytest.raises(ConfigError, match="leads out of the profile's folder"):
        pack(tmp_path / "in/room.yaml")


def test_a_bundle_is_bounded_and_has_a_profile() -> None:
    assert _refused({"a.js": b""}) == "it holds no profile.yaml"
    assert _refused({PROFILE: b"", **{f"f{n}": b"" for n in range(32)}}) == "more than 32 files"
    assert "larger than" in _refused({PROFILE: bytes(MAX_FILE_BYTES + 1)})
    assert _refused({PROFILE: b"", "A.js": b"", "a.js": b""}) == "a.js and A.js are one name"
    assert _refused({PROFILE: b"", "a": b"", "a/b": b""}) == "a/b stands in a file"


def test_a_bundle_is_at_most_eight_mebibytes_long() -> None:
    with pytest.raises(PayloadError, match="larger than 8388608 bytes"):
        decode_bundle(bytes(8_388_609))
    with pytest.raises(PayloadError, match="larger than 8388608 bytes"):
        check_files({PROFILE: b"", **{f"f{n}": bytes(1_048_576) for n in range(8)}})


def test_files_in_another_order_or_twice_are_not_canonical() -> None:
    for pairs in ([("z", b""), (PROFILE, b"")], [(PROFILE, b"1"), (PROFILE, b"2")]):
        with pytest.raises(PayloadError, match="sort them, each once"):
            decode_bundle(MAGIC + msgspec.msgpack.encode(pairs))


def test_a_damaged_folder_is_noticed_and_mended_by_unpacking_again(tmp_path: Path) -> None:
    data = pack_text(ROOM).encode()
    folder = unpack(data, tmp_path)
    assert unpack(data, tmp_path) == folder
    for damaged in (PROFILE, "more/file"):
        (folder / damaged).parent.mkdir(exist_ok=True)
        (folder / damaged).write_text("x")
        with pytest.raises(PayloadError, match="bad_bundle"):
            open_unpacked(tmp_path, digest_of(data))
        unpack(data, tmp_path)
        assert open_unpacked(tmp_path, digest_of(data)).read_text() == ROOM
    assert [path.name for path in tmp_path.iterdir()] == [digest_of(data)]


def test_a_link_in_the_place_of_a_file_is_damage(tmp_path: Path) -> None:
    data = pack_text(ROOM).encode()
    profile = unpack(data, tmp_path / "store") / PROFILE
    profile.rename(tmp_path / "outside.yaml")
    profile.symlink_to(tmp_path / "outside.yaml")
    with pytest.raises(PayloadError, match="bad_bundle"):
        open_unpacked(tmp_path / "store", digest_of(data))


@pytest.mark.parametrize("digest", ["..", "0" * 63, "0" * 64, ""])
def test_a_digest_that_is_none_or_not_there_is_told(tmp_path: Path, digest: str) -> None:
    with pytest.raises(PayloadError, match="no_bundle"):
        open_unpacked(tmp_path, digest)
