"""The listener for edges that have no certificate yet: ``GET /v1/ca`` and ``POST /v1/enrol``.

It has the intake's own certificate and asks for none. An edge checks it against the CA that its
invitation names before it says anything, so that ``/v1/ca`` need not be believed.
"""

from __future__ import annotations

import asyncio
import contextlib
import re
import socket
import ssl
from collections.abc import AsyncIterator, Awaitable, Callable, Sequence

import msgspec
import structlog
from aiohttp import web

from collector.certificates import CertificateAuthority, load_authority, read_request
from collector.config import EDGE_ID, EnrolSection, IntakeSection
from collector.intake import Problem, to_response
from collector.refused import Refused
from collector.registry.database import Database
from collector.registry.invitations import Invitations
from gateway_core.clock import Clock
from gateway_core.errors import ConfigError, Fault, PayloadError, Unavailable
from gateway_core.guard import Limits, guarded
from gateway_core.invitation import Admission, Application
from gateway_core.listening import tcp_sockets
from gateway_core.meter import Meter
from gateway_core.tls import server_context
from gateway_core.units import Address

log = structlog.get_logger()

_MAX_BODY = 16 * 1024
_BODY_S = 10.0
_AT_ONCE = 8
"""Answered at once; each costs a signature."""
_CONNECTIONS, _CONNECTIONS_OF_ONE = 256, 16
_JSON = "application/json"
Handler = Callable[[web.Request], Awaitable[web.StreamResponse]]


class Enrolment:
    """Answers edges that were invited.

    Attributes:
        addresses: Where it listens, ports filled in.
    """

    def __init__(
        self,
        settings: EnrolSection,
        authority: CertificateAuthority,
        invitations: Invitations,
        meter: Meter,
        clock: Clock,
    ) -> None:
        self.addresses: list[Address] = []
        self._settings = settings
        self._authority = authority
        self._invitations = invitations
        self._meter = meter
        self._clock = clock
        self._room = asyncio.Semaphore(_AT_ONCE)

    def application(self) -> web.Application:
        """Return what answers."""
        app = web.Application(client_max_size=_MAX_BODY)
        app.router.add_get("/v1/ca", self._ca)
        app.router.add_post("/v1/enrol", self._enrol)
        return app

    @contextlib.asynccontextmanager
    async def serve(
        self, sockets: Sequence[socket.socket], tls: ssl.SSLContext, header_s: float
    ) -> AsyncIterator[None]:
        """Answer on ``sockets``, which are closed at the end."""
        runner = web.AppRunner(self.application(), access_log=None, keepalive_timeout=5.0)
        limits = Limits(_CONNECTIONS, _CONNECTIONS_OF_ONE, header_s)
        async with guarded(runner, sockets, tls, limits, self._refused) as self.addresses:
            yield

    def _refused(self, reason: str) -> None:
        self._meter.count("tidegate_intake_connections_refused", reason=reason)

    async def _ca(self, _: web.Request) -> web.Response:
        return web.Response(text=self._authority.pem, content_type="application/x-pem-file")

    async def _enrol(self, request: web.Request) -> web.Response:
        try:
            async with asyncio.timeout(_BODY_S):
                body = await request.read()
            async with self._room:
                admission = await self._admit(body, request.remote)
        except Refused as no:
            problem = Problem(no.status, no.code, no.detail)
        except msgspec.MsgspecError as exc:
            problem = Problem(400, "bad_request", str(exc))
        except PayloadError as exc:
            problem = Problem(400, exc.code, exc.detail)
        except TimeoutError:
            problem = Problem(408, "slow_body", "the request did not arrive in time")
        except Unavailable as exc:
            problem = Problem(503, "unavailable", str(exc))
        else:
            self._meter.count("tidegate_enrolments", result="admitted")
            return web.Response(body=msgspec.json.encode(admission), content_type=_JSON)
        self._meter.count("tidegate_enrolments", result=problem.code)
        log.warning("enrolment_refused", code=problem.code, peer=request.remote)
        return to_response(problem)

    async def _admit(self, body: bytes, peer: str | None) -> Admission:
        wanted = msgspec.json.decode(body, type=Application)
        if not re.fullmatch(EDGE_ID, wanted.edge):
            raise Refused(400, "bad_edge", "that is no edge's id")
        request, key = read_request(wanted.csr)
        now = self._clock()
        outcome = await self._invitations.redeem(wanted.edge, wanted.secret, key, now)
        if outcome == "bad_invitation":
            detail = "the centre knows no such invitation of this edge; ask for a new one"
            raise Refused(401, "bad_invitation", detail)
        if outcome == "invitation_used":
            detail = "another key used it; if it was not this edge's, tell the centre at once"
            raise Refused(409, "invitation_used", detail)
        if outcome == "invitation_ended":
            raise Refused(410, "invitation_ended", "it has ended; ask for a new one")
        issued = self._authority.issue(wanted.edge, request, now, self._settings.valid_for)
        log.info("edge_enrolled", edge=wanted.edge, key=key, peer=peer)
        return Admission(
            issued.pem, self._authority.pem, self._settings.uplink_url, issued.not_after
        )


@contextlib.asynccontextmanager
async def open_enrolment(
    settings: EnrolSection, intake: IntakeSection, database: Database, meter: Meter, clock: Clock
) -> AsyncIterator[Enrolment]:
    """Listen for edges that were invited, until the end of the block.

    Raises:
        ConfigError: A certificate or key cannot be read or used, or an address is taken.
    """
    if intake.cert_file is None or intake.key_file is None:
        message = "needs intake.cert_file and intake.key_file: edges enrol over TLS only"
        raise ConfigError(Fault("configuration", 0, 0, "enrol", message))
    authority = load_authority(settings.ca_cert_file, settings.ca_key_file, clock())
    tls = server_context(intake.cert_file, intake.key_file, None, "enrol")
    enrolment = Enrolment(settings, authority, Invitations(database), meter, clock)
    sockets = tcp_sockets(settings.listen, "enrol.listen")
    async with enrolment.serve(sockets, tls, intake.header_timeout):
        log.info("enrolment_opened", addresses=[str(each) for each in enrolment.addresses])
        yield enrolment
