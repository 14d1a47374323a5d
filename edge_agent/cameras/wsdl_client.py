"""A full ONVIF client for what people ask of one camera. onvif-zeep-async lives here.

The patrol does not use it: a WSDL client costs several milliseconds a call, but it covers
operations that the patrol's own codec has no need of. It knows no HTTP Digest: a device that
wants it answers the patrol, but not this. Left to itself it follows a device to any host; here it
asks that device alone.
"""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from typing import Any

from edge_agent.cameras.address import bracketed
from edge_agent.cameras.inventory import Credential
from edge_agent.cameras.only_device import OnlyDevice
from gateway_core.errors import GatewayError, Unavailable


@asynccontextmanager
async def opened(
    host: str, port: int, credential: Credential | None, deadline_s: float
) -> AsyncIterator[Any]:
    """Talk to a device; its clock and the addresses of its services are known by then.

    Args:
        host: Address or name, without brackets.
        port: Its ONVIF port.
        credential: None for a device without a login.
        deadline_s: For all that is asked, in seconds.

    Raises:
        GatewayError: The ``camera`` extra is not installed.
        Unavailable: The device does not answer, refuses the login or makes no sense.
    """
    camera = _camera(host, port, credential)
    try:
        async with asyncio.timeout(deadline_s):
            await camera.update_xaddrs()
            yield camera
    except TimeoutError as exc:
        raise Unavailable(f"{host}: no answer within {deadline_s:g} s") from exc
    except GatewayError:
        raise
    except Exception as exc:  # an answer that makes no sense fails anywhere in the client
        raise Unavailable(f"{host}: {str(exc)[:200] or type(exc).__name__}") from exc
    finally:
        await camera.close()


def refusals() -> tuple[type[Exception], ...]:
    """Return what is raised where a device does not do what it was asked."""
    from onvif.exceptions import ONVIFError
    from zeep.exceptions import Error as ZeepError

    return ONVIFError, ZeepError


def _camera(host: str, port: int, credential: Credential | None) -> Any:
    """Return a client that asks nobody but this device, whatever it answers."""
    try:
        from onvif import ONVIFCamera
    except ImportError as exc:
        raise GatewayError("needs onvif-zeep-async: pip install 'tidegate[camera]'") from exc

    class Camera(ONVIFCamera):  # type: ignore[misc,unused-ignore]
        async def create_onvif_service(self, *args: Any, **options: Any) -> Any:
            service = await super().create_onvif_service(*args, **options)
            if not isinstance(service.transport.session, OnlyDevice):
                service.transport.session = OnlyDevice(service.transport.session, host, port)
            return service

    # Without a login it still writes a token; an empty one is looked at by nobody.
    username, password = (credential.username, credential.password) if credential else ("", "")
    named = bracketed(host)
    return Camera(named, port, username, password, adjust_time=True, nat_override=True)
