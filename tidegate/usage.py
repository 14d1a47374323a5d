"""A command that was given something it cannot use: exit status 2, like a wrong option."""

from __future__ import annotations

from gateway_core.errors import GatewayError


class WrongUsage(GatewayError):
    """The one who typed must type something else; it says what."""
