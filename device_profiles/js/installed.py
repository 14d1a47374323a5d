"""Whether the JavaScript engine is there, and alone."""

from __future__ import annotations

from functools import cache
from importlib.metadata import PackageNotFoundError, distribution

ENGINE = "quickjs-ng"
"""The distribution that brings the engine."""

RIVAL = "quickjs"
"""Installs modules of the same names over it, and can be hung and crashed by a codec."""


def why_not(engine: str | None, rival: str | None) -> str | None:
    """Return why codecs cannot be run with these versions installed, or None."""
    if rival is not None:
        return (
            f"the package {RIVAL!r} {rival} is installed and overwrites {ENGINE}: "
            f"pip uninstall {RIVAL}, then pip install --force-reinstall {ENGINE}"
        )
    if engine is None:
        return "needs the JavaScript runtime: pip install 'tidegate[js]'"
    return None


@cache
def missing_engine() -> str | None:
    """Return why codecs cannot be run here, or None; looked up once."""
    return why_not(_version(ENGINE), _version(RIVAL))


def _version(name: str) -> str | None:
    try:
        return distribution(name).version
    except PackageNotFoundError:
        return None
