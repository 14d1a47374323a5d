"""Whatever a stranger sends is judged apart, in a bounded time, and leaves no process behind."""

from __future__ import annotations

import hashlib
import os

import psutil
import pytest

from collector.profiles.examiner import examine_apart
from device_profiles.bundle import Bundle, pack_text
from gateway_core.errors import PayloadError
from tests.fakes.desk import PLAIN

HANGS = b"function decodeUplink(input) { for (;;) {} }"


def _with_codec(code: bytes, expect: str) -> bytes:
    pin = hashlib.sha256(code).hexdigest()
    text = PLAIN.replace("decode: [{json: {}}]", f"decode: [{{js: {{file: c.js, sha256: {pin}}}}}]")
    text = text.replace("payload: json", "payload: bytes").replace("reject: not_json", expect)
    return Bundle({"profile.yaml": text.encode(), "c.js": code}).encode()


def _below() -> set[psutil.Process]:
    """Return the processes that this one started; other tests' stay until their modules end."""
    return set(psutil.Process(os.getpid()).children(recursive=True))


async def test_a_codec_that_never_ends_fails_its_vectors_and_is_gone() -> None:
    before = _below()
    found = await examine_apart(_with_codec(HANGS, "reject: codec_timeout"), None, ())
    assert not found.passed
    told = [mistake.message for result in found.results for mistake in result.mistakes]
    assert any("codec_timeout" in each or "codec_quarantined" in each for each in told)
    assert _below() - before == set()


async def test_an_examination_that_takes_too_long_is_killed_and_told() -> None:
    before = _below()
    with pytest.raises(PayloadError, match=r"too_slow: .* within 0\.05 s: make fewer or cheaper"):
        await examine_apart(pack_text(PLAIN).encode(), None, (), patience_s=0.05)
    assert _below() - before == set()


async def test_a_file_that_is_no_profile_is_told_with_its_place() -> None:
    found = await examine_apart(pack_text("format: 1\nid: [").encode(), None, ())
    assert [(r.gate, r.passed) for r in found.results] == [("schema_and_lint", False)]
    assert found.results[0].mistakes[0].line == 2


async def test_a_bomb_of_aliases_is_refused_and_not_unfolded() -> None:
    bomb = "a0: &a0 [x]\n" + "".join(
        f"a{n}: &a{n} [{', '.join([f'*a{n - 1}'] * 10)}]\n" for n in range(1, 12)
    )
    found = await examine_apart(pack_text(bomb).encode(), None, ())
    assert not found.passed
