"""What a program is run under: the defaults are the world, a simulation sets its own."""

from __future__ import annotations

import random
from dataclasses import dataclass

from gateway_core.spool.writer import MakeWriting, Writer


@dataclass(frozen=True, slots=True)
class Conditions:
    """How a program meets chance and threads; its clock is an argument of its own.

    Attributes:
        writing: Has the spool's jobs committed: a thread of its own.
        chance: Where waits between tries are drawn from; None: each part from its own.
    """

    writing: MakeWriting = Writer
    chance: random.Random | None = None
