"""Enrol at a centre: make a key here, have it certified, keep what comes back.

The private key never leaves this machine. Nothing that an invitation holds is sent before the
centre has shown a certificate of the CA that the invitation names.
"""

from __future__ import annotations

import hashlib
import ssl
from dataclasses import dataclass
from pathlib import Path

import aiohttp
import msgspec
from cryptography import x509
from cryptography.exceptions import UnsupportedAlgorithm
from cryptography.hazmat.primitives import hashes, serialization
from cryptography.hazmat.primitives.asymmetric import ec
from cryptography.x509.oid import NameOID

from edge_agent.secret_file import write_secret
from gateway_core.errors import GatewayError, Unavailable
from gateway_core.invitation import Admission, Application, Invitation

_MAX_ANSWER = 64 * 1024
_ANSWER_S = 30.0


@dataclass(frozen=True, slots=True)
class Identity:
    """Where an edge keeps what it proves itself with; all files 0600.

    Attributes:
        ca_file: Whom it trusts.
        cert_file: Its certificate.
        key_file: Its private key.
    """

    ca_file: Path
    cert_file: Path
    key_file: Path

    @property
    def pending(self) -> Path:
        """The key that is not certified yet: another try is made with the same one."""
        return self.key_file.with_name(self.key_file.name + ".pending")


async def enrol(invitation: Invitation, identity: Identity) -> Admission:
    """Enrol, and write the files.

    Raises:
        Unavailable: The centre does not answer, or a file cannot be written; the same invitation
            may be tried again.
        GatewayError: Another centre answers, or it refuses; its own words say what to do.
    """
    key = _key(identity.pending)
    async with aiohttp.ClientSession(
        timeout=aiohttp.ClientTimeout(total=_ANSWER_S), trust_env=False
    ) as session:
        try:
            ca = await _ca(session, invitation)
            body = msgspec.json.encode(
                Application(invitation.edge, invitation.secret, _request(key, invitation.edge))
            )
            answer = await _post(session, f"{invitation.url}/v1/enrol", body, _trusting(ca))
        except (aiohttp.ClientError, TimeoutError, OSError) as exc:
            message = f"{invitation.url} does not answer as it should: {str(exc) or 'too late'}"
            raise Unavailable(f"{message}; nothing was changed here") from exc
    admission = _admission(answer, key, invitation)
    _write(identity.ca_file, ca.encode())
    _write(identity.cert_file, admission.certificate.encode())
    try:
        identity.pending.replace(identity.key_file)
    except OSError as exc:
        raise Unavailable(f"{identity.key_file} cannot be written: {exc.strerror}") from exc
    return admission


async def _ca(session: aiohttp.ClientSession, invitation: Invitation) -> str:
    """Return the CA's certificate, which is believed for its digest alone."""
    anybody = ssl.SSLContext(ssl.PROTOCOL_TLS_CLIENT)
    anybody.check_hostname = False
    anybody.verify_mode = ssl.CERT_NONE  # nothing is said to it; what it says is checked below
    async with session.get(f"{invitation.url}/v1/ca", ssl=anybody, allow_redirects=False) as answer:
        text = await answer.content.read(_MAX_ANSWER)
    try:
        der = ssl.PEM_cert_to_DER_cert(text.decode("ascii"))
    except (ValueError, UnicodeDecodeError):
        der = b""
    if hashlib.sha256(der).digest() != invitation.ca_sha256:
        raise GatewayError(
            f"{invitation.url} is not the centre that the invitation is from: its CA is another;"
            " the secret was not sent. Ask who invited this edge"
        )
    return ssl.DER_cert_to_PEM_cert(der)


async def _post(
    session: aiohttp.ClientSession, url: str, body: bytes, trusting: ssl.SSLContext
) -> bytes:
    headers = {"Content-Type": "application/json"}
    async with session.post(
        url, data=body, headers=headers, ssl=trusting, allow_redirects=False
    ) as answer:
        text = await answer.content.read(_MAX_ANSWER)
        if answer.status == 200:
            return text
    try:
        problem = msgspec.json.decode(text, type=dict[str, object])
        said = f"{problem['code']}: {problem['detail']}"
    except (msgspec.MsgspecError, KeyError):
        said = f"it answered {answer.status}"
    error = Unavailable if answer.status in {408, 503} else GatewayError
    raise error(f"{url} did not admit this edge: {said}")


def _trusting(ca: str) -> ssl.SSLContext:
    context = ssl.create_default_context(cadata=ca)
    context.minimum_version = ssl.TLSVersion.TLSv1_2
    return context


def _admission(answer: bytes, key: ec.EllipticCurvePrivateKey, invitation: Invitation) -> Admission:
    """Return what was answered, if the certificate is for our key and our name."""
    try:
        admission = msgspec.json.decode(answer, type=Admission)
        certificate = x509.load_pem_x509_certificate(admission.certificate.encode())
    except (msgspec.MsgspecError, ValueError) as exc:
        raise GatewayError(f"{invitation.url} sent no certificate that can be read") from exc
    names = certificate.subject.get_attributes_for_oid(NameOID.COMMON_NAME)
    if (
        certificate.public_key() != key.public_key()
        or not names
        or names[0].value != (invitation.edge)
    ):
        raise GatewayError(f"{invitation.url} sent a certificate of somebody else")
    return admission


def _request(key: ec.EllipticCurvePrivateKey, edge: str) -> str:
    name = x509.Name([x509.NameAttribute(NameOID.COMMON_NAME, edge)])
    made = x509.CertificateSigningRequestBuilder().subject_name(name).sign(key, hashes.SHA256())
    return made.public_bytes(serialization.Encoding.PEM).decode()


def _key(pending: Path) -> ec.EllipticCurvePrivateKey:
    """Return the key of an earlier try, or a new one that is on disk."""
    try:
        found = serialization.load_pem_private_key(pending.read_bytes(), None)
        if isinstance(found, ec.EllipticCurvePrivateKey):
            return found
    except (OSError, ValueError, TypeError, UnsupportedAlgorithm):
        pass  # there was none that could be used
    key = ec.generate_private_key(ec.SECP256R1())
    pem = key.private_bytes(
        serialization.Encoding.PEM,
        serialization.PrivateFormat.PKCS8,
        serialization.NoEncryption(),
    )
    _write(pending, pem)
    return key


def _write(file: Path, data: bytes) -> None:
    try:
        write_secret(file, data)
    except OSError as exc:
        raise Unavailable(f"{file} cannot be written: {exc.strerror}") from exc
