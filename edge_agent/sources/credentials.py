"""Passwords and certificates, read anew for each connection so that they can be exchanged."""

from __future__ import annotations

import ssl
from pathlib import Path

from edge_agent.sources.settings import MqttSettings
from gateway_core.errors import Unavailable
from gateway_core.units import Address


def read_password(settings: MqttSettings) -> bytes | None:
    """Return the first line of the password file, or None where there is none.

    Raises:
        Unavailable: The file cannot be read.
    """
    if settings.password_file is None:
        return None
    try:
        lines = settings.password_file.read_bytes().splitlines()
    except OSError as exc:
        raise Unavailable(f"cannot read password_file: {exc}") from exc
    if not lines or not lines[0]:
        raise Unavailable(f"password_file {settings.password_file} is empty")
    return lines[0]


def tls_context(settings: MqttSettings) -> ssl.SSLContext | None:
    """Return the context for an ``mqtts://`` url, or None.

    The broker's certificate and name are always verified, against ``ca_file`` or the system.

    Raises:
        Unavailable: A file cannot be read or is not what it should be.
    """
    if not settings.tls:
        return None
    named: Path | None = settings.ca_file
    try:
        context = ssl.create_default_context(cafile=str(named) if named else None)
        context.minimum_version = ssl.TLSVersion.TLSv1_2
        named = settings.cert_file
        if settings.cert_file is not None and settings.key_file is not None:
            context.load_cert_chain(settings.cert_file, settings.key_file, _no_passphrase)
    except (OSError, ValueError) as exc:
        raise Unavailable(f"cannot use {named}: {exc}") from exc
    return context


def unreachable(exc: OSError, address: Address) -> Unavailable:
    """Return what a failed attempt to connect means and what to do."""
    if isinstance(exc, ssl.SSLError):
        return Unavailable(_tls_trouble(exc, address.host))
    if isinstance(exc, TimeoutError):
        return Unavailable(f"the broker at {address} does not answer")
    return Unavailable(f"cannot connect to the broker at {address}: {exc}")


def _tls_trouble(exc: ssl.SSLError, host: str) -> str:
    if isinstance(exc, ssl.SSLCertVerificationError):
        return (
            f"the broker's certificate is not accepted for {host}: {exc.verify_message}; "
            "set ca_file to the authority that issued it, or connect by the name it holds"
        )
    return (
        f"the TLS handshake with {host} failed: {exc.reason or exc}; "
        "check cert_file, key_file and that the port speaks TLS"
    )


def _no_passphrase() -> str:
    raise ValueError("the key is encrypted; give a key without a passphrase, readable by tidegate")
