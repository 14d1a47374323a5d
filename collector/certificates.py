"""The CA that vouches for edges: its own certificate and key, and what it issues."""

from __future__ import annotations

import datetime as dt
import hashlib
from dataclasses import dataclass
from pathlib import Path

from cryptography import x509
from cryptography.exceptions import InvalidSignature, UnsupportedAlgorithm
from cryptography.hazmat.primitives import hashes, serialization
from cryptography.hazmat.primitives.asymmetric import ec, ed25519
from cryptography.x509.oid import ExtendedKeyUsageOID, NameOID

from gateway_core.clock import NS
from gateway_core.errors import ConfigError, Fault, PayloadError

MAX_CSR = 8 * 1024
_EARLIER = dt.timedelta(minutes=5)
"""An edge's clock may be behind ours."""


@dataclass(frozen=True, slots=True)
class Issued:
    """A certificate for an edge; ``not_after`` in nanoseconds since 1970."""

    pem: str
    not_after: int


class CertificateAuthority:
    """Issues certificates to edges; made by `load_authority`."""

    def __init__(self, certificate: x509.Certificate, key: ec.EllipticCurvePrivateKey) -> None:
        self._certificate = certificate
        self._key = key
        self.pem = certificate.public_bytes(serialization.Encoding.PEM).decode()
        self.sha256 = hashlib.sha256(certificate.public_bytes(serialization.Encoding.DER)).digest()

    def issue(
        self, edge: str, request: x509.CertificateSigningRequest, now: int, for_s: float
    ) -> Issued:
        """Certify the key of a request for an edge; what else the request says does not count.

        Args:
            edge: Its id, checked by the caller.
            request: From `read_request`.
            now: Nanoseconds since 1970.
            for_s: How long the certificate holds; never longer than the CA's own.
        """
        began = dt.datetime.fromtimestamp(now // NS, dt.UTC)
        ends = min(began + dt.timedelta(seconds=for_s), self._certificate.not_valid_after_utc)
        issuer = x509.AuthorityKeyIdentifier.from_issuer_public_key(self._key.public_key())
        names = [
            x509.DNSName(edge),
            x509.UniformResourceIdentifier(f"spiffe://tidegate/edge/{edge}"),
        ]
        made = (
            x509.CertificateBuilder()
            .subject_name(x509.Name([x509.NameAttribute(NameOID.COMMON_NAME, edge)]))
            .issuer_name(self._certificate.subject)
            .public_key(request.public_key())
            .serial_number(x509.random_serial_number())
            .not_valid_before(began - _EARLIER)
            .not_valid_after(ends)
            .add_extension(x509.BasicConstraints(ca=False, path_length=None), critical=True)
            .add_extension(_usage(), critical=True)
            .add_extension(x509.ExtendedKeyUsage([ExtendedKeyUsageOID.CLIENT_AUTH]), critical=False)
            .add_extension(x509.SubjectAlternativeName(names), critical=False)
            .add_extension(
                x509.SubjectKeyIdentifier.from_public_key(request.public_key()), critical=False
            )
            .add_extension(issuer, critical=False)
            .sign(self._key, hashes.SHA256())
        )
        pem = made.public_bytes(serialization.Encoding.PEM).decode()
        return Issued(pem, int(made.not_valid_after_utc.timestamp()) * NS)


def load_authority(cert_file: Path, key_file: Path, now: int) -> CertificateAuthority:
    """Read a CA's certificate and key.

    Raises:
        ConfigError: One cannot be read, is of another kind, has ended, or they are no pair.
    """
    try:
        certificate = x509.load_pem_x509_certificate(_read(cert_file))
    except ValueError as exc:
        raise ConfigError(
            Fault(cert_file, 0, 0, "", f"expected a certificate in PEM: {exc}")
        ) from exc
    try:
        key = serialization.load_pem_private_key(_read(key_file), None)
    except (ValueError, TypeError, UnsupportedAlgorithm) as exc:
        raise _wrong(key_file, f"expected a private key in PEM without a password: {exc}") from exc
    if not isinstance(key, ec.EllipticCurvePrivateKey):
        raise _wrong(key_file, "expected an EC key, as docs/how-to/tls.md makes one")
    if key.public_key() != certificate.public_key():
        raise _wrong(key_file, f"is not the key of {cert_file}")
    try:
        is_ca = certificate.extensions.get_extension_for_class(x509.BasicConstraints).value.ca
    except (x509.ExtensionNotFound, ValueError):
        is_ca = False
    if not is_ca:
        raise _wrong(cert_file, "is no certificate of a CA")
    if certificate.not_valid_after_utc.timestamp() * NS <= now:
        ended = f"ended at {certificate.not_valid_after_utc:%Y-%m-%d}"
        raise _wrong(cert_file, f"{ended}; make a new CA")
    return CertificateAuthority(certificate, key)


def read_request(pem: str) -> tuple[x509.CertificateSigningRequest, str]:
    """Read a request that is signed by the key that it is about.

    Returns:
        The request, and the SHA-256 of its public key in hexadecimal digits.

    Raises:
        PayloadError: ``bad_csr``.
    """
    if len(pem) > MAX_CSR:
        raise PayloadError("bad_csr", f"more than {MAX_CSR} bytes")
    try:
        request = x509.load_pem_x509_csr(pem.encode())
        key = request.public_key()
        if not request.is_signature_valid:
            raise PayloadError("bad_csr", "its signature is not that of its key")
    except (ValueError, InvalidSignature, UnsupportedAlgorithm) as exc:
        raise PayloadError("bad_csr", "expected a certificate signing request in PEM") from exc
    if not isinstance(key, ec.EllipticCurvePublicKey | ed25519.Ed25519PublicKey):
        raise PayloadError("bad_csr", "expected an EC or Ed25519 key")
    der = key.public_bytes(
        serialization.Encoding.DER, serialization.PublicFormat.SubjectPublicKeyInfo
    )
    return request, hashlib.sha256(der).hexdigest()


def _read(file: Path) -> bytes:
    try:
        return file.read_bytes()
    except OSError as exc:
        raise _wrong(file, f"cannot be read: {exc.strerror}") from exc


def _wrong(file: Path, message: str) -> ConfigError:
    return ConfigError(Fault(file, 0, 0, "enrol", message))


def _usage() -> x509.KeyUsage:
    return x509.KeyUsage(
        digital_signature=True,
        content_commitment=False,
        key_encipherment=False,
        data_encipherment=False,
        key_agreement=False,
        key_cert_sign=False,
        crl_sign=False,
        encipher_only=False,
        decipher_only=False,
    )
