"""A collector that thanks for every upload and keeps nothing: the edge agent is measured alone."""

from __future__ import annotations

import sys

from aiohttp import web

from gateway_core.wire import UploadReceipt, encode_receipt

RECEIPT = encode_receipt(UploadReceipt(accepted=0, duplicate=0))


async def take(request: web.Request) -> web.Response:
    """Read the body and thank."""
    await request.read()
    return web.Response(body=RECEIPT, content_type="application/json")


if __name__ == "__main__":
    application = web.Application(client_max_size=64 << 20)
    application.router.add_post("/v1/batches", take)
    web.run_app(application, host="127.0.0.1", port=int(sys.argv[1]), print=None)
