"""Devices that announce themselves as Home Assistant's MQTT discovery has it."""
