"""The feeds file is read in the encodings people use, and every mistake is told with its place."""

from __future__ import annotations

from ipaddress import IPv4Address
from pathlib import Path

import pytest
from hypothesis import given
from hypothesis import strategies as st

from edge_agent.cameras.address import normal_host
from edge_agent.cameras.feeds_file import load_feeds
from edge_agent.cameras.inventory import Credential, compare
from gateway_core.errors import ConfigError

HEADER = "id,name,host,onvif_port,rtsp_url,username,password_file,area,lat,lon,group"
ROW = "c1,南门,10.0.0.7,80,rtsp://10.0.0.7:554/ch1,viewer,pw,371602,35.4,115.9,nvr-1"


def write(folder: Path, *rows: str, encoding: str = "utf-8", header: str = HEADER) -> Path:
    path = folder / "feeds.csv"
    path.write_bytes("\n".join((header, *rows, "")).encode(encoding))
    (folder / "pw").write_text("s3cret:#@\n", encoding="utf-8")
    return path


def faults(path: Path) -> list[str]:
    with pytest.raises(ConfigError) as caught:
        load_feeds(path)
    return [str(fault).removeprefix(str(path)) for fault in caught.value.faults]


def test_a_whole_row_becomes_a_feed(tmp_path: Path) -> None:
    feed = load_feeds(write(tmp_path, ROW))["c1"]

    assert (feed.name, feed.host, feed.onvif_port) == ("南门", "10.0.0.7", 80)
    assert (feed.rtsp.url, feed.rtsp.port) == ("rtsp://10.0.0.7:554/ch1", 554)
    assert feed.credential == Credential("viewer", "s3cret:#@")
    assert (feed.area, feed.lat, feed.lon, feed.group) == ("371602", 35.4, 115.9, "nvr-1")


@pytest.mark.parametrize("encoding", ["utf-8", "utf-8-sig", "gb18030"])
def test_the_encoding_is_found_out(tmp_path: Path, encoding: str) -> None:
    assert load_feeds(write(tmp_path, ROW, encoding=encoding))["c1"].name == "南门"


@pytest.mark.parametrize(
    ("host", "url"),
    [
        ("2001:db8::7", "rtsp://[2001:db8::7]/s"),
        ("[2001:DB8:0::7]", "rtsp://[2001:db8::7]:8554/s"),
        ("Gate.Example", "rtsp://gate.example/s"),
    ],
)
def test_hosts_are_compared_in_one_spelling(tmp_path: Path, host: str, url: str) -> None:
    path = write(tmp_path, f"c1,{host},{url}", header="id,host,rtsp_url")

    assert load_feeds(path)["c1"].rtsp.url == url


def test_windows_line_ends_quotes_and_blank_rows_are_read(tmp_path: Path) -> None:
    row = 'c1,"Gate ""A"",\nnorth",10.0.0.7,,rtsp://10.0.0.7/s,,,,,,\r\n,,,,,,,,,,\r\n'

    assert load_feeds(write(tmp_path, row))["c1"].name == 'Gate "A",\nnorth'


def test_every_mistake_names_its_line_and_column(tmp_path: Path) -> None:
    path = write(
        tmp_path,
        "c1,,10.0.0.7,99999,rtsp://10.0.0.7/s,,,,91,0,",
        "c 2,,300.1.1.1,,rtsp://10.0.0.7/s,,,,,,",
    )

    assert faults(path) == [
        ":2:14: onvif_port: '99999': expected a port from 1 to 65535",
        ":2:41: lat: '91': expected degrees from -90 to 90",
        ":3:1: id: 'c 2': expected 1 to 128 characters without spaces, commas or quotes",
        ":3:6: host: '300.1.1.1': expected an IP address or a host name without a port",
    ]


def test_a_column_after_a_line_break_in_quotes_keeps_its_place(tmp_path: Path) -> None:
    assert faults(write(tmp_path, 'c1,"a\nb",10.0.0.7,x,rtsp://10.0.0.7/s')) == [
        ":3:13: onvif_port: 'x': expected a port from 1 to 65535"
    ]


def test_a_stream_on_another_host_is_refused(tmp_path: Path) -> None:
    assert "points to '10.0.0.8', but the registered host is '10.0.0.7'" in "".join(
        faults(write(tmp_path, "c1,,10.0.0.7,,rtsp://10.0.0.8/s"))
    )


def test_a_password_in_a_url_is_refused_and_not_repeated(tmp_path: Path) -> None:
    (message,) = faults(write(tmp_path, "c1,,10.0.0.7,,rtsp://root:hunter2@10.0.0.7/s"))

    assert "hunter2" not in message
    assert "use the columns username and password_file" in message


def test_an_unknown_column_is_told_with_a_guess(tmp_path: Path) -> None:
    assert faults(write(tmp_path, header="id,hst,rtsp_url")) == [
        ":1:4: hst: unknown column 'hst'; did you mean 'host'?",
        ":1:1: host: column 'host' is missing",
    ]


@pytest.mark.parametrize(
    ("row", "message"),
    [
        ("c1,,h,,rtsp://h/s\nc1,,h,,rtsp://h/s", "'c1' is already on line 2"),
        ("c1,,,,rtsp://h/s", "host must not be empty"),
        ("c1,,h,,rtsps://h/s", "rtsps is not supported"),
        ("c1,,h,,http://h/s", "expected rtsp://HOST[:PORT]/PATH"),
        ("c1,,h,,rtsp://h/a b", "write %20 for a space"),
        ("c1,,h,,rtsp://h/门", "percent-encode"),
        ("c1,,h,,rtsp://h:0/s", "port"),
        ("c1,,h,,rtsp://h/s,u,nowhere", "'nowhere' cannot be read"),
        ("c1,,h,,rtsp://h/s,,pw", "there is no username"),
        ("c1,,h,,rtsp://h/s,,,,12,,", "give lat and lon, or neither"),
        ("c1,,h,,rtsp://h/s,,,,nan,1,", "expected degrees"),
        ("c1,,h,,rtsp://h/s,,,,,,,,", "the header names 11"),
        ('c1,"never closed', "never ends"),
        ('c1,"x"y,h,,rtsp://h/s', "text after a closing quote"),
    ],
)
def test_a_mistake_is_explained(tmp_path: Path, row: str, message: str) -> None:
    assert message in "".join(faults(write(tmp_path, row)))


def test_an_empty_or_missing_file_says_what_to_do(tmp_path: Path) -> None:
    path = tmp_path / "feeds.csv"
    assert "No such file" in faults(path)[0]

    path.write_text("", encoding="utf-8")
    assert faults(path)[0].startswith(":1:1: is empty; the first line must name the columns: id,")


def test_a_password_never_shows_in_a_repr(tmp_path: Path) -> None:
    assert "s3cret" not in repr(load_feeds(write(tmp_path, ROW)))


def test_a_reload_tells_added_changed_and_removed(tmp_path: Path) -> None:
    plain = "{0},,10.0.0.{0},,rtsp://10.0.0.{0}/s,u,pw"
    old = load_feeds(write(tmp_path, *(plain.format(n) for n in (1, 2, 3))))
    path = write(tmp_path, *(plain.format(n) for n in (2, 3, 4)))
    (tmp_path / "pw").write_text("another", encoding="utf-8")
    new = load_feeds(path)

    changes = compare(old, new)

    assert [feed.id for feed in changes.added] == ["4"]
    assert [feed.id for feed in changes.changed] == ["2", "3"]
    assert [feed.id for feed in changes.removed] == ["1"]


def test_a_gb28181_code_is_checked_and_unique(tmp_path: Path) -> None:
    code, row = "37160200081320000017", "{},,h,,rtsp://h/s,,,,,,,{}"
    header = f"{HEADER},gb_code"
    assert load_feeds(write(tmp_path, row.format("c1", code), header=header))["c1"].gb_code == code
    twice = write(tmp_path, row.format("c1", code), row.format("c2", code), header=header)
    assert faults(twice) == [f":3:25: gb_code: '{code}' is already on line 2; each must be unique"]
    (message,) = faults(write(tmp_path, row.format("c1", "37160200081180000018"), header=header))
    assert "118, an NVR; a camera's are 131 or 132" in message


@given(st.ip_addresses(v=4), st.from_regex(r"[0-9]{1,4}(\.[0-9]{1,4}){3}", fullmatch=True))
def test_ipv4_addresses_have_one_spelling(address: IPv4Address, text: str) -> None:
    assert normal_host(str(address)) == str(address)
    try:
        expected = str(IPv4Address(text))
    except ValueError:
        with pytest.raises(ValueError, match="expected an IP address"):
            normal_host(text)
    else:
        assert normal_host(text) == expected == text
