"""``tidegate collector``: what the centre's books say to people."""

from __future__ import annotations

from urllib.parse import quote, urlencode

from tidegate.gap_view import print_gaps
from tidegate.listing import get
from tidegate.output import print_json
from tidegate.query import HERE, Url, instant


def gaps(
    device: str,
    *,
    edge: str | None = None,
    since: str = "1d",
    until: str = "now",
    url: Url = HERE,
    json: bool = False,
) -> None:
    """Say what is missing of one device at the centre, and why, as far as that is known.

        tidegate collector gaps sim-env-00001 --since 6h

    Args:
        device: Its id.
        edge: Where it is, if several edges have one of that id.
        since: 1h (that long ago), or RFC 3339 with an offset.
        until: Likewise, or now.
        json: Print JSON.
    """
    asked = {"edge": edge, "since": instant(since), "until": instant(until)}
    wanted = urlencode({name: value for name, value in asked.items() if value})
    found = get(url, f"devices/{quote(device, safe='')}/gaps?{wanted}")
    print_json(found) if json else print_gaps(found)
