"""A listener's certificate that is of no use is refused with the name of the file and what to do."""

from __future__ import annotations

import ssl
from pathlib import Path

import pytest
import trustme
from cryptography.hazmat.primitives.serialization import (
    BestAvailableEncryption,
    Encoding,
    PrivateFormat,
    load_pem_private_key,
)

from gateway_core.errors import ConfigError
from gateway_core.tls import server_context


@pytest.fixture
def files(tmp_path: Path) -> tuple[Path, Path, Path]:
    authority = trustme.CA()
    server = authority.issue_cert("127.0.0.1")
    cert, key, ca = tmp_path / "cert", tmp_path / "key", tmp_path / "ca"
    cert.write_bytes(b"".join(each.bytes() for each in server.cert_chain_pems))
    key.write_bytes(server.private_key_pem.bytes())
    ca.write_bytes(authority.cert_pem.bytes())
    return cert, key, ca


def test_certificates_are_asked_for_where_a_ca_is_given_and_tls_is_1_2_or_later(
    files: tuple[Path, Path, Path],
) -> None:
    cert, key, ca = files
    assert server_context(cert, key, ca, "x").verify_mode is ssl.CERT_REQUIRED
    assert server_context(cert, key, None, "x").verify_mode is ssl.CERT_NONE
    assert server_context(cert, key, None, "x").minimum_version is ssl.TLSVersion.TLSv1_2


@pytest.mark.parametrize("place", [0, 1, 2])
def test_the_file_that_is_missing_is_named(files: tuple[Path, Path, Path], place: int) -> None:
    files[place].unlink()
    with pytest.raises(ConfigError) as found:
        server_context(*files, "mqtt_listen.tls")
    (fault,) = found.value.faults
    assert Path(fault.file) == files[place]
    assert fault.message == "cannot be read: No such file or directory"


@pytest.mark.parametrize(
    ("place", "named", "expected"),
    [
        (0, 0, "a certificate whose private key is"),
        (1, 0, "a certificate whose private key is"),
        (2, 2, "certificates of CAs in PEM"),
    ],
)
def test_a_file_with_something_else_in_it_is_named_with_what_was_expected(
    files: tuple[Path, Path, Path], place: int, named: int, expected: str
) -> None:
    files[place].write_text("nothing of use")
    with pytest.raises(ConfigError) as found:
        server_context(*files, "mqtt_listen.tls")
    (fault,) = found.value.faults
    assert Path(fault.file) == files[named]
    assert f"expected {expected}" in fault.message


def test_a_key_with_a_password_is_refused_and_nobody_is_asked_for_it(
    files: tuple[Path, Path, Path],
) -> None:
    key = load_pem_private_key(files[1].read_bytes(), None)
    locked = key.private_bytes(
        Encoding.PEM, PrivateFormat.PKCS8, BestAvailableEncryption(b"secret")
    )
    files[1].write_bytes(locked)
    with pytest.raises(ConfigError, match="without a password"):
        server_context(*files, "mqtt_listen.tls")
