"""The city of the end-to-end tests."""

from __future__ import annotations

from tests.e2e.conftest import city

__all__ = ["city"]
