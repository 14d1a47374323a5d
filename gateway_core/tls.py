"""What a listener, and who connects to one, needs to speak TLS."""

from __future__ import annotations

import ssl
from pathlib import Path

from gateway_core.errors import ConfigError, Fault


def server_context(
    cert_file: Path, key_file: Path, client_ca_file: Path | None, path: str
) -> ssl.SSLContext:
    """Return the TLS settings of a listener, 1.2 or later.

    Args:
        cert_file: Its certificate and those up to the root.
        key_file: Its private key.
        client_ca_file: Whose certificates clients must show; None: none is asked for.
        path: Of the section in the configuration, for the message.

    Raises:
        ConfigError: A file cannot be read, or they do not belong together; names the file.
    """
    context = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
    context.minimum_version = ssl.TLSVersion.TLSv1_2
    file = cert_file
    try:
        for file in filter(None, (cert_file, key_file, client_ca_file)):
            file.open("rb").close()  # ssl does not say which file is missing
        file = cert_file
        # a key with a password would be asked for on a terminal that nobody sits at
        context.load_cert_chain(cert_file, key_file, password=lambda: "")
        if client_ca_file is not None:
            file = client_ca_file
            context.load_verify_locations(client_ca_file)
            context.verify_mode = ssl.CERT_REQUIRED
    except ssl.SSLError as exc:
        pair = f"a certificate whose private key is {key_file}, both in PEM without a password"
        wanted = "certificates of CAs in PEM" if file is client_ca_file else pair
        raise ConfigError(Fault(file, 0, 0, path, f"expected {wanted}: {exc}")) from exc
    except OSError as exc:
        raise ConfigError(Fault(file, 0, 0, path, f"cannot be read: {exc.strerror}")) from exc
    return context


def client_context(
    ca_file: Path | None, cert_file: Path | None, key_file: Path | None, path: str
) -> ssl.SSLContext:
    """Return the TLS settings of who connects, 1.2 or later.

    Args:
        ca_file: Whose certificates to trust; None: the system's list.
        cert_file: Its own certificate; None: none is shown.
        key_file: Its private key.
        path: Of the section in the configuration, for the message.

    Raises:
        ConfigError: As of `server_context`.
    """
    file = ca_file
    try:
        for file in filter(None, (ca_file, cert_file, key_file)):
            file.open("rb").close()
        file = ca_file
        context = ssl.create_default_context(cafile=ca_file)
        context.minimum_version = ssl.TLSVersion.TLSv1_2
        if cert_file is not None:
            file = cert_file
            context.load_cert_chain(cert_file, key_file, password=lambda: "")
    except ssl.SSLError as exc:
        pair = f"a certificate whose private key is {key_file}, both in PEM without a password"
        wanted = "certificates of CAs in PEM" if file is ca_file else pair
        raise ConfigError(Fault(file or "", 0, 0, path, f"expected {wanted}: {exc}")) from exc
    except OSError as exc:
        why = f"cannot be read: {exc.strerror}"
        raise ConfigError(Fault(file or "", 0, 0, path, why)) from exc
    return context
