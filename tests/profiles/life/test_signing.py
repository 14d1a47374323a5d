"""A signature holds for one key, one purpose and one message; a private key is its owner's alone."""

from __future__ import annotations

import stat
from pathlib import Path

import pytest
from cryptography.hazmat.primitives.asymmetric.ed448 import Ed448PrivateKey
from cryptography.hazmat.primitives.asymmetric.ed25519 import Ed25519PublicKey
from cryptography.hazmat.primitives.serialization import (
    Encoding,
    NoEncryption,
    PrivateFormat,
    PublicFormat,
)

from device_profiles.signing import PublicKey, load_public, load_signer, make_key
from gateway_core.errors import ConfigError, PayloadError


def test_a_key_is_written_for_its_owner_alone_and_signs_after_it_is_read(tmp_path: Path) -> None:
    made = make_key(tmp_path / "vendor.key")
    assert stat.S_IMODE((tmp_path / "vendor.key").stat().st_mode) == 0o600
    assert stat.S_IMODE((tmp_path / "vendor.key.pub").stat().st_mode) == 0o644
    public = load_public(tmp_path / "vendor.key.pub")
    assert public == made.public
    assert len(public.id) == 32
    public.verify(
        "bundle", b"digest", load_signer(tmp_path / "vendor.key").sign("bundle", b"digest")
    )


def test_another_message_purpose_or_key_is_refused(tmp_path: Path) -> None:
    one, other = make_key(tmp_path / "one"), make_key(tmp_path / "other")
    signature = one.sign("bundle", b"digest")
    wrong = [
        (one.public, "bundle", b"Digest", signature),
        (one.public, "plan", b"digest", signature),
        (other.public, "bundle", b"digest", signature),
        (one.public, "bundle", b"digest", signature[:-1]),
        (PublicKey(b"short"), "bundle", b"digest", signature),
    ]
    for key, purpose, message, given in wrong:
        with pytest.raises(PayloadError, match="bad_signature"):
            key.verify(purpose, message, given)  # type: ignore[arg-type]


def test_what_is_signed_begins_with_what_it_is(tmp_path: Path) -> None:
    made = make_key(tmp_path / "vendor.key")
    raw = Ed25519PublicKey.from_public_bytes(made.public.raw)
    raw.verify(made.sign("bundle", b"digest"), b"tidegate/bundle/1\0digest")
    raw.verify(made.sign("plan", b"{}"), b"tidegate/plan/1\0{}")


def test_a_key_of_another_kind_is_told(tmp_path: Path) -> None:
    path, other = tmp_path / "other.key", Ed448PrivateKey.generate()
    path.write_bytes(other.private_bytes(Encoding.PEM, PrivateFormat.PKCS8, NoEncryption()))
    path.chmod(0o600)
    with pytest.raises(ConfigError, match="expected Ed25519, found Ed448PrivateKey"):
        load_signer(path)
    path.write_bytes(
        other.public_key().public_bytes(Encoding.PEM, PublicFormat.SubjectPublicKeyInfo)
    )
    with pytest.raises(ConfigError, match="expected an Ed25519 key, found Ed448PublicKey"):
        load_public(path)


def test_a_key_is_never_overwritten(tmp_path: Path) -> None:
    path = tmp_path / "vendor.key"
    make_key(path)
    before = path.read_bytes()
    with pytest.raises(ConfigError, match="never overwritten"):
        make_key(path)
    assert path.read_bytes() == before


def test_a_key_that_others_can_read_or_that_is_none_is_told(tmp_path: Path) -> None:
    path = tmp_path / "vendor.key"
    make_key(path)
    for mode in (0o640, 0o604, 0o620):
        path.chmod(mode)
        with pytest.raises(
            ConfigError, match=r"vendor\.key: others can read this key; run: chmod 6"
        ):
            load_signer(path)
    path.chmod(0o600)
    with pytest.raises(ConfigError, match="expected an Ed25519 public key"):
        load_public(path)
    with pytest.raises(ConfigError, match="expected a private key in PEM"):
        load_signer(_private(path.with_name("vendor.key.pub")))
    with pytest.raises(ConfigError, match="cannot be read"):
        load_public(tmp_path / "nowhere")


def _private(path: Path) -> Path:
    path.chmod(0o600)
    return path
