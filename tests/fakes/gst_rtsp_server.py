"""A real RTSP server on GStreamer, run with the system's Python; prints its port and serves.

Arguments: address, authentication (none, basic or digest), user name, password, pipeline.
"""

from __future__ import annotations

import sys

import gi

gi.require_version("Gst", "1.0")
gi.require_version("GstRtsp", "1.0")
gi.require_version("GstRtspServer", "1.0")
from gi.repository import GLib, Gst, GstRtsp, GstRtspServer  # noqa: E402

address, auth_kind, username, password, pipeline = sys.argv[1:6]
Gst.init(None)
server = GstRtspServer.RTSPServer()
server.set_address(address)
server.set_service("0")
factory = GstRtspServer.RTSPMediaFactory()
factory.set_launch(pipeline)
factory.set_shared(True)
if auth_kind != "none":
    methods = GstRtsp.RTSPAuthMethod
    auth = GstRtspServer.RTSPAuth()
    auth.set_supported_methods(methods.BASIC if auth_kind == "basic" else methods.DIGEST)
    token = GstRtspServer.RTSPToken()
    token.set_string("media.factory.role", "viewer")
    if auth_kind == "basic":
        auth.add_basic(GstRtspServer.RTSPAuth.make_basic(username, password), token)
    else:
        auth.add_digest(username, password, token)
    server.set_auth(auth)
    permissions = GstRtspServer.RTSPPermissions()
    for permission in ("media.factory.access", "media.factory.construct"):
        permissions.add_permission_for_role("viewer", permission, True)
    factory.set_permissions(permissions)
server.get_mount_points().add_factory("/live", factory)
loop = GLib.MainLoop()
server.attach(None)
sys.stdout.write(f"{server.get_bound_port()}\n")
sys.stdout.flush()
loop.run()
