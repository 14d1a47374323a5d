"""What was sealed comes out as it went in, or nothing of the damaged piece comes out at all."""

from __future__ import annotations

import base64
import io
from pathlib import Path

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from collector import sealing
from collector.sealing import SealedReader, SealedWriter, Secret, read_key, read_passphrase
from gateway_core.errors import ConfigError, PayloadError

KEY = Secret("key", b"k" * 32)
PIECE = (1 << 20) + 16


def sealed(*parts: bytes, secret: Secret = KEY) -> bytes:
    out = io.BytesIO()
    writer = SealedWriter(out, secret)
    for part in parts:
        writer.write(part)
    writer.finish()
    return out.getvalue()


def opened(data: bytes, size: int = -1, secret: Secret = KEY) -> bytes:
    reader = SealedReader(io.BytesIO(data), secret)
    out = b""
    while part := reader.read(size):
        out += part
    return out


@settings(max_examples=30)
@given(st.lists(st.integers(0, 1_200_000), max_size=4), st.sampled_from([-1, 10_240, 1 << 20]))
def test_whatever_is_written_comes_out(sizes: list[int], size: int) -> None:
    parts = [bytes([n]) * length for n, length in enumerate(sizes)]
    assert opened(sealed(*parts), size) == b"".join(parts)


def test_nothing_readable_is_in_it_and_no_two_are_alike() -> None:
    one, other = sealed(b"secret" * 100), sealed(b"secret" * 100)
    assert b"secret" not in one
    assert one != other


@pytest.mark.parametrize("change", ["swap", "drop", "cut", "flip", "extend"])
def test_pieces_cannot_be_moved_lost_or_altered(change: str) -> None:
    data = sealed(bytes(3 << 20))
    start = len(data) - 3 * PIECE
    head, pieces = data[:start], [data[start + n * PIECE :][:PIECE] for n in range(3)]
    changed = {
        "swap": head + pieces[1] + pieces[0] + pieces[2],
        "drop": head + pieces[0] + pieces[2],
        "cut": head + pieces[0] + pieces[1],
        "flip": head + pieces[0] + pieces[1] + bytes([pieces[2][0] ^ 1]) + pieces[2][1:],
        "extend": data + pieces[2],
    }[change]
    with pytest.raises(PayloadError, match="bad_backup: damaged or cut short"):
        opened(changed)


def test_a_newer_seal_is_refused_with_what_to_do(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(sealing, "FORMAT", 9)
    data = sealed(b"x")
    monkeypatch.undo()
    with pytest.raises(PayloadError, match="format 9, this program reads 1: use a newer one"):
        opened(data)


def test_a_passphrase_opens_only_itself() -> None:
    words = Secret("passphrase", b"six plain words are a key")
    data = sealed(b"x", secret=words)
    assert opened(data, secret=words) == b"x"
    with pytest.raises(PayloadError, match="wrong_key"):
        opened(data, secret=Secret("passphrase", b"six plain words are no key"))
    assert "words" not in repr(words)


def test_secrets_are_read_from_files_and_weak_ones_refused(tmp_path: Path) -> None:
    file = tmp_path / "secret"
    file.write_bytes(base64.b64encode(b"k" * 32) + b"\n")
    assert read_key(file) == KEY
    file.write_bytes(bytes(range(200, 240)))
    assert read_key(file).value == bytes(range(200, 240))
    file.write_text("a passphrase of words\n")
    assert read_passphrase(file) == Secret("passphrase", b"a passphrase of words")
    file.write_text("short\n")
    with pytest.raises(ConfigError, match="at least 12 characters"):
        read_passphrase(file)
    with pytest.raises(ConfigError, match="openssl rand -base64 32"):
        read_key(file)
    with pytest.raises(ConfigError, match="cannot be read"):
        read_key(tmp_path / "none")
