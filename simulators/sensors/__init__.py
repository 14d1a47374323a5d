"""A fleet of sensors that speak MQTT and CoAP as their profiles say, and the truth of it.

Whatever it sends is marked: every device id that the profile lets us choose begins with ``sim-``.
"""
