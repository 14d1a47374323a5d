"""Post lines to a server that speaks InfluxDB's protocol, and read its answer with suspicion.

Only an answer that no other program gives counts as stored: 204. A proxy's login page is a 200, a
redirected POST becomes a GET: both look like success to a client that is content with any 2xx.
"""

from __future__ import annotations

from collections.abc import Mapping

from collector.timeseries.web import Answer, Web
from gateway_core.errors import Unavailable

_REFUSED = {400, 413, 422}


async def post_lines(web: Web, path: str, params: Mapping[str, str], lines: str) -> Answer | None:
    """Write lines; return None when they are stored, else the answer that refuses some of them.

    Raises:
        Unavailable: Nothing is known to have been stored: no answer, or not this server's.
    """
    answer = await web.send("POST", path, params=params, body=lines.encode())
    if answer.status == 204 or (answer.status == 200 and not answer.body.strip()):
        return None
    if answer.status < 300:
        raise Unavailable(
            f"{web.url}{path} answered {answer.status} to a write, where a store says 204: is a "
            f"proxy or a login page in between? {answer.text[:100]!r}"
        )
    if answer.status in _REFUSED and answer.is_page:
        raise Unavailable(
            f"{web.url}{path} answered {answer.status} with a web page, which no store does: is a "
            f"proxy in between? {answer.text[:100]!r}"
        )
    return answer


def is_refusal(answer: Answer) -> bool:
    """Return whether an answer says that some of the lines can never be stored."""
    return answer.status in _REFUSED
