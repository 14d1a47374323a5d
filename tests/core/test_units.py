"""Promise: sizes, durations and addresses are read as people write them, or refused with an example."""

from __future__ import annotations

import pytest

from gateway_core.units import Address, parse_address, parse_duration, parse_size


@pytest.mark.parametrize(
    ("text", "size"),
    [
        ("20GiB", 20 * 2**30),
        ("20 GB", 20 * 10**9),
        ("1.5KiB", 1536),
        ("7", 7),
        (7, 7),
        ("1m", 10**6),
    ],
)
def test_a_size_is_bytes(text, size):
    assert parse_size(text) == size


@pytest.mark.parametrize(
    ("text", "seconds"),
    [
        ("20ms", 0.02),
        ("5m", 300),
        ("1h30m", 5400),
        ("30d", 2_592_000),
        ("2 h", 7200),
        (3, 3),
        ("1.5s", 1.5),
    ],
)
def test_a_duration_is_seconds(text, seconds):
    assert parse_duration(text) == pytest.approx(seconds)


@pytest.mark.parametrize(
    ("text", "address"),
    [
        ("127.0.0.1:80", Address("127.0.0.1", 80)),
        ("[::]:8080", Address("::", 8080)),
        ("[::1]:0", Address("::1", 0)),
        (":1883", Address("::", 1883)),
        ("localhost:65535", Address("localhost", 65535)),
    ],
)
def test_an_address_is_host_and_port(text, address):
    assert parse_address(text) == address


@pytest.mark.parametrize("text", ["", "GiB", "-1", "1 lightyear", True, None, -3, "1e3"])
def test_what_is_no_size_is_refused_with_an_example(text):
    with pytest.raises(ValueError, match="expected a size such as 512MiB or 20GiB, found"):
        parse_size(text)


@pytest.mark.parametrize("text", ["", "ms", "-1s", "1 fortnight", True, None, "1h-3m"])
def test_what_is_no_duration_is_refused_with_an_example(text):
    with pytest.raises(ValueError, match="expected a duration such as 20ms, 5m or 30d, found"):
        parse_duration(text)


@pytest.mark.parametrize("text", ["", "80", "::1:80", "[::1]", "h:65536", "h:-1", "h:８０", 80])
def test_what_is_no_address_is_refused_with_an_example(text):
    with pytest.raises(ValueError, match="expected host:port such as"):
        parse_address(text)


def test_an_address_is_written_as_it_is_read():
    assert str(Address("::1", 80)) == "[::1]:80"
    assert str(Address("10.0.0.1", 80)) == "10.0.0.1:80"
