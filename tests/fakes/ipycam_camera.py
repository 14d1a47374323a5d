"""A camera of the independent package ipycam: ONVIF, RTSP and snapshots of a moving scene.

Arguments: ONVIF port, RTSP port, user name, password (both empty for no login). Prints a line once
it streams, and runs until it is ended.
"""

from __future__ import annotations

import sys

import numpy as np
from ipycam import CameraConfig, IPCamera

WIDTH, HEIGHT, RATE = 640, 360, 5

config = CameraConfig(
    manufacturer="PythonCam",
    model="VirtualCam-1",
    serial_number="PY-000001",
    firmware_version="1.3",
    local_ip="127.0.0.1",
    onvif_port=int(sys.argv[1]),
    rtsp_port=int(sys.argv[2]),
    username=sys.argv[3],
    password=sys.argv[4],
    main_width=WIDTH,
    main_height=HEIGHT,
    main_fps=RATE,
    main_bitrate="1M",
    sub_width=WIDTH // 2,
    sub_height=HEIGHT // 2,
    sub_fps=RATE,
    hw_accel="cpu",
)
camera = IPCamera(config)
if not camera.start():
    sys.exit("ipycam did not start")
dice = np.random.default_rng(1)
scene = dice.integers(40, 200, (HEIGHT // 8, WIDTH // 8, 3), dtype=np.uint8)
scene = scene.repeat(8, axis=0).repeat(8, axis=1)
told = False
while camera.is_running:
    noise = dice.integers(0, 8, scene.shape, dtype=np.uint8)
    camera.stream(scene + noise)  # it keeps the pace itself
    if not told:
        told = True
        sys.stdout.write("streaming\n")
        sys.stdout.flush()
