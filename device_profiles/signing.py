"""Ed25519 keys: a vendor signs its bundles, a registry signs what it tells each edge to run.

What is signed begins with what it is, so that no signature means anything elsewhere.
"""

from __future__ import annotations

import hashlib
import os
from dataclasses import dataclass
from pathlib import Path
from typing import Literal

from cryptography.exceptions import InvalidSignature, UnsupportedAlgorithm
from cryptography.hazmat.primitives import serialization
from cryptography.hazmat.primitives.asymmetric.ed25519 import Ed25519PrivateKey, Ed25519PublicKey

from gateway_core.errors import ConfigError, Fault, PayloadError

Purpose = Literal["bundle", "plan", "balance"]
"""What is signed: a bundle's digest (its 64 hexadecimal digits), a plan's or a balance's bytes."""

SIGNATURE_BYTES = 64
PUBLIC_BYTES = 32
_KEY_ID_DIGITS = 32
_MOST = 16 << 10
"""Bytes of a key's file."""


class BadKey(ConfigError):
    """A key's file holds no Ed25519 key, or another than the public one beside it."""


@dataclass(frozen=True, slots=True)
class PublicKey:
    """Checks signatures.

    Attributes:
        raw: The key itself, 32 bytes.
    """

    raw: bytes

    @property
    def id(self) -> str:
        """Names the key: the first 32 hexadecimal digits of its SHA-256."""
        return hashlib.sha256(self.raw).hexdigest()[:_KEY_ID_DIGITS]

    @property
    def pem(self) -> str:
        """The key as a file holds it."""
        key = Ed25519PublicKey.from_public_bytes(self.raw)
        form = serialization.PublicFormat.SubjectPublicKeyInfo
        return key.public_bytes(serialization.Encoding.PEM, form).decode()

    def verify(self, purpose: Purpose, message: bytes, signature: bytes) -> None:
        """Return if this key signed ``message``.

        Raises:
            PayloadError: ``bad_signature``.
        """
        try:
            key = Ed25519PublicKey.from_public_bytes(self.raw)
            key.verify(signature, _framed(purpose, message))
        except (InvalidSignature, ValueError) as exc:
            detail = f"key {self.id} did not sign this {purpose}, or it was changed since"
            raise PayloadError("bad_signature", detail) from exc


class Signer:
    """Signs with a private key; made by `make_key` or `load_signer`."""

    def __init__(self, key: Ed25519PrivateKey) -> None:
        self._key = key
        self.public = PublicKey(
            key.public_key().public_bytes(
                serialization.Encoding.Raw, serialization.PublicFormat.Raw
            )
        )

    def sign(self, purpose: Purpose, message: bytes) -> bytes:
        """Return the signature, 64 bytes."""
        return self._key.sign(_framed(purpose, message))


def make_key(path: Path) -> Signer:
    """Make a key in a new file that only its owner can read, the public key in ``<path>.pub``.

    Raises:
        ConfigError: A file is there already, or cannot be written.
    """
    key = Ed25519PrivateKey.generate()
    signer = Signer(key)
    private = key.private_bytes(
        serialization.Encoding.PEM,
        serialization.PrivateFormat.PKCS8,
        serialization.NoEncryption(),
    )
    public = path.with_name(path.name + ".pub")
    for file, content, mode in (
        (path, private, 0o600),
        (public, signer.public.pem.encode(), 0o644),
    ):
        _create(file, content, mode)
    return signer


def load_signer(path: Path) -> Signer:
    """Read a private key.

    Raises:
        BadKey: It is no Ed25519 key, or not the one whose public half stands in ``<path>.pub``.
        ConfigError: It cannot be read, or others can read it too.
    """
    data = _read(path)
    if path.stat().st_mode & 0o077:
        message = f"others can read this key; run: chmod 600 {path}"
        raise ConfigError(Fault(path, 0, 0, "", message))
    try:
        key = serialization.load_pem_private_key(data, None)
    except (ValueError, TypeError, UnsupportedAlgorithm) as exc:
        message = "expected a private key in PEM; tidegate profiles key new FILE makes one"
        raise BadKey(Fault(path, 0, 0, "", message)) from exc
    if not isinstance(key, Ed25519PrivateKey):
        raise BadKey(Fault(path, 0, 0, "", f"expected Ed25519, found {type(key).__name__}"))
    signer = Signer(key)
    beside = path.with_name(path.name + ".pub")
    if beside.is_file():
        try:
            other = load_public(beside)
        except ConfigError:  # what cannot be read proves nothing about the key
            return signer
        if other != signer.public:
            message = f"is not the key whose public half is {beside.name}: one of them was altered"
            raise BadKey(Fault(path, 0, 0, "", message))
    return signer


def load_public(path: Path) -> PublicKey:
    """Read a public key.

    Raises:
        ConfigError: It cannot be read or is no Ed25519 public key.
    """
    try:
        return read_public(_read(path).decode("ascii", "replace"))
    except PayloadError as exc:
        raise ConfigError(Fault(path, 0, 0, "", exc.detail)) from exc


def read_public(pem: str) -> PublicKey:
    """Read a public key from text.

    Raises:
        PayloadError: ``bad_key``.
    """
    try:
        key = serialization.load_pem_public_key(pem.encode())
    except (ValueError, TypeError, UnsupportedAlgorithm) as exc:
        raise PayloadError("bad_key", "expected an Ed25519 public key in PEM (the .pub)") from exc
    if not isinstance(key, Ed25519PublicKey):
        raise PayloadError("bad_key", f"expected an Ed25519 key, found {type(key).__name__}")
    form = serialization.PublicFormat.Raw
    return PublicKey(key.public_bytes(serialization.Encoding.Raw, form))


def _framed(purpose: Purpose, message: bytes) -> bytes:
    return b"tidegate/" + purpose.encode() + b"/1\0" + message


def _read(path: Path) -> bytes:
    try:
        with path.open("rb") as file:
            return file.read(_MOST)
    except OSError as exc:
        raise ConfigError(Fault(path, 0, 0, "", f"cannot be read: {exc.strerror}")) from exc


def _create(path: Path, content: bytes, mode: int) -> None:
    try:
        path.parent.mkdir(parents=True, exist_ok=True)
        handle = os.open(path, os.O_WRONLY | os.O_CREAT | os.O_EXCL, mode)
        with os.fdopen(handle, "wb") as file:
            file.write(content)
            file.flush()
            os.fsync(file.fileno())
    except FileExistsError as exc:
        message = "is there already; a key is never overwritten"
        raise ConfigError(Fault(path, 0, 0, "", message)) from exc
    except OSError as exc:
        raise ConfigError(Fault(path, 0, 0, "", f"cannot be written: {exc.strerror}")) from exc
