"""Importers: device descriptions of other systems, turned into profiles that a person finishes.

Each gives a profile that lints and passes the vectors that come with it, and names everything of
the original that has no equal.
"""

from __future__ import annotations
