"""Cameras that are not there: ONVIF, RTSP and snapshots of thousands of devices in one process."""
