"""devices.csv is read in the encodings people save, and every mistake has line and column."""

from __future__ import annotations

from pathlib import Path

import pytest

from edge_agent.listing import Listing, read_listings, sound_id
from gateway_core.errors import ConfigError

PROFILES = {"acme/env", "acme/door"}


def write(folder: Path, data: bytes) -> Path:
    path = folder / "devices.csv"
    path.write_bytes(data)
    return path


@pytest.mark.parametrize("encoding", ["utf-8", "utf-8-sig", "gb18030"])
def test_a_list_is_read_in_each_encoding(tmp_path: Path, encoding: str) -> None:
    text = 'id,profile,address,name,lat,lon\r\nd1,acme/env,tg/d1/up,"三号泵房, 北",37.37,118.01\r\n'
    listings = read_listings(write(tmp_path, text.encode(encoding)), PROFILES)
    assert listings == [Listing("d1", "acme/env", "tg/d1/up", "三号泵房, 北", 37.37, 118.01)]


def test_columns_come_in_any_order_and_blank_lines_do_not_count(tmp_path: Path) -> None:
    text = b"address,id,profile\n\ntg/d1/up,d1,acme/env\n,,\n"
    assert read_listings(write(tmp_path, text), PROFILES) == [Listing("d1", "acme/env", "tg/d1/up")]


@pytest.mark.parametrize(
    ("text", "told"),
    [
        (
            b"id,profil,address\n",
            "devices.csv:1:4: profil: no such column; did you mean 'profile'?",
        ),
        (b"id,profile\n", "devices.csv:1:1: address: this column is missing"),
        (b"id,profile,address\nd1,acme/enw,x\n", "devices.csv:2:4: profile: no profile 'acme/enw'"),
        (b"id,profile,address\nd1,acme/env,x\nd1,acme/env,y\n", "devices.csv:3:1: id: 'd1' is"),
        (b"id,profile,address\nd+1,acme/env,x\n", "devices.csv:2:1: id: 1-128 printable"),
        (b"id,profile,address,lat\nd1,acme/env,x,91\n", "devices.csv:2:15: lat: degrees"),
        (b"id,profile,address,lat\nd1,acme/env,x,nan\n", "devices.csv:2:15: lat: degrees"),
        (b"id,profile,address\nd1,acme/env\n", "devices.csv:2:1: 2 cells under 3 columns"),
        (b'id,profile,address\n"d1,acme/env,x\n', "devices.csv:2:1: "),
        (b"\xff\xff\xff", "devices.csv: "),
        (b"", "devices.csv:1:1: id: this column is missing"),
    ],
)
def test_a_mistake_has_line_and_column(tmp_path: Path, text: bytes, told: str) -> None:
    with pytest.raises(ConfigError) as caught:
        read_listings(write(tmp_path, text), PROFILES)
    assert str(caught.value).startswith(f"{tmp_path}/{told}")


def test_all_mistakes_are_told_at_once(tmp_path: Path) -> None:
    text = b"id,profile,address\n$,acme/env,x\nd2,nope,x\n"
    with pytest.raises(ConfigError) as caught:
        read_listings(write(tmp_path, text), PROFILES)
    assert [fault.line for fault in caught.value.faults] == [2, 3]


def test_a_file_that_is_not_there_is_told(tmp_path: Path) -> None:
    with pytest.raises(ConfigError, match=r"none\.csv: cannot be read"):
        read_listings(tmp_path / "none.csv", PROFILES)


@pytest.mark.parametrize("name", ["d1", "urn:dev:ow:10e2073a01080063", "泵-3", "living room lamp"])
def test_ids_that_devices_really_have_are_sound(name: str) -> None:
    assert sound_id(name)


@pytest.mark.parametrize(
    "name", ["", "+", "a#", "$SYS", "a/b", "a\0", "a\nb", " a", "a ", "..", "x" * 129, "\u202eabc"]
)
def test_ids_that_would_hurt_somewhere_are_not(name: str) -> None:
    assert not sound_id(name)
