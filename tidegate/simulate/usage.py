"""Wrong usage of the command line, told like a mistake in a file: exit status 2."""

from __future__ import annotations

from gateway_core.errors import ConfigError, Fault
from gateway_core.units import parse_duration


def wrong_usage(option: str, message: str) -> ConfigError:
    """Return the error that says what is wrong with an option and what to give instead."""
    return ConfigError(Fault("command line", 0, 0, option, message))


def seconds_of(option: str, text: str) -> float:
    """Return a duration such as ``30s`` in seconds.

    Raises:
        ConfigError: It is none.
    """
    try:
        return parse_duration(text)
    except ValueError as exc:
        raise wrong_usage(option, str(exc)) from exc
