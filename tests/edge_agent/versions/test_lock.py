"""Promise: profiles.lock is read as it was written, by people too; a mistake in it has a place."""

from __future__ import annotations

from pathlib import Path

import pytest

from edge_agent.holdings.lock import Lock, Used, read_lock, write_lock
from gateway_core.errors import ConfigError

ENV = Used("1.1.0", "ab" * 32, "centre", "2026-11-29T16:00:00Z")
LOCK = Lock(
    registry="4f" * 16,
    serial=12,
    used={"acme/env": ENV, "acme/meter": Used("2.0.0", "cd" * 32, "shipped")},
    planned={"acme/env": ENV},
    shadow={"acme/env": Used("1.2.0", "ef" * 32)},
    pins={"acme/env": "1.1.0"},
)


def test_what_is_read_is_what_was_written(tmp_path: Path) -> None:
    write_lock(tmp_path / "profiles.lock", LOCK)
    assert read_lock(tmp_path / "profiles.lock") == LOCK


def test_a_person_finds_a_line_for_each_profile(tmp_path: Path) -> None:
    write_lock(tmp_path / "profiles.lock", LOCK)
    lines = (tmp_path / "profiles.lock").read_text().splitlines()
    assert (
        f'  "acme/env": {{version: "1.1.0", sha256: "{"ab" * 32}", origin: "centre",'
        ' since: "2026-11-29T16:00:00Z"}'
    ) in lines
    assert '  "acme/env": "1.1.0"' in lines


def test_an_absent_file_and_an_empty_one_say_nothing(tmp_path: Path) -> None:
    assert read_lock(tmp_path / "profiles.lock") == Lock()
    write_lock(tmp_path / "profiles.lock", Lock())
    assert read_lock(tmp_path / "profiles.lock") == Lock()


@pytest.mark.parametrize(
    "text", ["serial: many\n", "used: {acme/env: {version: 1}}\n", "- 1\n", "used: {a: {}}\n"]
)
def test_a_mistake_names_the_file_and_what_to_do(tmp_path: Path, text: str) -> None:
    (tmp_path / "profiles.lock").write_text(text)
    with pytest.raises(
        ConfigError, match=r"profiles\.lock: .*remove the file to follow the plan anew"
    ):
        read_lock(tmp_path / "profiles.lock")


def test_a_pin_is_set_and_taken_back() -> None:
    held = Lock().pinned("acme/env", "1.0.0")
    assert held.pins == {"acme/env": "1.0.0"}
    assert held.pinned("acme/env", None).pins == {}
