"""Who is at the other end: a certificate, a token, or only what the upload says.

Without client certificates and without tokens any peer that reaches the listener can upload as
any edge that ``intake.edges`` allows; docs/how-to say to keep such a listener on a closed network.
"""

from __future__ import annotations

import hmac
import ssl
from collections.abc import Mapping
from pathlib import Path
from typing import Any

from collector.config import IntakeSection
from collector.refused import Refused
from gateway_core.config import read_yaml
from gateway_core.errors import ConfigError, Fault
from gateway_core.tls import server_context


class Gatekeeper:
    """Decides whether a peer may upload as an edge."""

    def __init__(
        self,
        edges: tuple[str, ...] | None,
        tokens: Mapping[str, str] | None,
        *,
        certificates: bool,
        mirrors: tuple[str, ...] = (),
    ) -> None:
        """See `open_gate`.

        Args:
            edges: Allowed edge ids; None: any.
            tokens: Edge id to token; None: no tokens are asked for.
            certificates: A certificate in the edge's name is asked for.
            mirrors: Collectors that may upload as any edge.
        """
        self._edges = edges
        self._tokens = tokens
        self._certificates = certificates
        self._mirrors = mirrors

    def admit(self, edge: str, certificate: Mapping[str, Any] | None, bearer: str) -> None:
        """Let pass, or refuse.

        Args:
            edge: Who the upload says it is from.
            certificate: As `ssl.SSLSocket.getpeercert` returns it.
            bearer: The ``Authorization`` header, or nothing.

        Raises:
            Refused: 401 or 403.
        """
        self._prove(edge, certificate, bearer)
        if self._edges is not None and edge not in self._edges:
            detail = f"edge {edge[:64]!r} is not listed under intake.edges"
            raise Refused(403, "unknown_edge", detail)

    def admit_mirror(self, name: str, certificate: Mapping[str, Any] | None, bearer: str) -> None:
        """Let a collector pass that passes on what edges sent it, or refuse.

        Raises:
            Refused: 401 or 403.
        """
        if name not in self._mirrors:
            detail = f"collector {name[:64]!r} is not listed under intake.mirrors"
            raise Refused(403, "unknown_mirror", detail)
        self._prove(name, certificate, bearer)

    def _prove(self, edge: str, certificate: Mapping[str, Any] | None, bearer: str) -> None:
        if self._certificates and edge not in certificate_names(certificate or {}):
            detail = f"the certificate is not for edge {edge[:64]!r}"
            raise Refused(403, "wrong_edge", detail)
        if self._tokens is not None:
            expected = self._tokens.get(edge, "")
            scheme, _, token = bearer.partition(" ")
            same = hmac.compare_digest(expected.encode(), token.strip().encode())
            if not (expected and same and scheme.lower() == "bearer"):
                raise Refused(401, "bad_token", "send this edge's token: Authorization: Bearer …")


def certificate_names(certificate: Mapping[str, Any]) -> set[str]:
    """Return the edge ids that a certificate stands for.

    These are its common name, its DNS names, and the last part of a
    ``spiffe://<trust domain>/edge/<id>`` URI.
    """
    names = {
        value for rdn in certificate.get("subject", ()) for key, value in rdn if key == "commonName"
    }
    for kind, value in certificate.get("subjectAltName", ()):
        if kind == "DNS":
            names.add(value)
        elif kind == "URI" and value.startswith("spiffe://"):
            _, _, path = value.removeprefix("spiffe://").partition("/")
            if path.startswith("edge/"):
                names.add(path.removeprefix("edge/"))
    return names


def open_gate(settings: IntakeSection) -> Gatekeeper:
    """Read the files that `settings` name.

    Raises:
        ConfigError: The tokens file cannot be read.
    """
    tokens = None if settings.tokens_file is None else _read_tokens(settings.tokens_file)
    edges = None if settings.edges == "any" else tuple(settings.edges)
    certificates = settings.client_ca_file is not None
    return Gatekeeper(edges, tokens, certificates=certificates, mirrors=settings.mirrors)


def tls_context(settings: IntakeSection) -> ssl.SSLContext | None:
    """Return the listener's TLS settings; None when it speaks plain HTTP.

    Raises:
        ConfigError: A certificate or key cannot be read.
    """
    if settings.cert_file is None or settings.key_file is None:
        return None
    return server_context(settings.cert_file, settings.key_file, settings.client_ca_file, "intake")


def _read_tokens(path: Path) -> dict[str, str]:
    held = read_yaml(path).data
    if not isinstance(held, dict) or not all(
        isinstance(edge, str) and isinstance(token, str) and len(token) >= 16
        for edge, token in held.items()
    ):
        message = "expected edge ids and their tokens of 16 characters or more"
        raise ConfigError(Fault(path, 0, 0, "", message))
    return dict(held)
