"""One still picture of one camera, for people: found and fetched as the patrol does it."""

from __future__ import annotations

from edge_agent.cameras.exchange import Exchange, open_session
from edge_agent.cameras.inventory import Feed
from edge_agent.cameras.logins import Logins
from edge_agent.cameras.onvif_client import OnvifClient
from edge_agent.cameras.onvif_device import Device
from edge_agent.cameras.settings import PatrolSettings
from edge_agent.cameras.survey import survey
from gateway_core.clock import wall_ns
from gateway_core.errors import Unavailable


async def fetch_still(feed: Feed) -> bytes:
    """Return a JPEG picture as the device sends it; nobody but the registered host is asked.

    Raises:
        OnvifError: The device does not hand it out.
        Unavailable: The device does not answer, or offers no still pictures.
    """
    logins, device = Logins(), Device()
    async with open_session(2) as session:
        client = OnvifClient(Exchange(session, logins), logins, wall_ns, PatrolSettings())
        found = await survey(client, feed, device, float("inf"))
        if found.faults:
            raise Unavailable(f"{feed.host}: {', '.join(found.faults)}: {found.detail}")
        if not found.snapshot_url:
            raise Unavailable(f"{feed.host} offers no still pictures over ONVIF")
        return await client.snapshot(feed, device, found.snapshot_url)
